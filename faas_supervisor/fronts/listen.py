"""The listening front: events from a store's own notification stream, one invocation each."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

from faas_supervisor.errors import PluginError, Terminated
from faas_supervisor.fronts._signals import signals_for
from faas_supervisor.invocation import invoke
from faas_supervisor.logs import emit, log
from faas_supervisor.publish import announce
from faas_supervisor.resident import Resident
from faas_supervisor.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faas_supervisor.call import Call
    from faas_supervisor.plugins import Plugins
    from faas_supervisor.stop import Stop
    from faas_supervisor.storage import StorageProvider

__all__ = ["listen"]


def listen(call: Call, provider: str, path: str) -> int:
    """Handle every event of the stream until somebody ends it, and return the exit code.

    An invocation that fails is told in its result, and the next one follows.

    Raises:
        SupervisorError: The stream can't be opened.
    """
    resident = Resident(call.environment)
    function = resident.function(call)
    path = path.strip("/")
    with closing(resident), resident.opened(function) as opened:
        try:
            with signals_for(call.stop):
                resident.prepare(call)
                emit(logging.INFO, "listen.start", f"listening to {provider} {path}", provider=provider, path=path)
                with opened.stores.open(provider).borrow() as store:
                    for body in _until(call.stop, _events(resident.plugins, store, provider, path)):
                        announce(invoke(replace(call, body=body), resident), call.environment)
        except Terminated as error:
            log.debug("%s", error)
    emit(logging.INFO, "listen.end", f"no longer listening to {provider} {path}")
    return 0


def _until(stop: Stop, events: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the events until `stop` is set, which also ends the wait for one.

    Raises:
        Terminated: While waiting.
    """
    coming = iter(events)
    while not stop.is_set():
        with stop.interrupting():
            body = next(coming, None)
        if body is None:
            return
        yield body


def _events(plugins: Plugins, provider: StorageProvider, name: str, path: str) -> Iterable[bytes]:
    events = plugins.events(provider, path)
    if events is None:
        raise PluginError(f"{name} has no notification stream", hint="minio has one")
    return events
