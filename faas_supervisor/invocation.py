"""One invocation: an event comes in, and exactly one result tells what became of it.

The way of the data, from top to bottom:

    bytes → decode → Event → plan → stage in → run script → stage out → Result
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faas_supervisor import script
from faas_supervisor.answer import answering
from faas_supervisor.body import decoded
from faas_supervisor.call import Once, credential_variables, find_script, transfer_of
from faas_supervisor.errors import SupervisorError, printable
from faas_supervisor.logs import emit, log
from faas_supervisor.planning import make_plan
from faas_supervisor.publish import upload_logs, upload_result
from faas_supervisor.recording import Recording
from faas_supervisor.report import Report, RunReport
from faas_supervisor.staging import stage_in, stage_out, streaming
from faas_supervisor.values import value
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from faas_supervisor.call import Call, Means, Opened
    from faas_supervisor.config import Function
    from faas_supervisor.events import Event
    from faas_supervisor.planning import Run
    from faas_supervisor.result import Result, RunResult
    from faas_supervisor.script import Sink
    from faas_supervisor.storage._transfer import Transfer
    from faas_supervisor.stream import Stream
    from faas_supervisor.workspace import Folders

__all__ = ["invoke"]


def invoke(call: Call, means: Means | None = None) -> Result:
    """Do everything that `call` asks for and return what happened; failures are in the result, not raised.

    `means` are those of a process that handles many events; a single invocation makes its own.
    """
    report = Report()
    try:
        _invoke(call, means or Once(call.environment), report)
    except SupervisorError as error:
        report.fail(error)
    except Exception as error:  # noqa: BLE001  # the last border: a defect of ours still gives a result
        report.crash(error)
    return report.result()


def _invoke(call: Call, means: Means, report: Report) -> None:
    with report.phase("configure"):
        function = report.function = means.function(call)
    with report.phase("decode"):
        event = report.event = decoded(call.body, call.headers, means.plugins.decode)
    for note in event.notes:
        log.info("%s", note)
    if event.skipped is not None:
        emit(logging.INFO, "event.skipped", event.skipped)
        return
    with report.phase("plan"):
        plan = make_plan(event, function, means.plugins.spec)
    with Workspace(call.environment, call.folder) as workspace, means.opened(function) as opened:
        with report.phase("plan"):
            for name in plan.providers:
                opened.stores.require(name)
            argv = script.command(find_script(call, function, workspace.root))
        invocation = _Invocation(call, function, event, argv, opened, transfer_of(function, call))
        for number, run in enumerate(plan.runs, start=1):
            with workspace.folders(number) as folders:
                report.add(invocation.process(run, folders))
            if call.stop.is_set() and report.failed:
                break  # the others would only say the same
        if function.result is not None and not call.stop.is_set():
            workspace.clear()  # a script that has filled the disk must not keep its result from being told
            with report.phase("publish"):
                upload_result(
                    report.result(),
                    target=function.result,
                    name=plan.runs[0].items[0].record.name,
                    file=workspace.root / "result.json",
                    stores=opened.stores,
                    transfer=invocation.transfer,
                )


@value
class _Invocation:
    """What all runs of one event share."""

    call: Call
    function: Function
    event: Event
    argv: list[str]
    opened: Opened
    transfer: Transfer

    def process(self, run: Run, folders: Folders) -> RunResult:
        """Take one run through its three steps; what goes wrong concerns this run only."""
        report, stores = RunReport(printable(run.label)), self.opened.stores
        try:
            with report.phase("stage_in"):
                files = stage_in(run, folders, stores, self.transfer, report)
            with answering(run, folders, self.call, self.function, report) as sinks:
                stream = self._run_script(run, folders, files, sinks, report)
                with report.phase("stage_out"):
                    if not report.failed or self.function.upload_on == "always":
                        stage_out(run, folders, stores, self.transfer, report, stream=stream)
                    else:
                        log.info("%s: the outputs are not uploaded, since the script failed", report.record)
        except SupervisorError as error:
            report.fail(error)
        return report.result()

    def _run_script(
        self, run: Run, folders: Folders, files: Sequence[Path], sinks: tuple[Sink, Sink], report: RunReport
    ) -> Stream | None:
        """Run the script, and return what uploaded its outputs meanwhile.

        What ended it before its time is noted in `report`: its outputs may be wanted all the same.
        """
        function, stop, stores = self.function, self.call.stop, self.opened.stores
        streamed = streaming(function.stream, run, folders, stores=stores, transfer=self.transfer, report=report)
        keeping = Recording(
            sinks, folders.private, tail=function.log_tail, files=function.logs is not None, warn=report.warn
        )
        with report.phase("script"), streamed as stream, keeping as recording:
            environment = script.script_environment(
                self.call.environment,
                variables=function.environment,
                secrets=credential_variables(function),
                event=self.event,
                run=run,
                files=files,
                folders=folders,
            )
            report.starting(self.argv)
            try:
                outcome = script.run_limited(
                    self.argv,
                    environment,
                    by=self.opened.run,
                    limits=function.limits,
                    guard=function.memory_guard,
                    output=folders.output,
                    stdout=recording.stdout,
                    stderr=recording.stderr,
                    stop=stop,
                    watches=() if stream is None else (stream,),
                    grace=function.kill_grace,
                )
                report.ended(outcome)
            except SupervisorError as error:
                if error.outcome is None or stop.is_set():
                    raise
                report.fail(error)
            finally:
                report.log_tail = recording.tail()
        if function.logs is not None:
            with report.phase("publish"):
                name = run.items[0].record.name
                upload_logs(
                    recording.files,
                    target=function.logs,
                    name=name,
                    stores=stores,
                    transfer=self.transfer,
                    report=report,
                )
        return stream
