"""Signals to the supervisor concern the script: they are forwarded, and those that end programs end the invocation."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from faas_supervisor import script
from faas_supervisor.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from faas_supervisor.stop import Stop

__all__ = ["ENDING", "PASSED_ON", "signals_for"]

ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
PASSED_ON: Final = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)


@contextmanager
def signals_for(stop: Stop) -> Iterator[None]:
    """Let the first signal that ends programs set `stop`, and forward all others to the scripts that run.

    In the main thread only. SIGHUP stays ignored where it was, as under `nohup`.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            script.forward(number)
        stop.set(Terminated(f"the supervisor received {signal.Signals(number).name}", signal=number))
        stop.interrupt()

    def pass_on(number: int, _frame: FrameType | None) -> None:
        script.forward(number)

    # A parent may have us ignore the end of our children; then nobody could tell how the script ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    handlers = {**dict.fromkeys(ENDING, end), **dict.fromkeys(PASSED_ON, pass_on)}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        del handlers[signal.SIGHUP]
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
