"""An HTTP server that misbehaves when told to: in front of a real server, or alone, serving from memory."""

from __future__ import annotations

import contextlib
import copy
import functools
import http.client
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from faas_supervisor.testing._memory import Memory, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message
    from types import TracebackType
    from typing import TypeAlias

    Fault: TypeAlias = Callable[["Exchange"], None]

__all__ = ["Exchange", "Request", "Response", "ScriptedServer"]

_UPSTREAM_TIME: Final = 60.0
_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "expect", "te", "trailer", "upgrade"}
_WITHOUT_BODY: Final = {204, 304}


@dataclass(slots=True)
class Request:
    """A request that arrived: `target` is its path and query as sent; `status` is what was answered, 0 if nothing."""

    method: str
    target: str
    headers: Message[str, str]
    status: int = 0


@dataclass(slots=True)
class _Order:
    """A fault that waits for its requests."""

    method: str
    path: str
    fault: Fault
    skip: int
    times: int | None

    def takes(self, request: Request) -> bool:
        """Whether this request is to fail, counting it."""
        if self.method not in {request.method, "*"} or self.path not in request.target or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class ScriptedServer:
    """A server on 127.0.0.1 that answers properly, except where a fault was ordered.

        with ScriptedServer("http://127.0.0.1:9000") as server:
            server.fail_next("GET", truncate(at=0.5))
            server.fail_next("PUT", status(503, {"Retry-After": "1"}), times=2)

    With `upstream_url` it passes requests on as they are, with their Host header, which signatures cover. Without,
    it serves the objects of `memory`, which begins empty. Bodies are held in memory: not for large files.
    """

    def __init__(self, upstream_url: str | None = None, *, page_size: int = 1000) -> None:
        self.memory: Final = Memory(page_size)
        self.requests: Final[list[Request]] = []
        self.closed: Final = threading.Event()
        self._upstream: Final = urlsplit(upstream_url) if upstream_url else None
        self._orders: list[_Order] = []
        self._lock: Final = threading.Lock()
        self._connections: Final[set[socket.socket]] = set()
        self._server: Final = _Server(("127.0.0.1", 0), functools.partial(_Handler, self))
        self.url: Final = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread: Final = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="scripted-server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def fail_next(self, method: str, fault: Fault, *, times: int | None = 1, skip: int = 0, path: str = "") -> None:
        """Let `fault` answer the next `times` requests (None: all from now on) instead of the server.

        Counted are those of this `method` ("*" is any) whose path or query contains `path`; the first `skip` of
        them are answered properly. Of several orders that fit, the first takes the request.
        """
        with self._lock:
            self._orders.append(_Order(method, path, fault, skip, times))

    def behave(self) -> None:
        """Forget all faults and all requests."""
        with self._lock:
            self._orders.clear()
            self.requests.clear()

    def answer(self, request: Request, body: bytes) -> Response:
        """Return the proper answer: the upstream's, or one from memory."""
        if self._upstream is None:
            return self.memory.answer(request.method, request.target, request.headers, body)
        connection = http.client.HTTPConnection(self._upstream.netloc, timeout=_UPSTREAM_TIME)
        with contextlib.closing(connection):
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in {*_HOP_BY_HOP, "content-length"}:
                    connection.putheader(name, value)
            if body or request.method in {"PUT", "POST"}:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            got = connection.getresponse()
            headers = {name: value for name, value in got.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Response(got.status, headers, got.read())

    def serve(self, handler: _Handler, request: Request) -> None:
        """Remember the request, and answer it properly or by the fault that was ordered for it."""
        with self._lock:
            self.requests.append(request)
            fault = next((order.fault for order in self._orders if order.takes(request)), None)
        exchange = Exchange(self, handler, request)
        if fault is not None:
            fault(exchange)
        else:
            exchange.send(exchange.proper())

    @contextlib.contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        """Have `connection` cut when the server is closed meanwhile."""
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)


class Exchange:
    """One request and the ways to answer it; what a fault is given."""

    def __init__(self, server: ScriptedServer, handler: _Handler, request: Request) -> None:
        self.server: Final = server
        self.request: Final = request
        self._handler: Final = handler
        self._body: bytes | None = None

    @property
    def length(self) -> int:
        """How many bytes of body were announced; 0 where that is not known."""
        return int(self.request.headers.get("Content-Length", "0"))

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks, so that its length is not known."""
        return self.request.headers.get("Transfer-Encoding", "").lower() == "chunked"

    def body(self) -> bytes:
        """Return the body of the request, read at the first call."""
        if self._body is None:
            self._body = self._chunks() if self.chunked else self._handler.rfile.read(self.length)
            if len(self._body) < self.length:  # or half an upload would be stored as if it were whole
                raise ConnectionError("the client went away")
        return self._body

    def read(self, size: int) -> bytes:
        """Read so many bytes of the body; the rest is never read, so no proper answer is possible any more."""
        return self._handler.rfile.read(size)

    def proper(self, *, without: str = "") -> Response:
        """Return the proper answer, or that to the same request `without` one of its headers; not sent yet."""
        headers = copy.deepcopy(self.request.headers)
        del headers[without]
        return self.server.answer(Request(self.request.method, self.request.target, headers), self.body())

    def send(self, response: Response, *, upto: int | None = None) -> None:
        """Send the answer, announced in full, but only `upto` bytes of its body."""
        self.body()  # a client that is still sending would see a reset instead of the answer
        self.request.status = response.status
        handler = self._handler
        handler.send_response_only(response.status)
        bare = self.request.method == "HEAD" or response.status in _WITHOUT_BODY
        for name, value in response.headers.items():
            if bare or name.lower() != "content-length":
                handler.send_header(name, value)
        if not bare:
            handler.send_header("Content-Length", str(len(response.body)))
        handler.end_headers()
        if not bare:
            handler.wfile.write(response.body[:upto])

    def hang(self) -> None:
        """Say nothing more until the server is closed."""
        self.server.closed.wait()
        self.cut()

    def cut(self) -> None:
        """Close the connection, whatever was announced."""
        self._handler.close_connection = True

    def _chunks(self) -> bytes:
        read, body = self._handler.rfile, bytearray()
        while size := int(read.readline().split(b";")[0] or b"0", 16):
            body += read.read(size)
            read.readline()
        while read.readline().strip():
            pass
        return bytes(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for every handler
    request_queue_size = 128  # with the usual 5, parallel clients wait a second for their connection


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two small writes, which would wait for each other

    def __init__(self, scripted: ScriptedServer, *arguments: Any) -> None:  # noqa: ANN401  # what socketserver passes
        self._scripted: Final = scripted
        super().__init__(*arguments)

    def handle(self) -> None:
        with self._scripted.connected(self.connection), contextlib.suppress(ConnectionError):
            super().handle()  # clients may go away as they like

    def finish(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().finish()

    def _serve(self) -> None:
        self._scripted.serve(self, Request(self.command, self.path, self.headers))

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # WebDAV has many methods
            return self._serve
        raise AttributeError(name)

    def log_message(self, *arguments: object) -> None:
        """Be silent; `ScriptedServer.requests` is the log."""
