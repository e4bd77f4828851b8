"""Where the result goes: an object beside the outputs, the termination message, the last line of the log."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import NoSpace, SupervisorError
from faas_supervisor.logs import emit, log
from faas_supervisor.result import termination_message, to_document, to_json
from faas_supervisor.secrets import masked
from faas_supervisor.storage._names import join
from faas_supervisor.storage._parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from faas_supervisor.config import Target
    from faas_supervisor.report import RunReport
    from faas_supervisor.result import Result
    from faas_supervisor.storage._store import Store, Stores
    from faas_supervisor.storage._transfer import Transfer, Transferred

__all__ = ["announce", "tell", "upload_logs", "upload_result"]

# OSCAR 4.1.2 ends the command of a Job with a `mount:` by `;echo "I finish" > /tmpfolder/finish-file;`, and nothing
# makes that folder: the Job's status would always be that of a shell which fails to write there.
_LAST_WORD: Final = "/tmpfolder"  # noqa: S108  # no folder for temporary files, whatever it is called

# Where Kubernetes reads it unless the pod says otherwise (terminationMessagePath).
_TERMINATION_LOG: Final = "/dev/termination-log"


def upload_result(result: Result, *, target: Target, name: str, file: Path, stores: Stores, transfer: Transfer) -> None:
    """Upload the result, by way of `file`, as `<name>.result.json` into the folder `target`.

    It comes last: whoever sees it knows that all outputs are there.

    Raises:
        SupervisorError: It can't be uploaded.
    """
    try:
        file.write_text(to_json(result) + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise NoSpace(f"the result can't be written to {file}: {error.strerror}") from error
    path = join(target.path, f"{name}.result.json")

    def move(store: Store) -> Transferred:
        return transfer.upload(store, file, path)

    for _, outcome in in_parallel(move, [stores.open(target.provider)], width=1, stop=transfer.stop):
        if isinstance(outcome, SupervisorError):
            raise outcome


def upload_logs(
    files: Sequence[Path], *, target: Target, name: str, stores: Stores, transfer: Transfer, report: RunReport
) -> None:
    """Upload the script's output into the folder `target`, as `<name>.stdout.log` and `<name>.stderr.log`.

    What fails is noted in `report`.
    """

    def move(file: Path) -> Transferred:
        return transfer.upload(stores.open(target.provider), file, join(target.path, f"{name}.{file.name}"))

    for file, outcome in in_parallel(move, files, width=transfer.files, stop=transfer.stop):
        if isinstance(outcome, SupervisorError):
            report.fail(outcome, "upload.failed", provider=target.provider, file=file.name)


def announce(result: Result, environment: Mapping[str, str]) -> None:
    """Write the termination message, where there is a place for it, and the last line of the log.

    In a Job of OSCAR with a `mount:`, success is also told by a folder.
    """
    if result.mounts and result.exit_code == 0 and "JOB_UUID" in environment:
        _make_last_word()
    path = environment.get("FAAS_SUPERVISOR_TERMINATION_LOG") or _TERMINATION_LOG
    if path != _TERMINATION_LOG or os.path.exists(path):  # noqa: PTH110  # a start-up path
        try:
            with open(path, "wb") as stream:  # noqa: PTH123  # as above
                stream.write(termination_message(result))
        except OSError as error:
            log.warning("the termination message can't be written to %s: %s", path, error.strerror)
    tell(result)


def tell(result: Result) -> None:
    """Write the line of the log that says what became of an event."""
    level = logging.ERROR if result.status == "failed" else logging.INFO
    if not log.isEnabledFor(level):
        return
    # Without the end of the script's output, which the log shows a few lines above.
    document = to_document(result)
    line = json.dumps(masked(document), ensure_ascii=False)
    emit(level, "result", f"result {line}", result=document)


def _make_last_word() -> None:
    """Make the folder that lets the Job's shell end well; only success may, so that a failed Job counts as one."""
    try:
        os.makedirs(_LAST_WORD, exist_ok=True)  # noqa: PTH103  # as above
    except OSError as error:
        log.warning(
            "the Job will count as failed, since %s can't be made (%s) for its last command to write there",
            _LAST_WORD,
            error.strerror,
        )
