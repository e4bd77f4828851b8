"""SIGTERM and SIGINT end an invocation in good order: script ended, workspace gone, result told."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faas_supervisor.errors import Terminated

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["terminable"]


@contextmanager
def terminable(stop: threading.Event) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT set `stop` and raise `Terminated` in the main thread; later ones do nothing."""

    def end(number: int, _frame: FrameType | None) -> None:
        if not stop.is_set():
            stop.set()
            raise Terminated(f"the supervisor received {signal.Signals(number).name}")

    # A parent may have us ignore the end of our children; then nobody could tell how the script ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
