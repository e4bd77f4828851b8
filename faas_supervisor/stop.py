"""Tells an invocation to end, and why: from a signal handler, another thread, a caller that left, a limit."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import TYPE_CHECKING, Self

from faas_supervisor.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from faas_supervisor.errors import SupervisorError

__all__ = ["Stop"]


class Stop:
    """A request to end that is made once; whoever makes it says what the result will tell.

    # Behavior
    - `set` may be called from any thread and from a signal handler; only the first call counts.
    - `fileno` is readable from then on, so that one `poll` waits for it and for a process at once.
    - Nothing is opened for one that nobody waits for.
    """

    def __init__(self) -> None:
        # Reentrant: a signal handler runs in the middle of whatever its thread is doing, this class included.
        self._lock = threading.RLock()
        self._is_set = False
        self._error: SupervisorError | None = None
        self._handle: int | None = None
        self._raises = False

    def set(self, error: SupervisorError | None = None) -> None:
        """Ask the invocation to end, because of `error`."""
        with self._lock:
            if self._is_set:
                return
            self._error = error
            self._is_set = True
            if self._handle is not None:
                os.eventfd_write(self._handle, 1)

    def is_set(self) -> bool:
        """Whether it has to end."""
        return self._is_set

    @property
    def reason(self) -> SupervisorError | None:
        """What `set` was given."""
        return self._error

    def error(self, doing: str = "") -> SupervisorError:
        """Return what to raise where the invocation ends: the reason, else that it stopped while `doing`."""
        return self._error or Terminated(f"stopped during {doing}" if doing else "the invocation was told to stop")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` seconds, and return whether it is."""
        if not self._is_set:
            poll = select.poll()
            poll.register(self.fileno(), select.POLLIN)
            poll.poll(None if timeout is None else timeout * 1000)
        return self._is_set

    def fileno(self) -> int:
        """Return a descriptor that is readable once it is set; it stays ours."""
        with self._lock:
            if self._handle is None:
                self._handle = os.eventfd(int(self._is_set), os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            return self._handle

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let a signal handler break what happens inside, by raising `error()`.

        For waits in libraries that know nothing of us; anywhere else an exception out of nowhere could hit
        a clean-up. In the main thread only, since signals are handled there.
        """
        self._raises = True
        try:
            if self._is_set:
                raise self.error()
            yield
        finally:
            self._raises = False

    def interrupt(self) -> None:
        """Raise, once, if the main thread is inside `interrupting`; for signal handlers, after `set`."""
        if self._raises:
            self._raises = False
            raise self.error()

    def close(self) -> None:
        """Free its descriptor; `set` stays harmless."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
