"""The job front: one event from standard input, as OSCAR starts it: `sh -c 'echo $EVENT | supervisor'`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from faas_supervisor import logs
from faas_supervisor.call import Call
from faas_supervisor.errors import SupervisorError
from faas_supervisor.events import repair
from faas_supervisor.fronts._signals import signals_for
from faas_supervisor.fronts._streams import Descriptor, ensure_open, forget_broken, read_event
from faas_supervisor.invocation import invoke
from faas_supervisor.publish import announce
from faas_supervisor.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["handle", "main", "request_headers"]


def main(environment: Mapping[str, str]) -> int:
    """Handle the event on standard input and return the exit code."""
    ensure_open()
    logs.configure("INFO")
    environment = dict(environment)  # the script's; ours has to lose a variable
    # Behind a watchdog a caller's header `Proxy:` arrives as this; HTTP libraries look for proxies whatever the
    # case, so anybody could lead our transfers to a server of theirs (CVE-2016-5385 and its kin).
    os.environ.pop("Http_Proxy", None)
    try:
        # Not `sys.stdin`, which is None when we were started without one.
        with open(0, "rb", buffering=0, closefd=False) as stdin:  # a descriptor
            body, note = repair(read_event(stdin), environment.get("EVENT"))
    except SupervisorError as error:
        report = Report()
        report.fail(error)
        announce(report.result(), environment)
        forget_broken()
        return error.failure.exit_code
    if note:
        logs.log.info("%s", note)
    return handle(
        Call(body, environment, stdout=Descriptor(1), stderr=Descriptor(2), headers=request_headers(environment))
    )


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


def handle(call: Call) -> int:
    """Handle one event, tell the result, and return the exit code."""
    with signals_for(call.stop):
        result = invoke(call)
    announce(result, call.environment)
    forget_broken()
    if call.stop.is_set():
        # A transfer that hangs in a library can't be interrupted, and Python would wait for its thread.
        os._exit(result.exit_code)
    return result.exit_code
