"""The smallest useful object store: what a scripted server serves when there is no real server behind it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from email.message import Message

__all__ = ["Memory", "Response"]

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(slots=True)
class Response:
    """An answer; its length is that of `body`, except for HEAD, where `headers` tells it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    etag: str


class Memory:
    """Objects by path, with GET, HEAD, PUT, DELETE, Range, ETag and If-Match.

    `GET /folder?list` answers a JSON array of `{"path", "size", "etag"}` of what is below `/folder`, in order,
    one page at a time: `after=PATH` asks for what follows.
    """

    def __init__(self, page_size: int) -> None:
        self._objects: Final[dict[str, _Object]] = {}
        self._page_size: Final = page_size
        self._lock: Final = threading.Lock()

    def put(self, path: str, data: bytes) -> str:
        """Make `data` the object at `path`, which begins with a slash, and return its etag."""
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        with self._lock:
            self._objects[path] = _Object(data, etag)
        return etag

    def get(self, path: str) -> bytes | None:
        """Return the object at `path`."""
        with self._lock:
            found = self._objects.get(path)
        return found.data if found else None

    def answer(self, method: str, target: str, headers: Message[str, str], body: bytes) -> Response:
        """Answer one request."""
        parts = urlsplit(target)
        path, query = unquote(parts.path), parse_qs(parts.query, keep_blank_values=True)
        if method == "PUT":
            return Response(201, {"ETag": self.put(path, body)})
        if method == "DELETE":
            with self._lock:
                return Response(204 if self._objects.pop(path, None) else 404)
        if method not in {"GET", "HEAD"}:
            return Response(405)
        if "list" in query:
            return self._page(path, query.get("after", [""])[0])
        with self._lock:
            found = self._objects.get(path)
        return _answer(method, found, headers) if found else Response(404)

    def _page(self, folder: str, after: str) -> Response:
        with self._lock:
            known = sorted(self._objects.items())
        below = [(path, one) for path, one in known if f"{path}/".startswith(f"{folder.rstrip('/')}/")]
        page = [(path, one) for path, one in below if path > after][: self._page_size]
        entries = [{"path": path, "size": len(one.data), "etag": one.etag} for path, one in page]
        return Response(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())


def _answer(method: str, found: _Object, headers: Message[str, str]) -> Response:
    size, told = len(found.data), {"ETag": found.etag, "Accept-Ranges": "bytes"}
    if headers.get("If-Match", found.etag) != found.etag:
        return Response(412, told)
    if method == "HEAD":
        return Response(200, {**told, "Content-Length": str(size)})
    asked = _RANGE.fullmatch(headers.get("Range", ""))
    if asked is None:
        return Response(200, told, found.data)
    first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
    if first > last:
        return Response(416, {"Content-Range": f"bytes */{size}"})
    return Response(206, {**told, "Content-Range": f"bytes {first}-{last}/{size}"}, found.data[first : last + 1])
