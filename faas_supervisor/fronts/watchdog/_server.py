"""Listens, keeps the number of connections bounded, and goes in good order."""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import ConfigurationError
from faas_supervisor.fronts.watchdog._channel import Channel
from faas_supervisor.fronts.watchdog._connection import Connection

if TYPE_CHECKING:
    from faas_supervisor.fronts.watchdog._connection import Handler
    from faas_supervisor.fronts.watchdog._settings import Settings

__all__ = ["Server", "connection_limit"]

_BACKLOG: Final = 1024


class Server:
    """Serves a handler on one port.

    Args:
        largest: How many connections there may be. One more takes the place of the one that has waited longest
            without a request, so that nobody gets all of them by saying nothing.
    """

    def __init__(self, handler: Handler, settings: Settings, *, port: int, largest: int) -> None:
        self._handler = handler
        self._settings = settings
        self._largest = largest
        self._socket = _bind(settings.host, port)
        self._connections: dict[Channel, tuple[Connection, asyncio.Task[None]]] = {}
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.port: int = self._socket.getsockname()[1]

    async def start(self) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Channel(self._opened, self._closed), sock=self._socket, backlog=_BACKLOG
        )

    def stop(self) -> None:
        """Take no more connections, end those that wait, and let the others end with what they are doing."""
        self._server.close()
        for channel, (connection, _) in self._connections.items():
            connection.closing = True
            if connection.waiting:
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

    def _opened(self, channel: Channel) -> None:
        if len(self._connections) >= self._largest and not self._make_room():
            channel.transport.abort()
            return
        connection = Connection(channel, self._handler, self._settings)
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._connections[channel] = (connection, task)
        self._quiet.clear()

    def _make_room(self) -> bool:
        for channel, (connection, _) in self._connections.items():
            if connection.waiting:
                channel.transport.abort()
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
    return max(16, min(4096, (descriptors - 64 - 8 * scripts) // 2))  # a connection, and the file of its body
