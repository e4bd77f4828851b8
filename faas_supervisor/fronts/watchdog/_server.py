"""Listens, keeps the number of connections bounded, and goes in good order."""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import ConfigurationError
from faas_supervisor.fronts.watchdog._channel import Channel
from faas_supervisor.fronts.watchdog._connection import Connection
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from faas_supervisor.fronts.watchdog._connection import Handler
    from faas_supervisor.fronts.watchdog._settings import Settings

__all__ = ["Server", "connection_limit"]

_BACKLOG: Final = 1024

# How long a connection may be without a request before it may have to give way to another one.
_SILENT: Final = 1.0
_PAUSE: Final = 0.05

# A script's pipes and handles, the files of its body and its output; and what the process has anyway.
_PER_SCRIPT: Final = 20
_OWN: Final = 64


class Server:
    """Serves a handler on one port.

    Args:
        largest: How many connections there may be. One more takes the place of one that says nothing, so that
            nobody gets all of them that way; while all are busy, it has to wait.
    """

    def __init__(self, handler: Handler, settings: Settings, *, port: int, largest: int) -> None:
        self._handler = handler
        self._settings = settings
        self._largest = largest
        self._socket = _bind(settings.host, port)
        self._socket.setblocking(False)  # noqa: FBT003  # its signature
        self._connections: dict[Channel, tuple[Connection, asyncio.Task[None]]] = {}
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.port: int = self._socket.getsockname()[1]

    def start(self) -> None:
        """Take connections from now on."""
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def stop(self) -> None:
        """Take no more connections, end those that wait, and let the others end with what they are doing."""
        self._accepting.cancel()
        self._socket.close()
        for channel, (connection, _) in self._connections.items():
            connection.closing = True
            if connection.waiting is not None:
                channel.transport.abort()

    async def drained(self, seconds: float | None) -> bool:
        """Wait until there are no connections; False when that takes more than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def abort(self) -> None:
        """Break all connections."""
        for channel in list(self._connections):
            channel.transport.abort()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if len(self._connections) >= self._largest and not self._make_room(loop.time() - _SILENT):
                await asyncio.sleep(_PAUSE)
                continue
            try:
                accepted, _ = await loop.sock_accept(self._socket)
                # asyncio does so for sockets that it made itself. Without it the body of an answer waits until the
                # client has acknowledged the head, which takes 40 ms.
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.connect_accepted_socket(lambda: Channel(self._opened, self._closed), accepted)
            except OSError as error:  # the client has left already, or there are no descriptors
                log.warning("a connection could not be taken: %s", error)
                await asyncio.sleep(_PAUSE)

    def _opened(self, channel: Channel) -> None:
        connection = Connection(channel, self._handler, self._settings)
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._connections[channel] = (connection, task)
        self._quiet.clear()

    def _make_room(self, since: float) -> bool:
        """End a connection that has waited for a request since then, and return whether there was one."""
        for channel, (connection, _) in self._connections.items():
            if connection.waiting is not None and connection.waiting < since:
                channel.transport.abort()
                del self._connections[channel]
                return True
        return False

    def _closed(self, channel: Channel) -> None:
        self._connections.pop(channel, None)
        if not self._connections:
            self._quiet.set()


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket on `host`, or on all addresses of both families where there are both.

    Raises:
        ConfigurationError: Somebody else has the port, or we may not.
    """
    try:
        if host:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=socket.has_dualstack_ipv6(), backlog=_BACKLOG
            )
        except OSError:  # no IPv6 in this container; if something else is wrong, this fails as well
            return socket.create_server(("", port), backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"can't listen on port {port}: {error}", hint="set port to a free one") from error


def connection_limit(scripts: int) -> int:
    """Return how many connections our descriptors allow for, when so many scripts run at once."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, min(4096, (descriptors - _OWN - _PER_SCRIPT * scripts) // 2))  # each may have a file open
