"""Our own standard streams as sinks: unbuffered, and a reader that leaves is no failure of ours."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError, Failure, NoSpace
from faas_supervisor.events import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    from faas_supervisor.stop import Stop

__all__ = ["Descriptor", "ensure_open", "forget_broken", "read_event", "receive"]

_PIECE: Final = 1024 * 1024

# What OSCAR's gateway and the watchdog let through is far below; beyond it somebody pipes in a disk.
_LARGEST_EVENT: Final = 512 * 1024 * 1024


# How long a reader who takes nothing is waited for when everything has to end.
_LAST_PATIENCE: Final = 2.0


class Descriptor:
    """Writes to a file descriptor; when nobody reads any more, the rest is dropped.

    A reader who is slow is waited for, but once `stop` is set only for a moment.
    """

    def __init__(self, number: int, stop: Stop | None = None) -> None:
        self._stop = stop
        self._given = number
        self._number = number if stop is None else _unblocked(number)
        self.broken = False

    def write(self, data: bytes) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        while rest and not self.broken:
            try:
                rest = rest[os.write(self._number, rest) :]
            except BlockingIOError:
                self.broken = not self._has_room()
            except OSError:
                self.broken = True

    def close(self) -> None:
        """Close what was opened for it; the descriptor itself stays open."""
        if self._number != self._given:
            os.close(self._number)

    def _has_room(self) -> bool:
        """Wait until it takes something, and return whether it does."""
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        if self._stop is None:
            return bool(poll.poll())
        if not self._stop.is_set():
            poll.register(self._stop.fileno(), select.POLLIN)
            if self._number in dict(poll.poll()):
                return True
            poll.unregister(self._stop.fileno())
        return bool(poll.poll(1000 * _LAST_PATIENCE))


def _unblocked(number: int) -> int:
    """Return a descriptor of ours for the same pipe that never blocks; others who share the pipe are not concerned."""
    try:
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            return os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # closed, no /proc, or another user's
        pass
    return number


def ensure_open() -> None:
    """Open `/dev/null` for each standard stream that came closed, so that no pipe of ours takes its number.

    Raises:
        SystemExit: There is no `/dev/null`, which container runtimes always make; only standard error can tell.
    """
    if not os.path.exists(os.devnull):  # noqa: PTH110  # a start-up path
        with contextlib.suppress(OSError):
            os.write(2, b"supervisor: there is no /dev/null in this container \xe2\x80\x94 mount /dev\n")
        raise SystemExit(Failure.CONFIGURATION.exit_code)
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004  # stderr
        os.set_inheritable(number, True)  # noqa: FBT003  # its signature
    os.close(number)


def forget_broken() -> None:
    """Lead standard streams that nobody reads any more to `/dev/null`, or Python exits with 120 over what is left."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, stream.fileno())
            os.close(sink)


def receive(stream: IO[bytes], folder: Callable[[], Path]) -> bytes | Path:
    """Read an event to its end; one that is too large to be searched for anything goes into a file in `folder`.

    Raises:
        NoSpace: There is no room for it.
    """
    pieces: list[bytes] = []
    size = 0
    while size <= LARGEST and (piece := stream.read(_PIECE)):
        pieces.append(piece)
        size += len(piece)
    if size <= LARGEST:
        return b"".join(pieces)
    file = folder() / "event"
    try:
        with file.open("xb") as target:
            target.writelines(pieces)
            pieces.clear()
            while piece := stream.read(_PIECE):
                target.write(piece)
    except OSError as error:
        raise NoSpace(f"the event can't be kept: {error}") from error
    return file


def read_event(stream: IO[bytes]) -> bytes:
    """Read an event to its end.

    Raises:
        EventError: It has more than 512 MiB.
    """
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST_EVENT:
            raise EventError(f"the event has more than {_LARGEST_EVENT} bytes", hint="upload large data as a file")
    return b"".join(pieces)
