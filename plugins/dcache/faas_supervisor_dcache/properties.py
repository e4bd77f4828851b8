"""What the server tells about objects and folders: PROPFIND, and how its answers are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from webdav4.multistatus import DAVProperties  # type: ignore[import-untyped]

from faas_supervisor.errors import InvalidConfiguration, StorageError
from faas_supervisor.storage import ObjectInfo
from faas_supervisor.values import value
from faas_supervisor_dcache.address import segments
from faas_supervisor_dcache.failures import answered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from faas_supervisor_dcache.door import Door

__all__ = ["Entry", "children", "digest", "entry_of"]

MOST_ENTRIES: Final = 100_000
"""Entries of one folder that are held in memory, some 30 MiB."""

# The longest description of one object: ten names of 255 bytes, quoted, fit many times.
_LONGEST_ENTRY: Final = 1024 * 1024

_MULTI_STATUS: Final = 207
_MISSING: Final = frozenset({404, 410})
_BAD: Final = 400

_DCACHE: Final = "http://www.dcache.org/2013/webdav"
_ASKED: Final = "<resourcetype/><getcontentlength/><getetag/><getlastmodified/>"
_ASK: Final = '<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>{}</prop></propfind>'
_OF_FOLDER: Final = _ASK.format(_ASKED).encode()
# dCache tells its checksums only when asked, and other servers that they have no such property.
_OF_OBJECT: Final = _ASK.format(f'{_ASKED}<Checksums xmlns="{_DCACHE}"/>').encode()

_ADLER32: Final = re.compile(r"(?:^|[,\s])adler32=([0-9a-f]{1,8})(?=$|[,;\s])", re.IGNORECASE)


@value
class Entry:
    """One object or folder as the server tells it; `names` are the decoded parts of its URL's path."""

    names: tuple[str, ...]
    folder: bool
    size: int | None
    modified: datetime | None
    etag: str | None
    checksums: Mapping[str, str]

    def info(self, path: str) -> ObjectInfo:
        """Return what is told of the object at `path`."""
        if self.size is None:
            raise StorageError("the server does not tell the object's size", path=path)
        return ObjectInfo(path, self.size, self.modified, self.etag, self.checksums)


def entry_of(door: Door, path: str, *, folder: bool = False) -> Entry | None:
    """Return what is at `path`, or None if nothing is."""
    found = _propfind(door, path, "0", _OF_OBJECT, folder=folder)
    if found is None:
        return None
    if not found:
        raise StorageError("the server's answer tells nothing of the object", path=path, endpoint=door.address.url)
    return found[0]


def children(door: Door, path: str, *, folder: bool) -> tuple[Entry | None, list[Entry]]:
    """Return what is at `path` and, if that is a folder, what is in it.

    `folder` says that it is known to be one. A folder with more than `MOST_ENTRIES` entries is a StorageError.
    """
    found = _propfind(door, path, "1", _OF_FOLDER, folder=folder)
    if not found:
        return None, []
    # The folder itself is among them, mostly first. Behind a proxy its path may differ from the one that was asked
    # for, but it is the shortest.
    asked = segments(door.address.of_path(path))
    own = next((entry for entry in found if entry.names == asked), None) or min(found, key=lambda it: len(it.names))
    return own, [entry for entry in found if len(entry.names) == len(own.names) + 1]


def digest(response: httpx.Response) -> dict[str, str]:
    """Return the checksums in a `Digest` header (RFC 3230), of those that we can compare."""
    return _checksums(response.headers.get("Digest", ""))


def _propfind(door: Door, path: str, depth: str, content: bytes, *, folder: bool) -> list[Entry] | None:
    # Without `Depth` a server would describe everything below, as webdav4's exists() and isdir() let it; RFC 4918 9.1.
    headers = {"Depth": depth, "Content-Type": "application/xml"}
    expected = {_MULTI_STATUS, 200, _BAD, *_MISSING}
    with door.answer("PROPFIND", path, expected, headers=headers, content=content, folder=folder) as response:
        if response.status_code in _MISSING or (response.status_code == _BAD and _is_below_an_object(door, path)):
            return None
        if response.status_code == _BAD:
            raise answered(response, path=path, endpoint=door.address.url)
        if response.status_code != _MULTI_STATUS:
            raise InvalidConfiguration(
                "the server does not speak WebDAV here",
                path=path,
                endpoint=door.address.url,
                hint="set hostname to the WebDAV door, with its port (dCache's is often 2880) and its base path",
            )
        try:
            return _bounded(_entries(response), path)
        except (ParseError, ValueError, OverflowError) as error:
            message = f"the server's answer can't be understood: {type(error).__name__}"
            raise StorageError(message, path=path, endpoint=door.address.url) from error


def _is_below_an_object(door: Door, path: str) -> bool:
    """Whether nothing can be at `path` since what is above is no folder; Apache answers 400 then, not 404."""
    parent = path.rpartition("/")[0]
    if not parent:
        return False
    above = entry_of(door, parent)
    return above is None or not above.folder


def _bounded(entries: Iterator[Entry], path: str) -> list[Entry]:
    found: list[Entry] = []
    for entry in entries:
        if len(found) > MOST_ENTRIES:
            hint = "spread its objects over several folders"
            raise StorageError(f"the folder has more than {MOST_ENTRIES} entries", path=path, hint=hint)
        found.append(entry)
    return found


def _entries(response: httpx.Response) -> Iterator[Entry]:
    """Yield the entries as they arrive: a listing may be long, so its document is never held as a whole."""
    parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
    root: Element | None = None
    pending = 0
    for piece in response.iter_bytes():
        parser.feed(piece)
        pending += len(piece)
        events: Iterator[tuple[str, Element]] = parser.read_events()  # type: ignore[assignment]  # of these kinds only
        for event, element in events:
            if root is None:
                root = element
            elif event == "end" and element.tag == "{DAV:}response":
                yield _entry(element)
                root.clear()
                pending = 0
        if pending > _LONGEST_ENTRY:
            raise ValueError("an entry is too long")
    parser.close()


def _entry(element: Element) -> Entry:
    told = DAVProperties(element)
    modified = told.modified
    if modified is not None and modified.tzinfo is None:
        modified = modified.replace(tzinfo=UTC)
    # A weak etag may be the same for another content of the same second.
    strong = told.etag and not told.etag.startswith("W/")
    return Entry(
        names=segments((element.findtext("{DAV:}href") or "").strip()),
        folder=bool(told.collection),
        size=told.content_length,
        modified=modified,
        etag=told.etag.strip('"') if told.etag and strong else None,
        checksums=_checksums(element.findtext(f".//{{{_DCACHE}}}Checksums") or "") or _NONE,
    )


def _checksums(text: str) -> dict[str, str]:
    found = _ADLER32.search(text)
    return {"adler32": found[1].lower().zfill(8)} if found else {}


_NONE: Final[Mapping[str, str]] = MappingProxyType({})
