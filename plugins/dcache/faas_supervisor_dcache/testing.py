"""A fake dCache: a WebDAV door and a pool in front of any WebDAV server, for tests without a dCache.

What it imitates was read from dCache's own sources and its user guide (github.com/dCache/dcache, July 2026: the modules
`dcache-webdav` and `dcache` with its `HttpPoolRequestHandler`, and `docs/UserGuide/src/main/markdown/webdav.md`):

- Reads are sent on to a pool at another port, by 307 or 302. The URL carries a ticket that is good once; the pool asks
  for no other credentials, and sends neither ETag nor Last-Modified.
- Writes are sent on (307) only if the client says `Expect: 100-continue` and then waits; else the door passes the bytes
  on itself. The connection is closed either way.
- Nobody in particular gets 401 where somebody known gets 403.
- `Want-Digest: adler32` is answered by `Digest: adler32=...`.
- An upload that a checksum contradicts is 400, a full pool 507, an object that must not be overwritten 409.
- An unknown `Content-*` header is 501.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.client
import select
import threading
import uuid
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FakeDoor", "Rules", "Seen"]

_BLOCK: Final = 256 * 1024
_UPSTREAM_TIME: Final = 60.0

# How long a door looks whether the client sends its body without waiting.
_IMPATIENT: Final = 0.01

_KNOWN_CONTENT_HEADERS: Final = {"content-length", "content-type", "content-md5", "content-encoding", "content-range"}
_PASSED_ON: Final = {"depth", "content-type", "destination", "overwrite", "range"}
_OF_OBJECTS_ONLY: Final = {"etag", "last-modified"}


@dataclass(slots=True)
class Rules:
    """How the door behaves; may be changed at any time.

    Attributes:
        judge: Given the `Authorization` header, returns 401, 403, or 0 for welcome.
        reads: The status by which reads are sent on to the pool; 0 has the door answer itself.
        writes: When uploads are sent on: as dCache does, at once whatever the client says, or never.
        pool: The URL of the pool, if not that of the fake itself.
        overwrite: Whether an object may be replaced.
        checksums: Whether `Digest` is told.
        full: Whether the pool has no room.
        damage: How many of the next uploads arrive with their last byte changed.
    """

    judge: Callable[[str], int] = lambda _authorization: 0
    reads: Literal[0, 302, 307] = 307
    writes: Literal["expect", "always", "never"] = "expect"
    pool: str = ""
    overwrite: bool = True
    checksums: bool = True
    full: bool = False
    damage: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: `place` is what it came to; `body` counts the bytes of it that were read."""

    place: Literal["door", "pool"]
    method: str
    target: str
    headers: dict[str, str]
    body: list[int] = field(default_factory=lambda: [0])


class FakeDoor:
    """A door at `url` and a pool at `pool_url`, for the objects of the WebDAV server at `upstream`.

    with FakeDoor("http://127.0.0.1:8080") as door:
        door.rules.full = True
    """

    def __init__(self, upstream: str, authorization: str = "") -> None:
        self.rules = Rules()
        self.seen: Final[list[Seen]] = []
        self.tickets: Final[dict[str, str]] = {}
        self.adlers: Final[dict[str, int]] = {}
        self.upstream: Final = urlsplit(upstream)
        self.authorization: Final = authorization
        self._servers: Final = [_Server(self, "door"), _Server(self, "pool")]
        self.url, self.pool_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers)
        self._threads: Final = [
            threading.Thread(target=server.serve_forever, args=(0.05,), name="fake-door") for server in self._servers
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def ticket(self, target: str) -> str:
        """Return a URL at the pool that is good once."""
        number = str(uuid.uuid4())
        self.tickets[number] = target
        return f"{self.rules.pool or self.pool_url}{target}?dcache-http-uuid={number}&dcache-http-ref={self.url}"

    @contextlib.contextmanager
    def ask(
        self, method: str, target: str, headers: dict[str, str], body: Iterator[bytes] | bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request to the server behind."""
        connection = http.client.HTTPConnection(self.upstream.netloc, timeout=_UPSTREAM_TIME)
        with contextlib.closing(connection):
            if self.authorization:
                headers = {**headers, "Authorization": self.authorization}
            connection.request(method, self.upstream.path + target, body=body, headers=headers)
            yield connection.getresponse()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a client may keep its connection open for longer than the test lasts
    request_queue_size = 128

    def __init__(self, fake: FakeDoor, place: Literal["door", "pool"]) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, fake, place))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Be silent: clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: Seen

    def __init__(self, fake: FakeDoor, place: Literal["door", "pool"], *arguments: Any) -> None:  # noqa: ANN401
        self.fake: Final = fake
        self.place: Final = place
        super().__init__(*arguments)

    def handle_expect_100(self) -> bool:
        return True  # whether to say it is decided later

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, *arguments: object) -> None:
        """Be silent; `FakeDoor.seen` is the log."""

    @property
    def rules(self) -> Rules:
        return self.fake.rules

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen = Seen(self.place, self.command, self.path, headers)
        self.fake.seen.append(self.seen)
        if self.place == "pool":
            self._serve_as_pool()
        elif status := self.rules.judge(headers.get("authorization", "")):
            self._say(status, "Permission denied")
        elif unknown := next(
            (name for name in headers if name.startswith("content-") and name not in _KNOWN_CONTENT_HEADERS), ""
        ):
            self._say(501, f"{unknown} is not implemented")
        else:
            self._serve_as_door(headers)

    def _serve_as_door(self, headers: dict[str, str]) -> None:
        if self.command == "GET" and self.rules.reads and not self._is_folder():
            self._send_on(self.rules.reads, self.fake.ticket(self.path))
        elif self.command == "PUT":
            if not self.rules.overwrite and self._status("HEAD") == 200:  # noqa: PLR2004
                self._say(409, "Overwriting is not allowed", close=True)
            elif self.rules.writes == "always" or (
                self.rules.writes == "expect" and headers.get("expect") and self._is_patient()
            ):
                self._send_on(307, self.fake.ticket(self.path))
            else:
                self._store(self.path)
        else:
            self._pass_on(self.path, without=set())

    def _serve_as_pool(self) -> None:
        target, _, query = self.path.partition("?")
        number = query.partition("dcache-http-uuid=")[2].partition("&")[0]
        if self.fake.tickets.pop(number, None) != target:
            self._say(400, "Request is no longer valid. Please resubmit to door.", close=True)
        elif self.command == "PUT":
            self._store(target)
        else:
            self._pass_on(target, without=_OF_OBJECTS_ONLY)

    def _store(self, target: str) -> None:
        """Take an upload."""
        length = int(self.headers.get("Content-Length", "0"))
        if self.rules.full:
            self._say(507, "No write pools available", close=True)
            return
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        adler, md5 = [1], hashlib.md5(usedforsecurity=False)
        damage, self.rules.damage = self.rules.damage > 0, max(0, self.rules.damage - 1)

        def pieces() -> Iterator[bytes]:
            while self.seen.body[0] < length:
                piece = self.rfile.read(min(_BLOCK, length - self.seen.body[0]))
                if not piece:
                    raise ConnectionError("the client went away")
                self.seen.body[0] += len(piece)
                if damage and self.seen.body[0] == length:
                    piece = piece[:-1] + bytes([piece[-1] ^ 1])
                adler[0] = zlib.adler32(piece, adler[0])
                md5.update(piece)
                yield piece

        headers = {"Content-Length": str(length)}
        try:
            with self.fake.ask("PUT", target, headers, pieces()) as response:
                response.read()
                status = response.status
        except (ConnectionError, http.client.HTTPException):
            self._remove(target)  # what arrived in part is taken for corrupt
            self.close_connection = True
            return
        promised = self.headers.get("Content-MD5")
        if promised and base64.b64decode(promised) != md5.digest():
            self._remove(target)
            self._say(400, "Checksum mismatch (expected=[2:..], actual=[1:..])")
            return
        if status >= 300:  # noqa: PLR2004
            self._say(status, "")
            return
        self.fake.adlers[target] = adler[0]
        self._say(201, f"{length} bytes uploaded\r\n", digest=self._digest(target))

    def _pass_on(self, target: str, without: set[str]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))) or None
        headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
        digest = self._digest(target) if self.command in {"GET", "HEAD"} else ""
        with self.fake.ask(self.command, target, headers, body) as response:
            self.send_response_only(response.status)
            skipped = {"transfer-encoding", "connection", "date", "server", *without}
            for name, value in response.getheaders():
                if name.lower() not in skipped:
                    self.send_header(name, value)
            if digest:
                self.send_header("Digest", digest)
            if response.getheader("Content-Length") is None:
                content = response.read()
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            self.end_headers()
            while piece := response.read(_BLOCK):
                self.wfile.write(piece)

    def _is_patient(self) -> bool:
        return not select.select([self.connection], [], [], _IMPATIENT)[0]

    def _is_folder(self) -> bool:
        with self.fake.ask("PROPFIND", self.path, {"Depth": "0"}) as response:
            return b"collection" in response.read()

    def _status(self, method: str) -> int:
        with self.fake.ask(method, self.path, {}) as response:
            return response.status

    def _remove(self, target: str) -> None:
        with self.fake.ask("DELETE", target, {}) as response:
            response.read()

    def _digest(self, target: str) -> str:
        """Return the header, if it is wanted and told: of what came in through here, dCache knows the checksum."""
        adler = self.fake.adlers.get(target)
        wanted = "adler32" in self.headers.get("Want-Digest", "").lower()
        return f"adler32={adler:08x}" if adler is not None and wanted and self.rules.checksums else ""

    def _send_on(self, status: int, url: str) -> None:
        self.send_response_only(status)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _say(self, status: int, text: str, *, digest: str = "", close: bool = False) -> None:
        content = text.encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        if digest:
            self.send_header("Digest", digest)
        if close or int(self.headers.get("Content-Length", "0")) > self.seen.body[0]:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
