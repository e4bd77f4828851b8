"""The life of the watchdog: start, serve, stop in good order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from faas_supervisor import __version__, logs
from faas_supervisor.errors import ConfigurationError, SupervisorError
from faas_supervisor.fronts._streams import ensure_open, forget_broken
from faas_supervisor.fronts.watchdog._lock import LockFile
from faas_supervisor.fronts.watchdog._settings import read_settings
from faas_supervisor.logs import emit, log
from faas_supervisor.secrets import mask
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from faas_supervisor.fronts.watchdog._calls import Calls, Program
    from faas_supervisor.fronts.watchdog._metrics import Metrics
    from faas_supervisor.fronts.watchdog._server import Server
    from faas_supervisor.fronts.watchdog._settings import Settings

__all__ = ["main", "serve"]

# What ends scripts has its own patience (`kill_grace`); this is for what it can't end.
_LAST_WAIT: Final = 30.0

# How many scrapers there may be at the same time.
_SCRAPERS: Final = 16

_Value = TypeVar("_Value")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what `fwatchdog` is asked for, and return the exit code. Go's flags begin with one hyphen or two."""
    options = [argument.removeprefix("-").removeprefix("-") for argument in arguments]
    if unknown := [argument for argument in arguments if argument.lstrip("-") not in {"version", "run-healthcheck"}]:
        sys.stderr.write(f"fwatchdog: {unknown[0]} is not known; there are -version and -run-healthcheck\n")
        return 2
    if "run-healthcheck" in options:
        if LockFile(environment).exists():
            return 0
        sys.stderr.write("unable to find lock file.\n")
        return 1
    if "version" in options:
        sys.stdout.write(f"faas-supervisor {__version__}\n")
        return 0
    return serve(environment)


def serve(environment: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code."""
    ensure_open()
    logs.configure("INFO")
    # A parent may have us ignore the end of our children; then nobody could tell how a script ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    settings = read_settings(environment)
    try:
        with Workspace(environment) as workspace:
            code = asyncio.run(_serve(settings, dict(environment), workspace))
    except SupervisorError as error:
        for fault in (error.faults if isinstance(error, ConfigurationError) else ()) or (str(error),):
            log.error("%s", mask(fault))
        code = error.failure.exit_code
    forget_broken()
    # A transfer that hangs in a library can't be interrupted, and Python would wait for its thread.
    os._exit(code)


async def _serve(settings: Settings, environment: Mapping[str, str], workspace: Workspace) -> int:
    from faas_supervisor.fronts.watchdog._calls import UNLIMITED, Calls  # noqa: PLC0415  # after -version
    from faas_supervisor.fronts.watchdog._metrics import Metrics  # noqa: PLC0415
    from faas_supervisor.fronts.watchdog._server import Server, connection_limit  # noqa: PLC0415

    lock = LockFile(environment)
    metrics = Metrics()
    calls = Calls(
        _program(settings, environment, metrics),
        settings,
        environment,
        folder=workspace.root,
        lock=lock,
        metrics=metrics,
    )
    ending = _Ending()
    largest = connection_limit(min(settings.max_inflight or UNLIMITED, UNLIMITED))
    server = Server(calls, settings, port=settings.port, largest=largest)
    scraped = _scraped(metrics, settings)
    # What is loaded now stays: a collection of garbage need not go through it again and again.
    gc.freeze()
    server.start()
    if scraped is not None:
        scraped.start()
    if not settings.suppress_lock:
        lock.write()
    calls.accepting = True
    emit(logging.INFO, "serve.start", f"listening on port {server.port}", port=server.port)
    await ending.asked.wait()
    calls.accepting = False
    lock.remove()
    emit(logging.INFO, "serve.stop", f"no new connections in {settings.healthcheck_interval:g} s")
    await ending.unless_hurried(asyncio.sleep(settings.healthcheck_interval))
    await _drain(server, calls, settings, ending)
    calls.close()
    emit(logging.INFO, "serve.end", "no longer listening")
    return 0


async def _drain(server: Server, calls: Calls, settings: Settings, ending: _Ending) -> None:
    """Let what runs end by itself for up to `write_timeout`, then end it."""
    server.stop()
    if not await ending.unless_hurried(server.drained(settings.write_timeout)):
        log.warning("what still runs is ended")
        calls.stop_all()
        if not await server.drained(_LAST_WAIT):
            server.abort()


def _program(settings: Settings, environment: Mapping[str, str], metrics: Metrics) -> Program:
    if settings.process:
        from faas_supervisor.fronts.watchdog._program import External  # noqa: PLC0415  # one of the two

        return External(settings)
    from faas_supervisor.fronts._service import Service  # noqa: PLC0415

    service = Service(environment, ended=metrics.ended)
    service.prepare()
    return service


def _scraped(metrics: Metrics, settings: Settings) -> Server | None:
    """Return the server of the metrics; a function is served without them as well."""
    from faas_supervisor.fronts.watchdog._server import Server  # noqa: PLC0415

    if not settings.metrics_port:
        return None
    try:
        return Server(metrics, settings, port=settings.metrics_port, largest=_SCRAPERS)
    except ConfigurationError as error:
        log.warning("there are no metrics: %s", error)
        return None


class _Ending:
    """What SIGTERM and SIGINT ask for: the first one an end in good order, the second one an end without waiting."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._hurried = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        (self._hurried if self.asked.is_set() else self.asked).set()

    async def unless_hurried(self, waiting: Coroutine[Any, Any, _Value]) -> _Value | None:
        """Return what `waiting` returns, or None when somebody is in a hurry."""
        wait, hurried = asyncio.ensure_future(waiting), asyncio.ensure_future(self._hurried.wait())
        await asyncio.wait((wait, hurried), return_when=asyncio.FIRST_COMPLETED)
        for task in (wait, hurried):
            task.cancel()
        return wait.result() if wait.done() and not wait.cancelled() else None
