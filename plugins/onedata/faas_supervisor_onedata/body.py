"""The body of an upload: a file that is counted, and sent once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import IntegrityError, StorageError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

    from faas_supervisor.storage import Progress

__all__ = ["CHUNK", "Body"]

CHUNK: Final = 256 * 1024
"""What moves in one go: cancelled soon, and sent in time over a slow line."""


class Body:
    """A file as requests takes it for a body: of known length, and read chunk by chunk as it is sent."""

    def __init__(self, file: FileIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self.size: Final = os.fstat(file.fileno()).st_size
        self._begun = False
        progress.start(self.size)

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        # Asked for when a request is made. After a cut the client makes another one, to the next Oneprovider,
        # with what is left of the file.
        if self._begun:
            raise Unavailable("the connection was cut while the file was sent")
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        self._begun = True
        sent = 0
        while chunk := self._read():
            sent += len(chunk)
            if sent > self.size:
                break
            self._progress.advance(len(chunk))
            yield chunk
        if sent != self.size:
            raise IntegrityError("the file changed while it was uploaded")

    def _read(self) -> bytes:
        try:
            return self._file.read(CHUNK) or b""
        except OSError as error:
            # requests would take it for a fault of the connection.
            raise StorageError(f"the local file can't be read: {error.strerror}") from error
