"""The result: one JSON document that tells what happened, and where it goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

from faas_supervisor import __version__
from faas_supervisor.cgroup import limited_memory, memory_peak
from faas_supervisor.secrets import mask, masked
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faas_supervisor.errors import Failure
    from faas_supervisor.response import Response
    from faas_supervisor.script import Outcome
    from faas_supervisor.storage._transfer import Transferred

__all__ = ["Result", "RunResult", "Status", "Tally", "termination_message", "to_document", "to_json"]

Status = Literal["succeeded", "failed", "skipped"]

# Kubernetes cuts a container's termination message here.
_TERMINATION_BYTES: Final = 4096

# A million outputs must not become a result of 200 MB; the totals count them all.
_LISTED: Final = 1000


class Tally:
    """Counts transfers, and lists the first thousand; what was skipped is a file, but moved no bytes."""

    __slots__ = ("bytes", "files", "listed")

    def __init__(self) -> None:
        self.listed: list[Transferred] = []
        self.files = 0
        self.bytes = 0

    def add(self, transfer: Transferred) -> None:
        """Count one more."""
        self.files += 1
        if not transfer.skipped:
            self.bytes += transfer.size
        if len(self.listed) < _LISTED:
            self.listed.append(transfer)


@value
class RunResult:
    """What happened to one record: its script ran once, or something kept it from running."""

    record: str
    status: Status
    failure: Failure | None
    reason: str
    exit_code: int
    outcome: Outcome | None
    inputs: Tally
    outputs: Tally
    phases: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    response: Response | None = None
    limit: Mapping[str, object] | None = None
    log_tail: str = ""


@value
class Result:
    """What happened to the invocation. Its exit code is that of the first run that failed.

    `mounts` is the function's; it only decides where success is told, and is not told itself.
    """

    function: str
    status: Status
    failure: Failure | None
    reason: str
    exit_code: int
    event_id: str | None
    event_type: str | None
    runs: tuple[RunResult, ...]
    phases: Mapping[str, float]
    wall: float
    mounts: bool = False

    @property
    def response(self) -> Response | None:
        """What the script says about the HTTP response; the last word of several runs."""
        return next((run.response for run in reversed(self.runs) if run.response is not None), None)

    @property
    def signal(self) -> int | None:
        """The signal that ended the script which decided about the exit code, if one did."""
        for run in self.runs:
            if run.exit_code == self.exit_code and run.outcome is not None:
                return run.outcome.signal
        return None

    @property
    def limit(self) -> Mapping[str, object] | None:
        """The limit that the run which decided about the exit code exceeded, if it did."""
        return next((run.limit for run in self.runs if run.exit_code == self.exit_code), None)


def to_json(result: Result) -> str:
    """Return the result as one line of JSON, secrets masked. `docs/result.md` describes every key."""
    return json.dumps(masked({**to_document(result), "log_tail": _log_tail(result)}), ensure_ascii=False)


def termination_message(result: Result, limit: int = _TERMINATION_BYTES) -> bytes:
    """Return the result in at most `limit` bytes: the lists go first, then the details; the reason stays.

    What room is left is for the end of the script's output.

    Source of the limit: Kubernetes, "Determine the Reason for Pod Failure".
    """
    document = to_document(result)
    for dropped in ((), ("inputs", "outputs"), ("runs",), ("phases", "usage", "warnings")):
        for key in dropped:
            document.pop(key, None)
        if len(_encoded(document)) <= limit:
            return _with_tail(document, _log_tail(result), limit)
    head = {key: document[key] for key in ("status", "failure", "exit_code", "signal")}
    reason = mask(result.reason)[:limit]
    while True:
        text = _encoded({**head, "reason": reason})
        if len(text) <= limit or not reason:
            return text[:limit]
        # A character takes at most six bytes (an escaped control character), so this never cuts off too much.
        reason = reason[: -max(1, (len(text) - limit) // 6)]


def _with_tail(document: dict[str, Any], tail: str, limit: int) -> bytes:
    """Return `document` with as much of the end of `tail` as there is room for, beginning with a whole line."""
    tail = tail[-limit:]
    while tail:
        text = _encoded({**document, "log_tail": tail})
        if len(text) <= limit:
            return text
        tail = tail[max(1, (len(text) - limit) // 6) :]  # as above
        tail = tail.partition("\n")[2] or tail
    return _encoded(document)


def _log_tail(result: Result) -> str:
    return next((run.log_tail for run in result.runs if run.log_tail), "")


def _encoded(document: dict[str, Any]) -> bytes:
    # JSON may hold the bytes of a name that aren't UTF-8 as escaped surrogates, UTF-8 may not.
    return json.dumps(masked(document), ensure_ascii=False).encode("utf-8", "backslashreplace")


def to_document(result: Result) -> dict[str, Any]:
    """Return the result as a JSON document, secrets not masked yet, and without the script's output."""
    runs = result.runs
    return {
        "supervisor": __version__,
        "function": result.function,
        "status": result.status,
        "failure": result.failure,
        "reason": result.reason,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "limit": result.limit,
        "event": {"id": result.event_id, "type": result.event_type},
        "inputs": [_transfer(item) for run in runs for item in run.inputs.listed],
        "outputs": [_transfer(item) for run in runs for item in run.outputs.listed],
        "usage": _usage(result),
        "phases": {name: round(seconds, 4) for name, seconds in _phases(result).items()},
        "warnings": [warning for run in runs for warning in run.warnings],
        "runs": [_run(run) for run in runs] if len(runs) > 1 else [],
    }


def _run(run: RunResult) -> dict[str, Any]:
    return {
        "record": run.record,
        "status": run.status,
        "failure": run.failure,
        "reason": run.reason,
        "exit_code": run.exit_code,
        "signal": run.outcome.signal if run.outcome else None,
        "limit": run.limit,
    }


def _transfer(item: Transferred) -> dict[str, Any]:
    return {
        "provider": item.provider,
        "path": item.path.encode("utf-8", "backslashreplace").decode(),
        "bytes": item.size,
        "checksum": item.checksum,
        "etag": item.etag,
        "seconds": round(item.seconds, 4),
        "attempts": item.attempts,
        "skipped": item.skipped,
    }


def _usage(result: Result) -> dict[str, Any]:
    outcomes = [run.outcome for run in result.runs if run.outcome]
    limited = limited_memory()
    return {
        "wall_seconds": round(result.wall, 4),
        "user_seconds": round(sum(outcome.user for outcome in outcomes), 4),
        "system_seconds": round(sum(outcome.system for outcome in outcomes), 4),
        "voluntary_switches": sum(outcome.voluntary_switches for outcome in outcomes),
        "involuntary_switches": sum(outcome.involuntary_switches for outcome in outcomes),
        "peak_memory_bytes": max((outcome.peak_memory for outcome in outcomes), default=None),
        "group_peak_memory_bytes": max(
            (outcome.group_memory for outcome in outcomes if outcome.group_memory), default=None
        ),
        "container_peak_memory_bytes": memory_peak(limited),
        "memory_limit_bytes": limited.limit if limited else None,
        "input_files": sum(run.inputs.files for run in result.runs),
        "input_bytes": sum(run.inputs.bytes for run in result.runs),
        "output_files": sum(run.outputs.files for run in result.runs),
        "output_bytes": sum(run.outputs.bytes for run in result.runs),
    }


def _phases(result: Result) -> dict[str, float]:
    total = dict(result.phases)
    for run in result.runs:
        for name, seconds in run.phases.items():
            total[name] = total.get(name, 0.0) + seconds
    return total
