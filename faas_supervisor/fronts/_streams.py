"""Our own standard streams as sinks: unbuffered, and a reader that leaves is no failure of ours."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError, NoSpace
from faas_supervisor.events import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

__all__ = ["Descriptor", "ensure_open", "forget_broken", "read_event", "receive"]

_PIECE: Final = 1024 * 1024

# What OSCAR's gateway and the watchdog let through is far below; beyond it somebody pipes in a disk.
_LARGEST_EVENT: Final = 512 * 1024 * 1024


class Descriptor:
    """Writes to a file descriptor; when nobody reads any more, the rest is dropped."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.broken = False

    def write(self, data: bytes) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        while rest and not self.broken:
            try:
                rest = rest[os.write(self._number, rest) :]
            except OSError:
                self.broken = True


def ensure_open() -> None:
    """Open `/dev/null` for each standard stream that came closed, so that no pipe of ours takes its number."""
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
