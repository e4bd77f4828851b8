"""Inputs in, outputs out: between the stores and the folders of one run."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faas_supervisor.errors import NoSpace, SupervisorError
from faas_supervisor.outputs import uploads
from faas_supervisor.storage._meter import ensure_room
from faas_supervisor.storage._names import join, safe_join
from faas_supervisor.storage._parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faas_supervisor.outputs import Upload
    from faas_supervisor.planning import Run, Source
    from faas_supervisor.report import RunReport
    from faas_supervisor.storage._store import Stores
    from faas_supervisor.storage._transfer import Transfer, Transferred
    from faas_supervisor.stream import Stream
    from faas_supervisor.workspace import Folders

__all__ = ["stage_in", "stage_out", "streaming"]


def stage_in(run: Run, folders: Folders, stores: Stores, transfer: Transfer, report: RunReport) -> tuple[Path, ...]:
    """Bring the run's files and payloads into the input folder, several at a time, and return where they are.

    Returns nothing when the configuration leaves files where they are.

    Raises:
        SupervisorError: It can't be brought; nothing of it is left then.
    """
    destinations = [safe_join(folders.input, item.name) for item in run.items]
    sizes = (item.source.size or 0 for item in run.items if item.source is not None)
    ensure_room(folders.input, sum(sizes), run.label)

    to_fetch: list[tuple[Source, Path, Path]] = []
    for number, (item, destination) in enumerate(zip(run.items, destinations, strict=True)):
        destination.parent.mkdir(mode=0o700, exist_ok=True)
        if item.record.data is not None:
            _write(item.record.data, destination)
        elif item.record.file is not None:
            _move(item.record.file, destination)
        elif item.source is not None:
            to_fetch.append((item.source, destination, folders.private / f"download-{number}"))

    def fetch(job: tuple[Source, Path, Path]) -> Transferred:
        source, destination, partial = job
        store = stores.open(source.provider)
        return transfer.download(store, source.ref, destination, partial=partial, size=source.size)

    for _, outcome in in_parallel(fetch, to_fetch, width=transfer.files, stop=transfer.stop):
        if isinstance(outcome, SupervisorError):
            raise outcome
        report.inputs.add(outcome)
    return tuple(path for path in destinations if path.exists())


def stage_out(
    run: Run, folders: Folders, stores: Stores, transfer: Transfer, report: RunReport, *, stream: Stream | None = None
) -> None:
    """Upload every file of the output folder that an output wants, several at a time; not what `stream` has uploaded.

    What fails is noted in `report`, and does not stop the others.

    Raises:
        SupervisorError: The invocation has to end.
    """

    def move(upload: Upload) -> Transferred:
        path = join(upload.output.path, upload.name)
        store = stores.open(upload.output.provider)
        return transfer.upload(store, upload.file, path, unless_there=stream is not None and stream.covers(upload.name))

    wanted = uploads(folders.output, run.outputs, report, stream)
    for upload, outcome in in_parallel(move, wanted, width=transfer.files, stop=transfer.stop):
        if isinstance(outcome, SupervisorError) and transfer.stop.is_set():
            raise outcome
        if isinstance(outcome, SupervisorError):
            report.fail(outcome, "upload.failed", provider=upload.output.provider, file=upload.name)
        else:
            report.outputs.add(outcome)


@contextmanager
def streaming(
    name: str, run: Run, folders: Folders, *, stores: Stores, transfer: Transfer, report: RunReport
) -> Iterator[Stream | None]:
    """Upload what is finished in the stream folder `name` while the script runs inside; without a name, do nothing."""
    if not name or not run.outputs:
        yield None
        return
    from faas_supervisor.stream import Stream  # noqa: PLC0415  # few functions have one

    with Stream(
        name, root=folders.output, outputs=run.outputs, stores=stores, transfer=transfer, report=report
    ) as stream:
        yield stream


def _write(data: bytes, destination: Path) -> None:
    ensure_room(destination.parent, len(data), "the event's data")
    try:
        with open(os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123
            stream.write(data)
    except OSError as error:
        raise NoSpace(f"the event's data can't be written: {error}") from error


def _move(file: Path, destination: Path) -> None:
    """Bring a payload that came in a file; its folder usually is on the workspace's disk, so no byte moves."""
    import shutil  # noqa: PLC0415  # payloads of many megabytes only

    try:
        file.chmod(0o600)
        shutil.move(file, destination)
    except OSError as error:
        raise NoSpace(f"the event's data can't be brought to the input folder: {error}") from error
