"""The providers `dcache` and `webdav`: five operations, one attempt each."""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from faas_supervisor.errors import (
    AlreadyExists,
    IntegrityError,
    InvalidConfiguration,
    NotFound,
    PermissionDenied,
    StorageError,
    Unavailable,
    Unsupported,
)
from faas_supervisor.storage import Capabilities, ObjectInfo, StorageProvider
from faas_supervisor.values import replace
from faas_supervisor_dcache.address import Address, is_local
from faas_supervisor_dcache.connection import TIMEOUT, make_client
from faas_supervisor_dcache.credentials import require_consistent, simple_credentials
from faas_supervisor_dcache.door import Door
from faas_supervisor_dcache.expect import EXPECT
from faas_supervisor_dcache.folders import Folders
from faas_supervisor_dcache.oidc import RefreshedToken
from faas_supervisor_dcache.properties import MOST_ENTRIES, children, digest, entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import httpx

    from faas_supervisor.storage import ObjectRef, Progress
    from faas_supervisor_dcache.properties import Entry
    from faas_supervisor_dcache.settings import Settings

__all__ = ["WebDavProvider", "make_provider"]

_log: Final = logging.getLogger(__name__)

_PIECE: Final = 256 * 1024

_WANT: Final = {"Want-Digest": "adler32"}


class WebDavProvider(StorageProvider):
    """Objects behind a WebDAV door.

    The bytes move here: webdav4 resumes a cut download by appending the whole object, takes a refused range for its
    end, and can't send an upload a second time. So no range is ever asked for, and a cut is an error.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(checksums=frozenset({"adler32"}))

    def __init__(self, door: Door) -> None:
        self._door: Final = door
        self._folders: Final = Folders(door)
        self._without_digest = False

    def download(self, source: ObjectRef, destination: Path, progress: Progress) -> ObjectInfo:
        # Asked first: a GET of a folder gives a page for people, and only here the size is told for sure.
        info = self.stat(source.path)
        with self._door.answer("GET", source.path, {200}, headers=_WANT) as response:
            _write(response, destination, info.size, progress)
            checksums = digest(response) or info.checksums
        if not checksums:
            self._say_without_digest()
        return replace(info, checksums=checksums)

    def upload(self, source: Path, path: str, progress: Progress) -> ObjectInfo:
        body = _File(source, progress)
        progress.start(body.size)
        checksums = self._put(path, body)
        entry = entry_of(self._door, path)
        if entry is None or entry.folder:
            raise IntegrityError("the server took the object, but does not show it", path=path)
        info = entry.info(path)
        return replace(info, checksums=checksums or info.checksums or self._asked_for_digest(path))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        start = prefix.rstrip("/")
        own, entries = children(self._door, start, folder=not start)
        if own is not None and not own.folder:
            yield own.info(start)
            return
        waiting: deque[str] = deque()
        yield from self._files(start, entries, waiting)
        while waiting:
            folder = waiting.popleft()
            yield from self._files(folder, children(self._door, folder, folder=True)[1], waiting)

    def stat(self, path: str) -> ObjectInfo:
        entry = entry_of(self._door, path)
        if entry is None or entry.folder:
            message = "this is a folder" if entry else "there is no such object"
            raise NotFound(message, path=path, endpoint=self._door.address.url)
        return entry.info(path)

    def delete(self, path: str) -> None:
        # DELETE of a folder takes everything in it along.
        entry = entry_of(self._door, path)
        if entry is not None and not entry.folder:
            self._delete(path)

    def check(self) -> None:
        """Look at the root. That it may not be seen is no fault: a token may be for some folders only."""
        hint = "check the port and the base path in hostname; dCache's door is often at port 2880"
        try:
            entry = entry_of(self._door, "", folder=True)
        except PermissionDenied:
            return
        except Unsupported as error:
            message = "the server does not speak WebDAV here"
            raise InvalidConfiguration(message, endpoint=self._door.address.url, hint=hint) from error
        if entry is None or not entry.folder:
            message = "the folder that hostname names is not there"
            raise InvalidConfiguration(message, endpoint=self._door.address.url, hint=hint)

    def close(self) -> None:
        self._door.close()

    def _put(self, path: str, body: _File) -> dict[str, str]:
        """Send the object, with the folders on its way, and return the checksums that the answer tells."""
        folder = path.rpartition("/")[0]
        asked = self._folders.ensure(folder)
        try:
            return self._put_once(path, body)
        except (AlreadyExists, NotFound, Unsupported) as error:
            entry = entry_of(self._door, path)
            if entry is not None and entry.folder:
                raise AlreadyExists("a folder has this name", path=path, endpoint=self._door.address.url) from error
            if entry is None:
                if asked:
                    raise
                self._folders.forget()
                message = "the folder on the way has gone meanwhile"
                raise Unavailable(message, path=path, endpoint=self._door.address.url) from error
            if not isinstance(error, AlreadyExists):
                raise
        # Some doors can't overwrite. Only 409 and 412 may mean this: else the old object would go for nothing.
        self._delete(path)
        return self._put_once(path, body)

    def _put_once(self, path: str, body: _File) -> dict[str, str]:
        headers = {"Content-Length": str(body.size), "Content-Type": "application/octet-stream", **_WANT}
        if body.size:
            headers |= EXPECT
        with self._door.answer("PUT", path, {200, 201, 204}, headers=headers, content=body) as response:
            return digest(response)

    def _asked_for_digest(self, path: str) -> dict[str, str]:
        """Ask for the checksum by HEAD, as long as this server may have any."""
        if self._without_digest:
            return {}
        with self._door.answer("HEAD", path, range(600), headers=_WANT) as response:
            found = digest(response)
        if not found:
            self._say_without_digest()
        return found

    def _say_without_digest(self) -> None:
        if not self._without_digest:
            self._without_digest = True
            _log.info("%s tells no checksums; sizes are compared alone", self._door.address.url)

    def _delete(self, path: str) -> None:
        with self._door.answer("DELETE", path, {200, 202, 204, 404, 410}):
            pass

    def _files(self, folder: str, entries: Sequence[Entry], waiting: deque[str]) -> Iterator[ObjectInfo]:
        """Yield the objects of one folder, and add the folders in it to those that are waiting."""
        for entry in entries:
            name = entry.names[-1]
            path = f"{folder}/{name}" if folder else name
            if name in {".", ".."} or "/" in name or "\0" in name:
                raise StorageError("the server lists a name that no object can have", path=path)
            if not entry.folder:
                yield entry.info(path)
                continue
            if len(waiting) >= MOST_ENTRIES:
                raise StorageError(f"there are more than {MOST_ENTRIES} folders", path=folder)
            waiting.append(path)


class _File:
    """The file that is uploaded, from its first byte each time that it is iterated: also to a second server."""

    def __init__(self, source: Path, progress: Progress) -> None:
        self._source: Final = source
        self._progress: Final = progress
        self._told = 0
        self.size: Final = os.stat(source).st_size  # noqa: PTH116

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        with self._source.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                sent += len(piece)
                if sent > self.size:
                    break
                yield piece
                new = max(0, sent - self._told)
                self._told += new
                self._progress.advance(new)
        if sent != self.size:
            raise IntegrityError("the file changed while it was uploaded")


def make_provider(settings: Settings, timeout: httpx.Timeout = TIMEOUT) -> StorageProvider:
    """Return the provider that `settings` describe.

    Raises:
        InvalidConfiguration: They can't work, whatever the server says.
    """
    address = Address.of(settings.hostname)
    require_consistent(settings)
    client = make_client(settings, timeout)
    credentials = RefreshedToken(settings, client) if settings.refresh_token else simple_credentials(settings)
    if address.url.startswith("http:") and not is_local(address.url) and (settings.login or settings.token):
        _log.warning("the credentials for %s are sent unencrypted", address.url)
    return WebDavProvider(Door(address, client, credentials))


def _write(response: httpx.Response, destination: Path, size: int, progress: Progress) -> None:
    """Write the body as it was stored: `iter_raw` decodes no compression that somebody added on the way."""
    progress.start(size)
    written = 0
    with destination.open("wb", buffering=0) as file:
        for piece in response.iter_raw():
            file.write(piece)
            written += len(piece)
            if written > size:
                break
            progress.advance(len(piece))
    if written != size:
        raise IntegrityError(f"{written} bytes arrived of {size}")
