"""Records for objects, and events of records: what all notifications have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError
from faas_supervisor.events._fields import quoted
from faas_supervisor.events._model import Event, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["etag_of", "gathered", "object_record", "valid", "version_of"]

# Nothing to pin to. MinIO sent "1" for every object until it had versions (in 2020); "null" is what was
# written while versioning was off, and is replaced in place.
_NO_VERSION: Final = frozenset({"1", "null"})


def object_record(
    key: str,
    *,
    bucket: str,
    provider: str,
    size: int | None = None,
    etag: str | None = None,
    version: str | None = None,
    time: str | None = None,
) -> Record | str:
    """Return the record for an object, or the reason why there is nothing to download."""
    path = valid(f"{bucket}/{key}")
    if key.endswith("/") and not size:
        return f"{quoted(path)} is a folder marker, not a file"
    # An object with data may be called "folder/", too.
    name = key.rstrip("/").rpartition("/")[2]
    return Record(name, provider=provider, path=path, key=key, size=size, etag=etag, version=version, time=time)


def gathered(
    kind: str,
    found: Iterable[Record | str],
    *,
    id: str | None = None,  # noqa: A002  # as in Event
    envelopes: tuple[str, ...] = (),
) -> Event:
    """Return the event of these records; what is text is the reason why a record was left out."""
    records: list[Record] = []
    reasons: list[str] = []
    for one in found:
        if isinstance(one, Record):
            records.append(one)
        else:
            reasons.append(one)
    if records:
        return Event(kind, tuple(records), notes=tuple(reasons), envelopes=envelopes, id=id)
    return Event(kind, skipped="; ".join(reasons), envelopes=envelopes, id=id)


def version_of(sent: str | None) -> str | None:
    """Return the version to download, if what was sent is one."""
    return None if sent in _NO_VERSION else sent


def etag_of(sent: str | None) -> str | None:
    """Return the ETag without the quotes that HTTP puts around it."""
    return (sent or "").strip('"') or None


def valid(name: str) -> str:
    """Return `name`, which must be valid Unicode: JSON can hold halves of characters, a store can't."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EventError(f"the event names {quoted(name)}, which is not valid UTF-8") from error
    return name
