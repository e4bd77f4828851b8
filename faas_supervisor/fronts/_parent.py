"""The process that started us: when it dies, nobody waits for our answer, and the invocation ends.

Behind `sh -c` SIGTERM never comes: the shell gets it, and dies of it or ignores it. The kernel could tell us by
PR_SET_PDEATHSIG, but means the thread that started us, and some parents are threads that have long ended.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import Terminated
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor.stop import Stop

__all__ = ["ended_with_parent"]

_INIT: Final = 1


@contextmanager
def ended_with_parent(stop: Stop) -> Iterator[None]:
    """Set `stop` once our parent has died while what is inside goes on.

    Not where dying parents are what is wanted: under `nohup`, as the leader of a session (`setsid`, a service
    manager), and below an init, whose end is that of everybody.
    """
    parent = os.getppid()
    handle = _handle(parent) if _is_wanted(parent) else None
    if os.getppid() != parent:  # it died before we had the handle, which may be another's then
        _end(stop)
    if handle is None:
        yield
        return
    done = os.eventfd(0, os.EFD_CLOEXEC)
    thread = threading.Thread(target=_wait, args=(handle, done, stop), name="parent", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.eventfd_write(done, 1)
        thread.join()
        os.close(done)
        os.close(handle)


def _is_wanted(parent: int) -> bool:
    return parent > _INIT and os.getsid(0) != os.getpid() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN


def _handle(parent: int) -> int | None:
    try:
        return os.pidfd_open(parent)
    except OSError as error:
        log.debug("the end of our parent can't be waited for: %s", error)
        return None


def _wait(handle: int, done: int, stop: Stop) -> None:
    poll = select.poll()
    for number in (handle, done):
        poll.register(number, select.POLLIN)
    # Without a time-out: one of the two comes.
    if handle in dict(poll.poll()):
        _end(stop)


def _end(stop: Stop) -> None:
    log.warning("the process that started the supervisor has ended")
    stop.set(Terminated("the process that started the supervisor has ended"))
