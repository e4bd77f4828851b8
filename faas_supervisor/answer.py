"""The answer to an event that came with its own data: what a caller of the function gets back.

As OSCAR's clients expect: base64 of the one file in the output folder, or of a zip of all of them, or
the script's own output when there is none. Streamed from disk, whatever the size.
"""

from __future__ import annotations

import base64
import errno
from contextlib import contextmanager
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Final

from faas_supervisor.errors import NoSpace, OutputError
from faas_supervisor.outputs import files_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from faas_supervisor.call import Call
    from faas_supervisor.config import Function
    from faas_supervisor.planning import Run
    from faas_supervisor.report import RunReport
    from faas_supervisor.script import Sink
    from faas_supervisor.workspace import Folders

__all__ = ["answering"]

# A multiple of 3, so that the pieces' encodings join to that of the whole.
_PIECE: Final = 3 * 64 * 1024


@contextmanager
def answering(
    run: Run, folders: Folders, call: Call, function: Function, report: RunReport
) -> Iterator[tuple[Sink, Sink]]:
    """Give the sinks for the script's output, and write the answer when everything else is done.

    The script's output is the answer to a storage event, as it comes. For a payload it may have to give
    way to files, so it is recorded, and shown with the log meanwhile.

    Raises:
        NoSpace: The answer could not be recorded or packed.
        OutputError: What the script wrote can't be read.
    """
    if all(item.record.data is None for item in run.items):
        yield call.stdout, call.stderr
        return
    recorder = _Recorder(folders.private / "output", call.stderr)
    try:
        yield recorder, recorder if function.combine_output else call.stderr
    finally:
        recorder.close()
    if recorder.failed is not None:
        raise NoSpace(f"the script's output can't be kept: {recorder.failed}") from recorder.failed
    try:
        _write_answer(folders, recorder.file, succeeded=not report.failed, stdout=call.stdout, warn=report.warn)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(f"the answer can't be packed: {error}") from error
        raise OutputError(f"the answer can't be read: {error}") from error


class _Recorder:
    """A sink that keeps the script's output in a file, and shows it on another sink meanwhile."""

    def __init__(self, file: Path, shown: Sink) -> None:
        self.file: Final = file
        self._stream: Final[IO[bytes]] = file.open("wb", buffering=0)
        self._shown = shown
        self.failed: OSError | None = None

    def write(self, data: bytes) -> None:
        """Take `data`. A full disk is noted in `failed`; the script's pipe is drained all the same."""
        self._shown.write(data)
        if self.failed is None:
            try:
                rest = memoryview(data)
                while rest:  # a disk that is nearly full takes a part, and says so only at the next write
                    rest = rest[self._stream.write(rest) :]
            except OSError as error:
                self.failed = error

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _write_answer(
    folders: Folders, recorded: Path, *, succeeded: bool, stdout: Sink, warn: Callable[[str], None]
) -> None:
    """Write the answer to `stdout`; that of a script that failed is what it said."""
    found = files_below(folders.output, warn) if succeeded else iter(())
    first = list(islice(found, 2))
    if not first:
        _copy(recorded, stdout.write)
        return
    answer = first[0][0]
    if len(first) > 1:
        answer = folders.private / "answer.zip"
        _zip(chain(first, found), answer)
    _copy(answer, lambda piece: stdout.write(base64.b64encode(piece)))


def _copy(file: Path, write: Callable[[bytes], object]) -> None:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            write(piece)


def _zip(files: Iterable[tuple[Path, str]], archive: Path) -> None:
    import zipfile  # noqa: PLC0415  # one of three kinds of answer needs it

    # Zip can't tell times before 1980; a script may have set any.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as zipped:
        for path, name in files:
            zipped.write(path, name.encode("utf-8", "backslashreplace").decode())
