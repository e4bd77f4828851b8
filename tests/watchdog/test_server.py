"""The listening socket, without a watchdog around it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager

from faas_supervisor.fronts.watchdog._connection import Reply
from faas_supervisor.fronts.watchdog._server import Server
from faas_supervisor.fronts.watchdog._settings import Settings


class Curious:
    """Looks at the socket of each connection."""

    def __init__(self):
        self.seen = []

    @asynccontextmanager
    async def answering(self, _head, connection):
        accepted = connection._channel.transport.get_extra_info("socket")
        self.seen.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        yield Reply(200)


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_head():
    handler = Curious()

    async def ask():
        server = Server(handler, Settings(host="127.0.0.1"), port=0, largest=8)
        server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        server.stop()
        assert await server.drained(10)

    asyncio.run(ask())
    assert handler.seen == [1]
