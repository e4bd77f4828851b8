"""What an engine is: the part of a provider that moves bytes with one particular library."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Protocol

from faas_supervisor.errors import IntegrityError, InvalidPath
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import FileIO
    from pathlib import Path

    from faas_supervisor.storage import MemoryBudget, ObjectInfo, ObjectRef, Progress

__all__ = [
    "CHUNK",
    "MIB",
    "PART",
    "SINGLE_PUT",
    "CheckedFile",
    "Engine",
    "ListingEngine",
    "Place",
    "confirmed",
    "part_size",
    "write_stream",
]

MIB: Final = 1024 * 1024

CHUNK: Final = 256 * 1024
"""What a download writes in one go: cancelled soon, too small to need a budget, and no slower than more."""

PART: Final = 8 * MIB
"""The usual size of a part; one buffer of this size is what a transfer asks the memory budget for."""

SINGLE_PUT: Final = 16 * MIB
"""Files up to this size go up in one request."""

# S3 takes 10,000 parts; the rest is for a file that grows while it is measured.
_MOST_PARTS: Final = 9000

# The names that S3, MinIO and their kin give out. A bucket `..` would be taken for a step up in the URL.
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@value
class Place:
    """One object: the path as users write it, and what it means."""

    path: str
    bucket: str
    key: str

    @classmethod
    def of(cls, path: str) -> Place:
        """Split `bucket/key`; the key is whatever follows the first slash, character by character.

        Raises:
            InvalidPath: There is no bucket of such a name, or the path is not valid Unicode.
        """
        bucket, _, key = path.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise InvalidPath(f"{bucket!r} is no name for a bucket", path=path, hint="paths begin with a bucket")
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise InvalidPath("the name is not valid UTF-8, object stores take no other", path=path) from error
        return cls(path, bucket, key)


class Engine(Protocol):
    """Moves single objects, for several threads at once.

    Raises the errors of `faas_supervisor.errors`; an `OSError` is one of the local file.
    """

    def expresses(self, key: str) -> bool:
        """Whether the library can name `key`."""

    def download(
        self, place: Place, source: ObjectRef, destination: Path, progress: Progress, memory: MemoryBudget
    ) -> ObjectInfo:
        """Write the object, or the version or content of it that `source` pins, to `destination`."""

    def upload(self, source: Path, place: Place, progress: Progress, memory: MemoryBudget) -> ObjectInfo:
        """Make the object hold what `source` holds."""

    def stat(self, place: Place) -> ObjectInfo:
        """Return what the server says about the object."""

    def delete(self, place: Place) -> None:
        """Remove the object; NotFound is allowed."""

    def close(self) -> None:
        """Free connections."""


class ListingEngine(Engine, Protocol):
    """An engine on a full SDK, which also lists."""

    def buckets(self) -> Iterator[str]:
        """Yield the name of every bucket that the credentials may see."""

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with `prefix`, page by page."""


def part_size(size: int) -> int:
    """Return how large the parts of an upload of `size` bytes must be."""
    part = PART
    while size >= part * _MOST_PARTS:
        part *= 2
    return part


class CheckedFile:
    """A file that is being uploaded: counts what is read, and notices when it is not what it was at the start."""

    def __init__(self, file: FileIO, progress: Progress) -> None:
        self.size: Final = os.fstat(file.fileno()).st_size
        self._file = file
        self._progress = progress
        self._read = 0
        progress.start(self.size)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all that are left for -1, and nothing at the end.

        Raises:
            IntegrityError: There are fewer or more bytes than there were.
        """
        data: bytes = self._file.read(size) or b""
        self._read += len(data)
        if self._read > self.size or (not data and size and self._read < self.size):
            raise IntegrityError("the file changed while it was uploaded")
        if data:
            self._progress.advance(len(data))
        return data

    def chunks(self) -> Iterator[bytes]:
        """Yield the rest, a mebibyte at a time."""
        while chunk := self.read(MIB):
            yield chunk


def write_stream(chunks: Iterable[bytes], destination: Path, size: int, progress: Progress) -> None:
    """Write `chunks` to `destination`; exactly `size` bytes, or it is an IntegrityError."""
    progress.start(size)
    written = 0
    with destination.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            written += len(chunk)
            progress.advance(len(chunk))
    if written != size:
        raise IntegrityError(f"{written} bytes arrived of {size}")


def confirmed(info: ObjectInfo, size: int) -> ObjectInfo:
    """Return what the server says that it now holds, which must be `size` bytes."""
    if info.size != size:
        raise IntegrityError(f"the server holds {info.size} bytes of {size}", path=info.path)
    return info
