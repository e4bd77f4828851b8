"""An HTTP server for one service of the zone, with TLS or without."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor_onedata.testing._world import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message
    from pathlib import Path

__all__ = ["Answer", "Listener", "Seen"]

_CHUNK: Final = 1024 * 1024
_NO_CONTENT: Final = 204


@dataclass(slots=True)
class Seen:
    """A request that arrived: `target` is path and query as sent; `body` is JSON or other small text, if any."""

    host: str
    method: str
    target: str
    headers: Message[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Answer:
    """An answer: a JSON `document`, or `length` bytes of the file `content` from `start` on."""

    status: int = 200
    document: object = None
    headers: dict[str, str] = field(default_factory=dict)
    content: Path | None = None
    start: int = 0
    length: int = 0


class Listener:
    """Serves `handle` on 127.0.0.1; by TLS if it is given a context."""

    def __init__(self, handle: Callable[[Handler, Seen], Answer], context: ssl.SSLContext | None) -> None:
        self.seen: Final[list[Seen]] = []
        self.handle: Final = handle
        self._open: Final[set[socket.socket]] = set()
        self._server: Final = _Server(self, context)
        self.host: Final = f"127.0.0.1:{self._server.server_address[1]}"
        self._faults: Final[list[tuple[str, str, str]]] = []
        self._thread: Final = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="emulator")
        self._thread.start()

    def fail_next(self, how: str, method: str, path: str = "") -> None:
        """Cut the connection at the next request of this method whose target contains `path`.

        `how` is `before` (nothing was done), `within` (half of the body was taken, which stays written) or `after`
        (all was done, but nobody is told).
        """
        self._faults.append((how, method, path))

    def fault_for(self, seen: Seen) -> str:
        """Return how this request is to fail, if it is."""
        for fault in self._faults:
            if fault[1] == seen.method and fault[2] in seen.target:
                self._faults.remove(fault)
                return fault[0]
        return ""

    def stop(self) -> None:
        """Cut every connection and end; may be called twice."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    @contextlib.contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        """Have `connection` cut when the listener stops meanwhile."""
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for every handler
    request_queue_size = 128

    def __init__(self, listener: Listener, context: ssl.SSLContext | None) -> None:
        self.listener: Final = listener
        self._context: Final = context
        super().__init__(("127.0.0.1", 0), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as socketserver has it
        with contextlib.suppress(ConnectionError, ssl.SSLError), self.listener.connected(request):
            if self._context is None:
                Handler(request, client_address, self)
                return
            with self._context.wrap_socket(request, server_side=True) as secured, self.listener.connected(secured):
                Handler(secured, client_address, self)


class Handler(BaseHTTPRequestHandler):
    """Reads requests and sends what `Listener.handle` answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def length(self) -> int:
        """Bytes of body that were announced."""
        return int(self.headers.get("Content-Length", "0"))

    def save(self, target: Path, start: int | None) -> None:
        """Write the body into `target`, from `start` on; without it, in place of all that is there."""
        with target.open("r+b" if start is not None else "wb") as file:
            file.seek(start or 0)
            for piece in self._pieces():
                file.write(piece)

    def log_message(self, *_: object) -> None:
        """Be silent; `Listener.seen` is the log."""

    def _pieces(self) -> Iterator[bytes]:
        left = self.length // 2 if self._fault == "within" else self.length
        while left:
            piece = self.rfile.read(min(left, _CHUNK))
            if not piece:
                raise ConnectionError("the client went away")
            left -= len(piece)
            yield piece
        if self._fault == "within":
            raise ConnectionError("cut on purpose")
        self._taken = True

    def _serve(self) -> None:
        assert isinstance(self.server, _Server)  # noqa: S101  # as types go
        listener = self.server.listener
        seen = Seen(listener.host, self.command, self.path, self.headers)
        streamed = self.headers.get("Content-Type") == "application/octet-stream"
        self._fault = listener.fault_for(seen)
        self._taken = not streamed
        listener.seen.append(seen)
        if self._fault == "before":
            self.close_connection = True
            return
        try:
            if not streamed:
                seen.body = self.rfile.read(self.length)  # of a GET as well: the interface has attributes there
            answer = listener.handle(self, seen)
        except Failed as error:
            answer = Answer(error.status, error.document)
        if not self._taken:
            for _ in self._pieces():  # else a client that is still sending would see a reset
                pass
        if self._fault == "after":
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # as http.server wants them

    def _send(self, answer: Answer) -> None:
        body = b"" if answer.document is None else json.dumps(answer.document).encode()
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json")
        if answer.status != _NO_CONTENT:
            self.send_header("Content-Length", str(answer.length if answer.content else len(body)))
        self.end_headers()
        if answer.content is None:
            self.wfile.write(body)
            return
        with answer.content.open("rb") as file:
            file.seek(answer.start)
            if answer.start + answer.length == answer.content.stat().st_size:
                shutil.copyfileobj(file, self.wfile, _CHUNK)
            else:
                self.wfile.write(file.read(answer.length))
