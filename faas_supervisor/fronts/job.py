"""The job front: one event from standard input, as OSCAR starts it: `sh -c 'echo $EVENT | supervisor'`."""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

from faas_supervisor import logs
from faas_supervisor.answer import explanation
from faas_supervisor.call import Call
from faas_supervisor.errors import SupervisorError
from faas_supervisor.events import repair
from faas_supervisor.fronts._classic import client_of, in_time, move_log
from faas_supervisor.fronts._parent import ended_with_parent
from faas_supervisor.fronts._signals import signals_for
from faas_supervisor.fronts._streams import Descriptor, ensure_open, forget_broken, receive
from faas_supervisor.invocation import invoke
from faas_supervisor.publish import announce, tell
from faas_supervisor.report import Report
from faas_supervisor.sinks import Tee
from faas_supervisor.stop import Stop
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from faas_supervisor.result import Result

__all__ = ["handle", "main", "request_headers"]


def main(environment: Mapping[str, str]) -> int:
    """Handle the event on standard input and return the exit code."""
    ensure_open()
    client = client_of(environment)
    problem = "" if client is None else move_log()
    logs.configure("INFO")
    environment = dict(environment)  # the script's; ours has to lose a variable
    # Behind a watchdog a caller's header `Proxy:` arrives as this; HTTP libraries look for proxies whatever the
    # case, so anybody could lead our transfers to a server of theirs (CVE-2016-5385 and its kin).
    os.environ.pop("Http_Proxy", None)
    spool = ExitStack()
    try:
        # Not `sys.stdin`, which is None when we were started without one.
        with open(0, "rb", buffering=0, closefd=False) as stdin:  # a descriptor
            body = receive(stdin, lambda: spool.enter_context(Workspace(environment)).root)
    except SupervisorError as error:
        report = Report()
        report.fail(error)
        spool.close()
        _note(problem)
        _tell(report.result(), Call(b"", environment, stdout=Descriptor(1), stderr=Descriptor(2), client=client))
        return error.failure.exit_code
    folder = None
    if isinstance(body, bytes):
        body, note = repair(body, environment.get("EVENT"))
        if note:
            logs.log.info("%s", note)
    else:
        folder = body.parent
    stop = Stop()
    call = Call(
        body,
        environment,
        stdout=Descriptor(1, stop),
        # What the script says is in the answer, and would be in there twice.
        stderr=Tee() if problem else Descriptor(2, stop),
        headers=request_headers(environment),
        folder=folder,
        stop=stop,
        client=client,
    )
    with ended_with_parent(call.stop):
        return handle(call, spool, problem)


def request_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of the request that a watchdog started us for, by lower-case name; none in a Job.

    The classic watchdog of OpenFaaS sets `Http_Method`, and `Http_Ce_Id` for a header `Ce-Id`.
    """
    if "Http_Method" not in environment:
        return {}
    return {
        name.removeprefix("Http_").replace("_", "-").lower(): value
        for name, value in environment.items()
        if name.startswith("Http_")
    }


def handle(call: Call, spool: AbstractContextManager[object] | None = None, problem: str = "") -> int:
    """Handle one event, tell the result, and return the exit code.

    `spool` is closed when the event is done with. `problem` is then logged, if the log says anything at all.
    """
    in_good_time = nullcontext() if call.client is None else in_time(call.stop, call.environment)
    with signals_for(call.stop), in_good_time, spool or nullcontext():
        result = invoke(call)
    _note(problem)
    _tell(result, call)
    if call.stop.is_set():
        # A transfer that hangs in a library can't be interrupted, and Python would wait for its thread.
        os._exit(result.exit_code)
    return result.exit_code


def _note(problem: str) -> None:
    if problem:
        logs.log.warning("%s", problem)


def _tell(result: Result, call: Call) -> None:
    """Tell the result: to a client that waits the reason of a failure, in a Job the termination message as well."""
    if call.client is None:
        announce(result, call.environment)
    else:
        # A request does not end its container, so it has no termination message.
        call.stdout.write(explanation(result))
        tell(result)
    forget_broken()
