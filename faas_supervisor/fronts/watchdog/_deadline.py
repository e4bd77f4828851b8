"""What ends a request before its script does: a client that left, and the clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from faas_supervisor.errors import Failure, SupervisorError

if TYPE_CHECKING:
    from faas_supervisor.stop import Stop

__all__ = ["ClientLeft", "Deadline", "TimedOut"]


class ClientLeft(SupervisorError):
    """The client left before its answer was there."""

    failure = Failure.TERMINATED


class TimedOut(SupervisorError):
    """The request took longer than `exec_timeout`, or its own `X-Timeout`."""

    failure = Failure.TIME_LIMIT


class Deadline:
    """Sets `stop` when a request has been worked on for so many seconds; it may have to wait for a thread first.

    Attributes:
        begun: When that began, by `time.monotonic`; set by the thread, which need not wake the loop for it.
    """

    def __init__(self, stop: Stop, limit: float | None) -> None:
        self.begun: float | None = None
        self._stop = stop
        self._timer: asyncio.TimerHandle | None = None
        if limit is not None:
            self._limit = limit
            self._wait(limit)

    def cancel(self) -> None:
        """Do nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._limit if self.begun is None else self.begun + self._limit - time.monotonic()
        if left > 0:
            self._wait(left)
        else:
            self._stop.set(TimedOut(f"it took longer than {self._limit:g} s"))
