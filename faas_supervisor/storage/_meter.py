"""What a provider tells its progress to: it counts, speaks now and then, and ends what has to end."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import Cancelled, NoSpace
from faas_supervisor.logs import emit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from faas_supervisor.stop import Stop

    Watch: TypeAlias = Callable[[str, int, int | None], None]

__all__ = ["Meter", "ensure_room"]

# Without a terminal a long transfer says a line now and then.
_QUIET_SECONDS: Final = 10.0


class Meter:
    """Counts the bytes of one attempt, speaks now and then, and ends the transfer when it must stop."""

    def __init__(self, label: str, stop: Stop, watch: Watch | None, room: Path | None) -> None:
        self._label = label
        self._stop = stop
        self._watch = watch
        self._room = room
        self._total: int | None = None
        self._lock = threading.Lock()
        self.moved = 0
        self._spoke = time.monotonic()

    def start(self, total: int | None) -> None:
        """Note how many bytes will move; a download that the disk can't take ends here."""
        self._total = total
        if self._room is not None and total is not None:
            ensure_room(self._room, total, self._label)
        self.advance(0)

    def advance(self, n: int) -> None:
        """Count `n` more bytes."""
        if self._stop.is_set():
            raise Cancelled
        with self._lock:
            self.moved += n
            now = time.monotonic()
            speak = now - self._spoke >= _QUIET_SECONDS
            if speak:
                self._spoke = now
        if self._watch is not None:
            self._watch(self._label, self.moved, self._total)
        elif speak:
            emit(logging.INFO, "transfer.progress", f"{self._label}: {self.moved} of {self._total or '?'} bytes")


def ensure_room(folder: Path, size: int, what: str) -> None:
    """Raise `NoSpace` when the file system of `folder` can't take `size` more bytes."""
    free = os.statvfs(folder)
    available = free.f_bavail * free.f_frsize
    if size > available:
        raise NoSpace(
            f"{what}: {size} bytes are needed, {available} are free in {folder}",
            hint="give the container more ephemeral storage, or set TMPDIR to a larger volume",
        )
