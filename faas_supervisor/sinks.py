"""Sinks for the script's output: one that keeps it in a file, and one that gives it to several others."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faas_supervisor.script import Sink

__all__ = ["FileSink", "Tee", "write_all"]


class FileSink:
    """Keeps what is written in a file.

    Attributes:
        file: The file.
        failed: Why not all is in it, as when the disk is full; what comes afterwards is dropped, so that the
            script's pipe is drained all the same.
    """

    def __init__(self, file: Path) -> None:
        self.file: Final = file
        self.failed: OSError | None = None
        self._stream: IO[bytes] | None = None
        try:
            self._stream = file.open("wb", buffering=0)
        except OSError as error:
            self.failed = error

    def write(self, data: bytes) -> None:
        """Take `data`."""
        if self._stream is None or self.failed is not None:
            return
        try:
            write_all(self._stream.write, data)
        except OSError as error:
            self.failed = error

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            try:
                self._stream.close()
            except OSError as error:  # a network file system tells a full disk here
                self.failed = self.failed or error


def write_all(write: Callable[[memoryview], int], data: bytes) -> None:
    """Write all of `data` to a stream without a buffer. Raises what `write` raises."""
    rest = memoryview(data)
    while rest:  # a disk that is nearly full takes a part, and says so only at the next write
        rest = rest[write(rest) :]


class Tee:
    """Gives what is written to each of several sinks, in their order.

    Those that keep it come first: one that leads outside may block.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks: Final = sinks

    def write(self, data: bytes) -> None:
        """Give `data` to all of them."""
        for sink in self._sinks:
            sink.write(data)
