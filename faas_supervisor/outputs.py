"""What the script wrote: which files go where, and a word about everything that goes nowhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from faas_supervisor.errors import OutputError, printable
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faas_supervisor.config import Output
    from faas_supervisor.report import RunReport
    from faas_supervisor.stream import Stream

__all__ = ["Upload", "files_below", "matches", "uploads"]


@value
class Upload:
    """One file and one output that wants it."""

    file: Path
    name: str
    output: Output


def files_below(folder: Path, warn: Callable[[str], None]) -> Iterator[tuple[Path, str]]:
    """Yield every regular file below `folder` with its name relative to it.

    A symbolic link to a file that is itself below `folder` counts as that file. What else is there and no
    folder (links out of it or to nowhere, FIFOs, sockets, devices) is refused: `warn` gets a sentence.

    Raises:
        OutputError: A folder can't be read, or `folder` is a link by now.
    """
    if folder.is_symlink():
        raise OutputError("the output folder was replaced by a symbolic link", hint="write into $TMP_OUTPUT_DIR itself")
    root = Path(os.path.realpath(folder))
    pending = [folder]
    while pending:
        for entry in _entries(pending.pop(), folder):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif problem := _refused(entry, root):
                warn(f"{printable(str(path.relative_to(folder)))} is left out: {problem}")
            else:
                yield path, str(path.relative_to(folder))


def _entries(current: Path, folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(current) as entries:
            yield from entries
    except OSError as error:
        name = printable(str(current.relative_to(folder)))
        raise OutputError(
            f"the output folder can't be read at {name}: {error.strerror}",
            hint="the script may have removed or shut it",
        ) from error


def uploads(
    folder: Path, outputs: Sequence[Output], report: RunReport, stream: Stream | None = None
) -> Iterator[Upload]:
    """Yield what has to be uploaded, and tell `report` of outputs that nothing matched and files that no output wants.

    What `stream` has uploaded, and what has not changed since, is left out.

    Raises nothing: whoever uploads what came so far must not be interrupted by it.
    """
    if not outputs:
        return
    matched = [stream.uploaded(number) if stream else 0 for number in range(len(outputs))]
    try:
        for file, name in files_below(folder, report.warn):
            wanted = False
            for index, output in enumerate(outputs):
                if matches(name, output):
                    wanted = True
                    if stream is None or not stream.has_uploaded(file, name, index):
                        matched[index] += 1
                        yield Upload(file, name, output)
            if not wanted:
                report.warn(f"{printable(name)} is not uploaded: it matches no output")
    except OutputError as error:
        report.fail(error)
        return
    for output, count in zip(outputs, matched, strict=True):
        if count == 0:
            _nothing_matched(output, report)


def _nothing_matched(output: Output, report: RunReport) -> None:
    where = f"{output.provider} {output.path} {_filters(output)}"
    if output.required:
        report.fail(OutputError(f"no file matched the output {where}", hint="it is required"))
    else:
        report.warn(f"0 files matched the output {where}")


def matches(name: str, output: Output) -> bool:
    """Whether the file `name` (relative to the output folder) passes both filters of `output`."""
    return (not output.prefix or name.startswith(output.prefix)) and (not output.suffix or name.endswith(output.suffix))


def _filters(output: Output) -> str:
    shown = [
        f"{kind} {', '.join(values)}"
        for kind, values in (("prefix", output.prefix), ("suffix", output.suffix))
        if values
    ]
    return f"({'; '.join(shown)})" if shown else "(no filters)"


def _refused(entry: os.DirEntry[str], root: Path) -> str:
    if entry.is_symlink():
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(root):
            return "it is a symbolic link out of the output folder"
        if not os.path.isfile(target):  # noqa: PTH113  # Path.is_file raises in a folder that is shut
            return "it is a symbolic link, and not to a file"
        return ""
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISREG(mode):
        return ""
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}
    return f"it is {kinds.get(stat.S_IFMT(mode), 'no regular file')}"
