"""What is kept of the script's output: its end for the result, and all of it where `logs` wants it uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from faas_supervisor.secrets import mask
from faas_supervisor.sinks import FileSink, Tee

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from faas_supervisor.script import Sink

__all__ = ["Recording", "Tail"]

# A secret that the cut goes through would not be known any more, so some more is kept until it is masked.
_MARGIN: Final = 4096

STREAMS: Final = ("stdout", "stderr")


class Tail:
    """The last `size` bytes of what is written to it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept = bytearray()
        self._cut = False

    def write(self, data: bytes) -> None:
        """Keep the end of `data`."""
        if not self._size:
            return
        most = self._size + _MARGIN
        self._cut = self._cut or len(self._kept) + len(data) > most
        self._kept += data[-most:]
        if len(self._kept) > 2 * most:  # now and then, so that a byte at a time doesn't move all others each time
            del self._kept[:-most]

    def text(self) -> str:
        """Return it as text, secrets masked; it begins with a whole line, if there is one in it."""
        del self._kept[: -(self._size + _MARGIN)]
        kept = mask(self._kept.decode("utf-8", "replace")).encode("utf-8", "surrogatepass")
        if len(kept) <= self._size and not self._cut:
            return kept.decode("utf-8", "replace")
        # One more, which may be the line break before.
        _, line_break, rest = kept[-self._size - 1 :].partition(b"\n")
        return (rest if line_break and rest else kept[-self._size :]).decode("utf-8", "ignore")


class Recording:
    """Keeps what is written to `stdout` and `stderr`, and passes it on; a context manager.

    Args:
        sinks: Where the two are passed on to.
        folder: For the files.
        tail: How many bytes of the end are kept, both streams together as they came.
        files: Whether all of it is kept, in `stdout.log` and `stderr.log`.
        warn: Told when the disk was too full for that.
    """

    def __init__(
        self, sinks: tuple[Sink, Sink], folder: Path, *, tail: int, files: bool, warn: Callable[[str], None]
    ) -> None:
        self._tail = Tail(tail)
        self._files = [FileSink(folder / f"{name}.log") for name in STREAMS] if files else []
        self._warn = warn
        keeping: list[tuple[Sink, ...]] = [(file,) for file in self._files] or [(), ()]
        self.stdout, self.stderr = (Tee(self._tail, *kept, sink) for kept, sink in zip(keeping, sinks, strict=True))
        if sinks[0] is sinks[1] and not files:
            self.stderr = self.stdout  # one pipe then, so that what was written first arrives first

    @property
    def files(self) -> list[Path]:
        """The files that were written, in the order of `STREAMS`."""
        return [file.file for file in self._files if file.file.exists()]

    def tail(self) -> str:
        """Return the end of what was written, secrets masked."""
        return self._tail.text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, file in zip(STREAMS, self._files, strict=False):
            file.close()
            if file.failed is not None:
                self._warn(f"{name}.log is not complete: {file.failed}")
