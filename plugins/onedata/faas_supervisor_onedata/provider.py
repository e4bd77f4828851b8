"""The provider `onedata`: paths are relative to the space."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from onedatafilerestclient.errors import NoAvailableProviderForSpaceError

from faas_supervisor.errors import AlreadyExists, IntegrityError, InvalidConfiguration, NotFound, StorageError
from faas_supervisor.storage import Capabilities, ObjectInfo, StorageProvider
from faas_supervisor.values import value
from faas_supervisor_onedata.body import CHUNK, Body
from faas_supervisor_onedata.connection import Connection
from faas_supervisor_onedata.failures import WrongKind, translated, unreachable
from faas_supervisor_onedata.link import Link, ask_configuration
from faas_supervisor_onedata.spaces import Space, find_space, is_older, unserved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onedatafilerestclient import OnedataFileRESTClient
    from onedatafilerestclient.file_attributes import FileAttrKey, FileAttrsJson

    from faas_supervisor.storage import ObjectRef, Progress
    from faas_supervisor_onedata.settings import Settings

__all__ = ["OnedataProvider"]

_log: Final = logging.getLogger(__name__)

_ATTRIBUTES: Final[list[FileAttrKey]] = ["fileId", "name", "type", "size", "mtime"]
_PAGE: Final = 1000


@value
class _Entry:
    """A file, folder or link in the space."""

    path: str
    id: str
    kind: str
    size: int
    modified: datetime

    @classmethod
    def of(cls, path: str, attributes: FileAttrsJson) -> _Entry:
        return cls(
            path=path,
            id=attributes["fileId"],
            kind=attributes["type"],
            size=attributes["size"] or 0,
            modified=datetime.fromtimestamp(attributes["mtime"], UTC),
        )

    @property
    def info(self) -> ObjectInfo:
        return ObjectInfo(self.path, self.size, self.modified)


class OnedataProvider(StorageProvider):
    """Files below one space. Symbolic links are no objects: they may lead out of what was configured."""

    # The client keeps what it knows in plain dictionaries, and deletes from them while it walks through its
    # Oneproviders; two threads would take entries from each other.
    capabilities: ClassVar[Capabilities] = Capabilities(thread_safe=False)

    def __init__(self, settings: Settings) -> None:
        self._connection = Connection.of(settings)
        self._token = settings.token
        self._link: Link | None = None
        self._space: Space | None = None

    def download(self, source: ObjectRef, destination: Path, progress: Progress) -> ObjectInfo:
        """Write the file to `destination`."""
        written = 0
        with self._asking(source.path) as (client, space):
            entry = self._file(client, space, source.path)
            progress.start(entry.size)
            # Not get_file_content: it holds all of the file in memory, and ignores an offset without a size.
            chunks = client.iter_file_content(space.specifier, file_id=entry.id, chunk_size=CHUNK)
            # Neither resumes after a cut nor goes to another Oneprovider: then it raises, and the core begins anew.
            with destination.open("wb") as file:
                for chunk in chunks:
                    written += len(chunk)
                    if written > entry.size:
                        break
                    file.write(chunk)
                    progress.advance(len(chunk))
        if written != entry.size:
            message = f"{written if written < entry.size else 'more'} bytes arrived of {entry.size}"
            raise IntegrityError(message, path=source.path)
        return entry.info

    def upload(self, source: Path, path: str, progress: Progress) -> ObjectInfo:
        """Send the file in one stream; then ask what the server holds."""
        with source.open("rb", buffering=0) as opened, self._asking(path, writing=True) as (client, space):
            body = Body(opened, progress)
            try:
                made = _create(client, space, path)
                target = made or self._file(client, space, path).id
                # Without an offset: that empties the file first, so nothing of a longer one stays.
                data = body if body.size else b""
                with _removing(client, space, made):
                    client.put_file_content(space.specifier, data, file_id=target)
                info = _Entry.of(path, _attributes(client, space, target)).info
            except WrongKind as error:
                message = f"a folder is where the file, or a file where a folder has to be ({error.message})"
                raise AlreadyExists(message, path=path, endpoint=error.endpoint) from error
        if info.size != body.size:
            raise IntegrityError(f"the server holds {info.size} bytes of {body.size}", path=path)
        return info

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the file `prefix`, or the files below it, folder by folder."""
        prefix = prefix.strip("/")
        with self._asking(prefix) as (client, space):
            found = _look_up(client, space, prefix) if prefix else None
            if prefix and found is None:
                return
        if found is not None and found.kind != "DIR":
            if found.kind == "REG":
                yield found.info
            return
        waiting = [(prefix, found.id if found else space.id)]
        while waiting:
            folder, id_ = waiting.pop()
            for entry in self._children(folder, id_):
                if entry.kind == "DIR":
                    waiting.append((entry.path, entry.id))
                elif entry.kind == "REG":
                    yield entry.info

    def stat(self, path: str) -> ObjectInfo:
        """Return what the server says about the file."""
        with self._asking(path) as (client, space):
            return self._file(client, space, path).info

    def delete(self, path: str) -> None:
        """Remove the file. A folder stays: the server would remove all that is in it."""
        with self._asking(path, writing=True) as (client, space):
            found = _look_up(client, space, path)
            if found is None or found.kind != "REG":
                return
            try:
                client.remove(space.specifier, file_id=found.id)
            except NotFound:
                return

    def check(self) -> None:
        """Look into the space, and log who serves it and in which versions."""
        with self._asking("") as (client, space):
            scope = client.get_token_scope()["dataAccessScope"]
            client.list_children(space.specifier, file_id=space.id, limit=1)
        supports = scope["spaces"][space.id]["supports"]
        providers = [scope["providers"][id_] for id_ in supports]
        for provider in providers:
            state = "online" if provider["online"] else "offline"
            _log.info("space %s: Oneprovider %s %s, %s", space.name, provider["domain"], provider["version"], state)
        if self._connection.provider not in {provider["domain"] for provider in providers}:
            _log.warning("%s does not support the space %s; others serve it", self._connection.provider, space.name)
        if scope["readonly"]:
            _log.warning("the token allows reading only: no output can go to the space %s", space.name)
        self._check_version()

    def close(self) -> None:
        """Close the connections."""
        if self._link is not None:
            self._link.close()

    def _check_version(self) -> None:
        """Compare the client's version with the Onezone's: its authors advise against a newer client."""
        from importlib.metadata import version  # noqa: PLC0415  # only here

        ours = version("onedatafilerestclient")
        try:
            with translated("", self._connection.shown):
                told = ask_configuration(self._connection, self._zone(), "onezone")
        except StorageError as error:
            _log.info("the Onezone does not tell its version: %s", error)
            return
        theirs = str(told.get("version", "unknown"))
        level = logging.WARNING if is_older(theirs, ours) else logging.INFO
        older = ", which is older: should something fail, that may be why" if level == logging.WARNING else ""
        _log.log(level, "onedatafilerestclient %s, Onezone %s%s", ours, theirs, older)

    @contextmanager
    def _asking(self, path: str, *, writing: bool = False) -> Iterator[tuple[OnedataFileRESTClient, Space]]:
        """Give the client and the space; raise what goes wrong in the block as a StorageError."""
        with translated(path, self._connection.shown):
            link, space = self._open()
            link.broken = None
            try:
                yield link.client, space
            except NoAvailableProviderForSpaceError as error:
                if link.broken is not None:
                    raise unreachable(link.broken, path=path, endpoint=self._connection.shown) from link.broken
                raise unserved(link.client.get_token_scope(), space, writing=writing) from error
            finally:
                link.let_go()

    def _open(self) -> tuple[Link, Space]:
        """Return the link and the space, looked for at first use."""
        if self._link is None:
            self._link = Link(self._connection, self._zone(), self._token.reveal())
        if self._space is None:
            self._space = find_space(self._link.client.get_token_scope(), self._connection)
        return self._link, self._space

    def _zone(self) -> str:
        """Return the Onezone's host; where it isn't configured, the Oneprovider tells it to everybody."""
        if self._connection.zone is not None:
            return self._connection.zone
        told = ask_configuration(self._connection, self._connection.provider, "oneprovider")
        zone = told.get("onezoneDomain")
        if not isinstance(zone, str) or not zone:
            message, hint = "the Oneprovider does not tell which Onezone it belongs to", "set onezone_host"
            raise InvalidConfiguration(message, endpoint=self._connection.shown, hint=hint)
        return zone

    def _file(self, client: OnedataFileRESTClient, space: Space, path: str) -> _Entry:
        found = _look_up(client, space, path)
        if found is None:
            raise NotFound("there is no such file", path=path, endpoint=self._connection.shown)
        if found.kind != "REG":
            what = "a folder" if found.kind == "DIR" else "a symbolic link, which is not followed"
            raise WrongKind(f"this is {what}", path=path, endpoint=self._connection.shown)
        return found

    def _children(self, folder: str, id_: str) -> Iterator[_Entry]:
        """Yield what is in a folder, page by page; one that is gone meanwhile is empty."""
        token: str | None = None
        while True:
            with self._asking(folder) as (client, space):
                try:
                    page = client.list_children(
                        space.specifier, file_id=id_, attributes=_ATTRIBUTES, limit=_PAGE, continuation_token=token
                    )
                except NotFound:
                    return
                entries = [_Entry.of(f"{folder}/{one['name']}".lstrip("/"), one) for one in page["children"]]
            yield from entries
            following = page.get("nextPageToken")
            if page.get("isLast") or not following:
                return
            token = quote(following, safe="")  # the client writes it into the URL as it is


def _look_up(client: OnedataFileRESTClient, space: Space, path: str) -> _Entry | None:
    """Return what is at `path`, or None.

    By path, each of the client's calls would ask for the id anew, and again three times whenever nobody answers.
    """
    try:
        # The client writes paths into URLs as they are: `#` and `?` would end them.
        id_ = client.get_file_id(space.specifier, file_path=quote(path, safe="/"), retries=0)
        return _Entry.of(path, _attributes(client, space, id_))
    except NotFound:
        return None


def _attributes(client: OnedataFileRESTClient, space: Space, id_: str) -> FileAttrsJson:
    found: FileAttrsJson = client.get_attributes(space.specifier, file_id=id_, attributes=_ATTRIBUTES)
    return found


def _create(client: OnedataFileRESTClient, space: Space, path: str) -> str | None:
    """Make an empty file, and the folders on the way; return its id, or None where something is there.

    After a time-out the client repeats this at another Oneprovider, and that then finds the file of the first
    try: no failure.
    """
    try:
        made: str = client.create_file(space.specifier, quote(path, safe="/"), create_parents=True)
    except AlreadyExists:
        return None
    return made


@contextmanager
def _removing(client: OnedataFileRESTClient, space: Space, made: str | None) -> Iterator[None]:
    """Remove the file that was just made if the server refuses its content: the core knows of no bytes that moved."""
    try:
        yield
    except StorageError as error:
        if made is not None and not error.retryable:
            try:
                client.remove(space.specifier, file_id=made)
            except StorageError as left:
                _log.warning("an empty file was left behind: %s", left)
        raise
