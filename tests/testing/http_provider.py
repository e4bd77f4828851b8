"""A provider for the scripted server's own memory: small, correct, and over real HTTP, so that every fault applies."""

from __future__ import annotations

import http.client
import json
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from faas_supervisor.errors import (
    AuthenticationFailed,
    InsufficientStorage,
    IntegrityError,
    InvalidPath,
    NotFound,
    PermissionDenied,
    StorageError,
    Throttled,
    Unavailable,
)
from faas_supervisor.storage import Capabilities, ObjectInfo, Secret, StorageProvider
from faas_supervisor.testing import Request, Response, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faas_supervisor.storage import ObjectRef, Progress

PART = 64 * 1024
PAGE = 10
BUCKET = "bucket"

OWNER, STRANGER, READER, POOR = "owner-token-0001", "stranger-token-0001", "reader-token-0001", "poor-token-0001"

_KINDS = {
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    412: NotFound,
    416: IntegrityError,
    429: Throttled,
    500: Unavailable,
    503: Throttled,
    507: InsufficientStorage,
}


class GuardedServer(ScriptedServer):
    """Serves one bucket from memory to those who have the right token."""

    def answer(self, request: Request, body: bytes) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token == READER:
            return Response(403)
        if token == POOR and request.method == "PUT":
            return Response(507)
        if token not in {OWNER, POOR}:
            return Response(401)
        if not f"{urlsplit(request.target).path}/".startswith(f"/{BUCKET}/"):
            return Response(404)
        return super().answer(request, body)


@dataclass(frozen=True)
class HttpSettings:
    url: str
    token: Secret


class HttpProvider(StorageProvider):
    capabilities = Capabilities(atomic_upload=True, pins=True, opaque_keys=True)
    time_out = 2.0
    part = PART

    def __init__(self, settings: HttpSettings) -> None:
        self.settings = settings
        self.netloc = urlsplit(settings.url).netloc

    def download(self, source: ObjectRef, destination: Path, progress: Progress) -> ObjectInfo:
        info = self.stat(source.path)
        if source.etag not in {None, info.etag}:
            raise NotFound("the object changed", path=source.path)
        progress.start(info.size)
        with destination.open("wb") as file:
            for first in range(0, info.size, self.part):
                self._part(info, first, min(first + self.part, info.size), file, progress)
        return info

    def _part(self, info: ObjectInfo, first: int, end: int, file, progress: Progress) -> None:
        headers = {"Range": f"bytes={first}-{end - 1}", "If-Match": f'"{info.etag}"'}
        with self._asked("GET", info.path, headers=headers) as answer:
            if answer.getheader("Content-Range") != f"bytes {first}-{end - 1}/{info.size}":
                raise IntegrityError("another part came than was asked for", path=info.path)
            data = answer.read()
            if len(data) != end - first:
                raise IntegrityError("the part is not complete", path=info.path)
            file.write(data)
            progress.advance(len(data))

    def upload(self, source: Path, path: str, progress: Progress) -> ObjectInfo:
        size = source.stat().st_size
        progress.start(size)

        def pieces() -> Iterator[bytes]:
            with source.open("rb") as file:
                while piece := file.read(self.part):
                    yield piece
                    progress.advance(len(piece))

        with self._asked("PUT", path, body=pieces(), headers={"Content-Length": str(size)}) as answer:
            return ObjectInfo(path, size, etag=answer.getheader("ETag").strip('"'))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        after = ""
        while page := self._page(prefix, after):
            for entry in page:
                yield ObjectInfo(entry["path"].removeprefix("/"), entry["size"], etag=entry["etag"].strip('"'))
            after = page[-1]["path"]

    def _page(self, prefix: str, after: str) -> list[dict]:
        with self._asked("GET", prefix, query=f"?list&after={quote(after)}") as answer:
            return json.load(answer)

    def stat(self, path: str) -> ObjectInfo:
        with self._asked("HEAD", path) as answer:
            size = int(answer.getheader("Content-Length"))
            return ObjectInfo(path, size, etag=answer.getheader("ETag").strip('"'))

    def delete(self, path: str) -> None:
        try:
            with self._asked("DELETE", path):
                pass
        except NotFound:
            pass

    @contextmanager
    def _asked(
        self, method: str, path: str, *, query: str = "", body=None, headers=None
    ) -> Iterator[http.client.HTTPResponse]:
        try:
            target = f"/{quote(path)}{query}"
        except UnicodeEncodeError as error:
            raise InvalidPath("keys are Unicode here", path=path) from error
        headers = {"Authorization": f"Bearer {self.settings.token.reveal()}", **(headers or {})}
        try:
            with closing(http.client.HTTPConnection(self.netloc, timeout=self.time_out)) as connection:
                connection.request(method, target, body, headers)
                answer = connection.getresponse()
                if answer.status >= 300:
                    raise self._refusal(answer, path)
                yield answer
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{type(error).__name__}: {error}", path=path) from error

    def _refusal(self, answer: http.client.HTTPResponse, path: str) -> StorageError:
        wait = answer.getheader("Retry-After")
        kind = _KINDS.get(answer.status, StorageError)
        return kind(f"the server answered {answer.status}", path=path, retry_after=float(wait) if wait else None)
