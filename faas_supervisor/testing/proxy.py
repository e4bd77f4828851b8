"""A TCP proxy with the faults that networks have."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = ["FaultProxy", "Toxics"]

_BLOCK: Final = 64 * 1024
_CONNECT_TIME: Final = 10.0
_END_OF_THREADS: Final = 5.0
_LOOK_AGAIN: Final = 0.02


@dataclass(frozen=True, slots=True)
class Toxics:
    """What happens to the bytes of one direction, in each connection.

    Attributes:
        latency: Seconds that every piece waits.
        bandwidth: Bytes in a second at the most.
        timeout: Nothing passes any more, and the connection stays open.
        slicer: Pieces are no larger than so many bytes.
        limit_data: After so many bytes the connection is closed.
        reset_peer: After so many bytes both sides get a reset.
    """

    latency: float = 0.0
    bandwidth: int | None = None
    timeout: bool = False
    slicer: int | None = None
    limit_data: int | None = None
    reset_peer: int | None = None


class FaultProxy:
    """Passes connections on to the server at `url`; what goes `down` from it and `up` to it can be poisoned.

        with FaultProxy("http://127.0.0.1:9000") as proxy:
            client = connect(proxy.url)
            proxy.down = Toxics(limit_data=1000)

    `down` and `up` may be set at any time; they apply to the next piece of every connection.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url} has no host and port")
        self._upstream: Final = (parts.hostname, parts.port)
        self._listener: Final = socket.create_server(("127.0.0.1", 0))
        self.url: Final = f"{parts.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.down = Toxics()
        self.up = Toxics()
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock: Final = threading.Lock()
        self._closed: Final = threading.Event()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cut every connection and end."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            waiting, sockets = list(self._threads), list(self._open)
        for connection in sockets:
            _shut(connection)
        for thread in waiting:
            thread.join(_END_OF_THREADS)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="fault-proxy", daemon=True)
        with self._lock:
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """Connect to the server and pass both directions on until both have ended."""
        with client:
            try:
                server = socket.create_connection(self._upstream, timeout=_CONNECT_TIME)
            except OSError:
                return
            with server:
                server.settimeout(None)
                with self._lock:
                    if self._closed.is_set():
                        return
                    self._open |= {client, server}
                link = _Link(client, server)
                upward = threading.Thread(target=self._pump, args=(link, "up"), name="fault-proxy", daemon=True)
                upward.start()
                self._pump(link, "down")
                upward.join()
                with self._lock:
                    self._open -= {client, server}

    def _pump(self, link: _Link, direction: Literal["up", "down"]) -> None:
        """Pass one direction on until it ends, or a toxic ends both."""
        source, target = (link.client, link.server) if direction == "up" else (link.server, link.client)
        passed = 0
        try:
            while data := source.recv(_BLOCK):
                for piece in self._pieces(data, direction):
                    toxics: Toxics = getattr(self, direction)
                    for limit, cut in ((toxics.reset_peer, link.reset), (toxics.limit_data, link.end)):
                        if limit is not None and passed + len(piece) > limit:
                            target.sendall(piece[: max(0, limit - passed)])
                            cut()
                            return
                    target.sendall(piece)
                    passed += len(piece)
            if not link.is_reset:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            link.end()

    def _pieces(self, data: bytes, direction: Literal["up", "down"]) -> Iterator[bytes]:
        """Yield `data` in pieces, each when its time has come."""
        while data:
            toxics: Toxics = getattr(self, direction)
            if toxics.timeout:
                if self._closed.wait(_LOOK_AGAIN):
                    return
                continue
            piece = data[: toxics.slicer]
            data = data[len(piece) :]
            delay = toxics.latency + (len(piece) / toxics.bandwidth if toxics.bandwidth else 0)
            if delay and self._closed.wait(delay):
                return
            yield piece


class _Link:
    """The two sockets of one connection through the proxy, which end together."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client: Final = client
        self.server: Final = server
        self.is_reset = False

    def end(self) -> None:
        """End both properly, unless they are to be reset: a proper end before a reset would hide it."""
        if not self.is_reset:
            _shut(self.client)
            _shut(self.server)

    def reset(self) -> None:
        """Have both reset when they are closed, and wake whoever reads from them."""
        self.is_reset = True
        for connection in (self.client, self.server):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RD)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
