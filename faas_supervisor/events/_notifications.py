"""Notifications in the shape that Amazon S3 gave them: from S3 itself, MinIO and Ceph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from faas_supervisor.errors import EventError
from faas_supervisor.events._message import number, optional_text, quoted, text
from faas_supervisor.events._model import Event, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.events._message import Message

__all__ = ["etag_of", "gathered", "s3_file", "s3_notification", "s3_test_event", "version_of"]


@dataclass(frozen=True, slots=True)
class _Sender:
    """The event's type, the type of the provider that holds the objects, and whether keys come URL-encoded."""

    type: str
    provider: str
    encoded: bool


_SENDERS: Final = {
    "minio:s3": _Sender("minio", "minio", encoded=True),
    "aws:s3": _Sender("s3", "s3", encoded=True),
    "ceph:s3": _Sender("ceph", "s3", encoded=False),
}

# How the names of events begin that leave nothing to download, and why.
_NOTHING_LEFT: Final = (
    ("ObjectRemoved:", "was removed"),
    ("LifecycleExpiration:", "expired"),
    ("ObjectLifecycle:", "was moved or removed by a life-cycle rule"),
    ("ObjectRestore:Post", "is only being restored from an archive"),
    ("ObjectRestore:Delete", "is back in its archive"),
    ("ReducedRedundancyLostObject", "was lost"),
)

# Nothing to pin to. MinIO sent "1" for every object until it had versions (in 2020); "null" is what was
# written while versioning was off, and is replaced in place.
_NO_VERSION: Final = frozenset({"1", "null"})


def s3_notification(message: Message) -> Event | None:
    """Recognise `{"Records": [{"eventSource": "minio:s3", …}, …]}`."""
    document = message.document
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list) or not records:
        return None
    source = _source(records[0])
    sender = _SENDERS.get(source)
    if sender is None:
        return None
    for i, record in enumerate(records):
        if _source(record) != source:
            raise EventError(
                f"the event is malformed: Records[{i}].eventSource is not {quoted(source)} as in the first"
            )
    found = [_file(record, f"Records[{i}]", sender, message) for i, record in enumerate(records)]
    return gathered(sender.type, found, id=_request(records[0]))


def s3_test_event(message: Message) -> Event | None:
    """Recognise what Amazon S3 sends once, when notifications are switched on."""
    document = message.document
    if not isinstance(document, dict) or document.get("Event") != "s3:TestEvent":
        return None
    if document.get("Service") != "Amazon S3":
        return None
    return Event("s3", skipped="this is the test event that Amazon S3 sends when notifications are set up")


def s3_file(
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
    path = f"{bucket}/{key}"
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EventError(f"the event names {quoted(path)}, which is not valid UTF-8") from error
    if key.endswith("/") and not size:
        return f"{quoted(path)} is a folder marker, not a file"
    # An object with data may be called "folder/", too.
    name = key.rstrip("/").rpartition("/")[2]
    return Record(name, provider=provider, path=path, key=key, size=size, etag=etag, version=version, time=time)


def gathered(kind: str, found: Iterable[Record | str], *, id: str | None = None) -> Event:  # noqa: A002  # as in Event
    """Return the event of these records; what is text is the reason why a record was left out."""
    records, reasons = [], []
    for one in found:
        if isinstance(one, Record):
            records.append(one)
        else:
            reasons.append(one)
    if records:
        return Event(kind, tuple(records), notes=tuple(reasons), id=id)
    return Event(kind, skipped="; ".join(reasons), id=id)


def version_of(sent: str | None) -> str | None:
    """Return the version to download, if what was sent is one."""
    return None if sent in _NO_VERSION else sent


def etag_of(sent: str | None) -> str | None:
    """Return the ETag without the quotes that HTTP puts around it."""
    return (sent or "").strip('"') or None


def _file(record: Any, at: str, sender: _Sender, message: Message) -> Record | str:  # noqa: ANN401  # JSON
    bucket = text(record, "s3.bucket.name", at=at)
    key = text(record, "s3.object.key", at=at)
    if sender.encoded:
        key = _decoded(key, at)
    happened = (optional_text(record, "eventName", at=at) or "").removeprefix("s3:")
    for beginning, why in _NOTHING_LEFT:
        if happened.startswith(beginning):
            return f"{quoted(f'{bucket}/{key}')} {why} ({happened}): there is nothing to download"
    return s3_file(
        key,
        bucket=bucket,
        provider=message.provider_of(sender.provider),
        size=number(record, "s3.object.size", at=at),
        etag=etag_of(optional_text(record, "s3.object.eTag", at=at)),
        version=version_of(optional_text(record, "s3.object.versionId", at=at)),
        time=optional_text(record, "eventTime", at=at),
    )


def _decoded(key: str, at: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise EventError(f"{at}.s3.object.key {quoted(key)} is not UTF-8 once its %-escapes are decoded") from error


def _source(record: Any) -> str:  # noqa: ANN401  # JSON
    source = record.get("eventSource") if isinstance(record, dict) else None
    return source if isinstance(source, str) else ""


def _request(record: Any) -> str | None:  # noqa: ANN401  # JSON
    elements = record.get("responseElements")
    request = elements.get("x-amz-request-id") if isinstance(elements, dict) else None
    return request if isinstance(request, str) and request else None
