"""The answer to an event that came with its own data: what a caller of the function gets back.

As OSCAR's clients expect: base64 of the one file in the output folder, or of a zip of all of them, or
the script's own output when there is none. The bytes themselves for a client that asks for them, or when the script
tells their type. Streamed from disk, whatever the size.
"""

from __future__ import annotations

import base64
import errno
import os
from contextlib import closing, contextmanager
from itertools import chain, islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import Failure, NoSpace, OutputError, printable
from faas_supervisor.logs import log
from faas_supervisor.outputs import files_below
from faas_supervisor.secrets import mask
from faas_supervisor.sinks import FileSink, Tee

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from faas_supervisor.call import Call
    from faas_supervisor.config import Function
    from faas_supervisor.planning import Run
    from faas_supervisor.report import RunReport
    from faas_supervisor.response import Response
    from faas_supervisor.result import Result
    from faas_supervisor.script import Sink
    from faas_supervisor.workspace import Folders

__all__ = ["answering", "explanation"]

# A multiple of 3, so that the pieces' encodings join to that of the whole.
_PIECE: Final = 3 * 64 * 1024


@contextmanager
def answering(
    run: Run, folders: Folders, call: Call, function: Function, report: RunReport
) -> Iterator[tuple[Sink, Sink]]:
    """Give the sinks for the script's output, and write the answer when everything else is done.

    The script's output is the answer to a storage event, as it comes. For a payload it may have to give
    way to files, so it is recorded, and shown with the log meanwhile. The script's standard error is part of
    its output for a client that waits, unless the front or the configuration separates them.

    Raises:
        NoSpace: The answer could not be recorded or packed.
        OutputError: What the script wrote can't be read.
    """
    combined = function.combine_output and (call.client is None or call.client.combined)
    if not any(item.record.is_payload for item in run.items):
        yield call.stdout, call.stdout if combined and call.client is not None else call.stderr
        report.response = _response(folders, call, report)
        return
    with closing(FileSink(folders.private / "output")) as kept:
        shown = Tee(kept, call.stderr)
        yield shown, shown if combined else call.stderr
    if kept.failed is not None:
        raise NoSpace(f"the script's output can't be kept: {kept.failed}") from kept.failed
    report.response = response = _response(folders, call, report)
    raw = call.client is not None and (call.client.raw or bool(response and response.content_type))
    try:
        kind = _write_answer(
            folders, kept.file, succeeded=not report.failed, stdout=call.stdout, warn=report.warn, raw=raw
        )
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(f"the answer can't be packed: {error}") from error
        raise OutputError(f"the answer can't be read: {error}") from error
    if kind is not None:
        report.response = _typed(response, kind)


def explanation(result: Result) -> bytes:
    """Return one line that tells a client why there is no answer; nothing where the script itself failed."""
    if result.failure in {None, Failure.SCRIPT}:
        return b""
    return f"{printable(mask(result.reason))}\n".encode("utf-8", "backslashreplace")


def _response(folders: Folders, call: Call, report: RunReport) -> Response | None:
    """Return what the script says about the response, where it succeeded and the front can pass it on."""
    if report.failed or not os.path.lexists(folders.response):
        return None
    if call.client is None or not call.client.response:
        log.info("%s: response.json is ignored, since nothing here can pass it on", report.record)
        return None
    from faas_supervisor.response import read_response  # noqa: PLC0415  # few scripts write one

    return read_response(folders.response)


def _typed(response: Response | None, kind: str) -> Response:
    """Add the type of the bytes that are the answer, unless the script told it."""
    from faas_supervisor.response import Response  # noqa: PLC0415  # as above

    response = response or Response()
    if response.content_type is not None:
        return response
    return Response(response.status, MappingProxyType({**response.headers, "Content-Type": kind}))


def _write_answer(
    folders: Folders, recorded: Path, *, succeeded: bool, stdout: Sink, warn: Callable[[str], None], raw: bool
) -> str | None:
    """Write the answer to `stdout`, and return its type if it is `raw`; after a failure it is what the script said."""
    found = files_below(folders.output, warn) if succeeded else iter(())
    first = list(islice(found, 2))
    if not first:
        _copy(recorded, stdout.write)
        return None
    answer, kind = first[0][0], "application/octet-stream"
    if len(first) > 1:
        answer = folders.private / "answer.zip"
        kind = "application/zip"
        _zip(chain(first, found), answer)
    _copy(answer, stdout.write if raw else lambda piece: stdout.write(base64.b64encode(piece)))
    return kind if raw else None


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
