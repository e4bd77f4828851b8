"""One process for each request, behind an unmodified classic watchdog of OpenFaaS.

What it reads from our streams is the client's answer, and what it does at its time-outs is to cut the connection, or
to kill this process alone. So the log goes elsewhere, and we are done before.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from faas_supervisor.call import Client
from faas_supervisor.errors import Failure, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faas_supervisor.stop import Stop

__all__ = ["client_of", "combines", "in_time", "move_log"]

_STDERR: Final = 2

# The watchdog's own default, in seconds (classic-watchdog 0.2.1, `readconfig.go`).
_WRITE_TIMEOUT: Final = 5.0

# What ending the script, clearing up and writing the answer may take: a tenth of the time, or this.
_RESERVE: Final = 2.0


def client_of(environment: Mapping[str, str]) -> Client | None:
    """Return who waits for the answer; None in a Job, which no watchdog has started."""
    return Client(combined=combines(environment)) if "Http_Method" in environment else None


def combines(environment: Mapping[str, str]) -> bool:
    """Whether the script's standard error is part of the answer, by the rule of the classic watchdog."""
    return (environment.get("combine_output") or "true") == "true"


def move_log() -> str:
    """Lead standard error to that of the watchdog, the container's log; return why it is part of the answer if it is.

    The watchdog is the nearest ancestor that does not write where we do; in OSCAR's pods it is process 1.
    """
    ours = [_file(os.fstat(number)) for number in (1, _STDERR)]
    problem = "it is the answer's"
    for pid in _ancestors():
        place = f"/proc/{pid}/fd/{_STDERR}"
        try:
            if _file(os.stat(place)) in ours:  # noqa: PTH116  # a start-up path
                continue
            handle = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            problem = str(error)
            continue
        os.dup2(handle, _STDERR)
        os.close(handle)
        return ""
    if ours[0] != ours[1]:
        return ""  # the watchdog passes on what comes on a pipe of its own
    return f"the log may be part of the answer, since that of the container can't be opened: {problem}"


@contextmanager
def in_time(stop: Stop, environment: Mapping[str, str]) -> Iterator[None]:
    """Set `stop` a little before the watchdog would end the request in its own way."""
    from faas_supervisor.fronts._numbers import seconds  # noqa: PLC0415  # behind a watchdog only

    limits = {name: seconds(environment.get(name, "")) for name in ("write_timeout", "exec_timeout")}
    if limits["write_timeout"] is None:
        limits["write_timeout"] = _WRITE_TIMEOUT
    name, limit = min(
        ((name, limit) for name, limit in limits.items() if limit), key=lambda one: one[1], default=("", 0)
    )
    if not limit:
        yield
        return
    error = LimitExceeded(
        "time",
        limit,
        limit,
        message=f"time_limit: there is no answer yet, and {name} of the watchdog ({limit:g} s) is nearly over",
        failure=Failure.TIME_LIMIT,
        at_once=True,
        hint=f"raise {name}",
    )
    timer = threading.Timer(max(0.0, limit - min(_RESERVE, limit / 10) - _age()), stop.set, [error])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _file(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _fields(pid: int) -> list[bytes]:
    """Return what `/proc` tells of a process, its state first (proc_pid_stat(5))."""
    with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123  # a start-up path
        return stream.read().rpartition(b")")[2].split()


def _ancestors() -> Iterator[int]:
    """Yield our parent, its parent, and so on up to process 1, as far as they can be seen."""
    pid = os.getppid()
    while pid > 0:
        yield pid
        try:
            pid = int(_fields(pid)[1])
        except (OSError, ValueError, IndexError):
            return


def _age() -> float:
    """Return for how many seconds this process has run."""
    try:
        started = int(_fields(os.getpid())[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
