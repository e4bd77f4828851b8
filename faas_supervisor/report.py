"""Gathers what happens during an invocation, until it is a `Result`."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import ConfigurationError, Failure, LimitExceeded, SupervisorError
from faas_supervisor.logs import emit, log
from faas_supervisor.result import Result, RunResult, Tally
from faas_supervisor.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from faas_supervisor.config import Function
    from faas_supervisor.events import Event
    from faas_supervisor.response import Response
    from faas_supervisor.script import Outcome

__all__ = ["Report", "RunReport"]

# A million files that no output wants must not become a list of a million warnings.
_WARNINGS: Final = 1000
_MORE: Final = "there are more warnings; LOG_LEVEL=DEBUG shows them"


class _Clock:
    """Seconds spent in each phase."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what happens inside towards the phase `name`."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - begun


class RunReport(_Clock):
    """What happens to one record."""

    def __init__(self, record: str) -> None:
        super().__init__()
        self.record = record
        self.inputs = Tally()
        self.outputs = Tally()
        self.warnings: list[str] = []
        self.outcome: Outcome | None = None
        self.response: Response | None = None
        self.log_tail = ""
        self._error: SupervisorError | None = None
        self._cut_short = False

    def warn(self, message: str) -> None:
        """Log a warning about this record, and keep it for the result; after a thousand, at DEBUG only."""
        level = logging.WARNING
        if len(self.warnings) < _WARNINGS:
            self.warnings.append(message)
        elif len(self.warnings) == _WARNINGS:
            self.warnings.append(_MORE)
            emit(level, "output.warning", f"{self.record}: {_MORE}", record=self.record)
        if len(self.warnings) > _WARNINGS:
            level = logging.DEBUG
        emit(level, "output.warning", f"{self.record}: {message}", record=self.record)

    def starting(self, argv: Sequence[str]) -> None:
        """Log that the script starts."""
        emit(logging.INFO, "script.start", f"{self.record}: {' '.join(argv)}", record=self.record, command=list(argv))

    def ended(self, outcome: Outcome) -> None:
        """Note how the script ended."""
        self.outcome = outcome
        level = logging.ERROR if outcome.status and not self._cut_short else logging.INFO
        emit(level, "script.done", _ending(outcome), record=self.record, status=outcome.status, signal=outcome.signal)

    def fail(self, error: SupervisorError, event: str = "failure", **fields: object) -> None:
        """Note why this record failed; the first reason is the one that counts."""
        if error.outcome is not None:
            self._cut_short = True
            self.ended(error.outcome)
        if isinstance(error, LimitExceeded):
            event, fields = "script.limit", {"limit": error.limit, "value": error.value, "maximum": error.maximum}
        say(error, event, **fields)
        self._error = self._error or error

    @property
    def failed(self) -> bool:
        """Whether anything failed so far, the script included."""
        return self._error is not None or (self.outcome is not None and self.outcome.status != 0)

    def result(self) -> RunResult:
        """Return what happened.

        The script's own failure comes before those of moving its outputs, and why it was ended before its own.
        """
        failure, reason, code = None, "", 0
        if self.outcome is not None and self.outcome.status != 0 and not self._cut_short:
            failure, reason, code = Failure.SCRIPT, _ending(self.outcome), self.outcome.status
        elif self._error is not None:
            failure, reason, code = self._error.failure, str(self._error), self._error.failure.exit_code
            if failure is Failure.SCRIPT and self.outcome is not None:
                # It met the limit itself, or was ended for one that has no code: the status stays its own.
                reason, code = f"{reason}; {_ending(self.outcome)}", self.outcome.status or code
        return RunResult(
            record=self.record,
            status="failed" if failure else "succeeded",
            failure=failure,
            reason=reason,
            exit_code=code,
            outcome=self.outcome,
            inputs=self.inputs,
            outputs=self.outputs,
            phases=self.phases,
            warnings=tuple(self.warnings),
            response=self.response,
            limit=self._limit(),
            log_tail=self.log_tail,
        )

    def _limit(self) -> Mapping[str, object] | None:
        error = self._error
        if not isinstance(error, LimitExceeded):
            return None
        return {"name": error.limit, "value": error.value, "maximum": error.maximum}


class Report(_Clock):
    """What happens to an invocation."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic()
        self.function: Function | None = None
        self.event: Event | None = None
        self._runs: list[RunResult] = []
        self._error: SupervisorError | None = None

    def add(self, run: RunResult) -> None:
        """Add a record that is done with. Of many only one tail is told: of the first that failed, else the last."""
        if self.failed:
            run = replace(run, log_tail="")
        elif self._runs:
            self._runs[-1] = replace(self._runs[-1], log_tail="")
        self._runs.append(run)

    def fail(self, error: SupervisorError) -> None:
        """Note that the whole invocation failed."""
        say(error)
        self._error = self._error or error

    def crash(self, error: Exception) -> None:
        """Note a defect of the supervisor itself."""
        log.debug("internal error", exc_info=error)
        self.fail(
            SupervisorError(
                f"internal error: {type(error).__name__}: {error}",
                hint="this is a defect of the supervisor; LOG_LEVEL=DEBUG shows where",
            )
        )

    @property
    def failed(self) -> bool:
        """Whether a record failed so far."""
        return any(run.failure for run in self._runs)

    def result(self) -> Result:
        """Return what happened so far."""
        failed = next((run for run in self._runs if run.failure), None)
        event = self.event
        skipped = event.skipped if event else None
        if failed is not None:
            status, failure, reason, code = failed.status, failed.failure, failed.reason, failed.exit_code
            bad = sum(1 for run in self._runs if run.failure)
            if len(self._runs) > 1:
                reason = f"{bad} of {len(self._runs)} records failed; the first, {failed.record}: {reason}"
        elif self._error is not None:
            status, failure = "failed", self._error.failure
            reason, code = _told(self._error), failure.exit_code
        elif skipped is not None:
            status, failure, reason, code = "skipped", None, skipped, 0
        else:
            status, failure, reason, code = "succeeded", None, "", 0
        return Result(
            function=self.function.name if self.function else "",
            status=status,
            failure=failure,
            reason=reason,
            exit_code=code,
            event_id=event.id if event else None,
            event_type=event.type if event else None,
            runs=tuple(self._runs),
            phases=self.phases,
            wall=time.monotonic() - self._begun,
            mounts=self.function is not None and self.function.mounts,
        )


def say(error: SupervisorError, event: str = "failure", **fields: object) -> None:
    """Log a failure: one line each for a person, where it came from at DEBUG."""
    for line in error.faults if isinstance(error, ConfigurationError) and error.faults else (str(error),):
        emit(logging.ERROR, event, line, failure=error.failure, **fields)
    if error.__cause__ is not None:
        log.debug("the cause", exc_info=error)


def _told(error: SupervisorError) -> str:
    if isinstance(error, ConfigurationError) and error.faults:
        return "; ".join(error.faults)
    return str(error)


def _ending(outcome: Outcome) -> str:
    if outcome.signal is None:
        return f"the script exited with status {outcome.status}"
    try:
        name = signal.Signals(outcome.signal).name
    except ValueError:  # a real-time signal
        name = "real-time"
    return f"the script was ended by signal {outcome.signal} ({name})"
