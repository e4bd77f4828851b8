"""Notifications in the shape that Amazon S3 gave them: from S3 itself, MinIO and Ceph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.errors import EventError
from faas_supervisor.events._fields import child, number, optional_text, quoted, text, text_at
from faas_supervisor.events._model import Event
from faas_supervisor.events._objects import etag_of, gathered, object_record, version_of
from faas_supervisor.values import value

if TYPE_CHECKING:
    from faas_supervisor.events._message import Message
    from faas_supervisor.events._model import Record

__all__ = ["eventbridge_s3", "s3_notification", "s3_test_event"]


@value
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

# The events of EventBridge after which there is an object to read.
_READABLE: Final = frozenset({"Object Created", "Object Restore Completed"})


def s3_notification(message: Message) -> Event | None:
    """Recognise `{"Records": [{"eventSource": "minio:s3", …}, …]}`, or one such record alone."""
    document = message.document
    if not isinstance(document, dict):
        return None
    records = document.get("Records")
    if text_at(document, "eventSource") in _SENDERS and child(document, "s3") is not None:
        records, at = [document], "record"
    elif isinstance(records, list) and records and text_at(records[0], "eventSource") in _SENDERS:
        at = "Records[{}]"
    else:
        return None
    source = records[0]["eventSource"]
    for i, record in enumerate(records):
        if text_at(record, "eventSource") != source:
            raise EventError(
                f"the event is malformed: Records[{i}].eventSource is not {quoted(source)} as in the first"
            )
    sender = _SENDERS[source]
    found = [_record(record, at.format(i), sender, message) for i, record in enumerate(records)]
    return gathered(sender.type, found, id=text_at(child(records[0], "responseElements"), "x-amz-request-id"))


def s3_test_event(message: Message) -> Event | None:
    """Recognise what Amazon S3 sends once, when notifications are switched on."""
    if text_at(message.document, "Event") != "s3:TestEvent" or text_at(message.document, "Service") != "Amazon S3":
        return None
    return Event("s3", skipped="this is the test event that Amazon S3 sends when notifications are set up")


def eventbridge_s3(message: Message) -> Event | None:
    """Recognise `{"source": "aws.s3", "detail-type": "Object Created", "detail": {…}}`; keys come as they are."""
    document = message.document
    happened = text_at(document, "detail-type")
    if happened is None or text_at(document, "source") != "aws.s3" or child(document, "detail") is None:
        return None
    at = "detail"
    detail = child(document, at)
    bucket, key = text(detail, "bucket.name", at=at), text(detail, "object.key", at=at)
    found = (
        object_record(
            key,
            bucket=bucket,
            provider=message.provider_of("s3"),
            size=number(detail, "object.size", at=at),
            etag=etag_of(optional_text(detail, "object.etag", at=at)),
            version=version_of(optional_text(detail, "object.version-id", at=at)),
            time=optional_text(document, "time"),
        )
        if happened in _READABLE
        else _nothing(bucket, key, "has no new content", happened)
    )
    return gathered("s3", [found], id=text_at(document, "id"), envelopes=("eventbridge",))


def _record(record: Any, at: str, sender: _Sender, message: Message) -> Record | str:  # noqa: ANN401  # JSON
    bucket, key = text(record, "s3.bucket.name", at=at), text(record, "s3.object.key", at=at)
    if sender.encoded:
        key = _decoded(key, at)
    happened = (optional_text(record, "eventName", at=at) or "").removeprefix("s3:")
    for beginning, why in _NOTHING_LEFT:
        if happened.startswith(beginning):
            return _nothing(bucket, key, why, happened)
    return object_record(
        key,
        bucket=bucket,
        provider=message.provider_of(sender.provider),
        size=number(record, "s3.object.size", at=at),
        etag=etag_of(optional_text(record, "s3.object.eTag", at=at)),
        version=version_of(optional_text(record, "s3.object.versionId", at=at)),
        time=optional_text(record, "eventTime", at=at),
    )


def _nothing(bucket: str, key: str, why: str, happened: str) -> str:
    return f"{quoted(f'{bucket}/{key}')} {why} ({happened}): there is nothing to download"


def _decoded(key: str, at: str) -> str:
    from urllib.parse import unquote_plus  # noqa: PLC0415  # 2 ms that most events need not take

    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise EventError(f"{at}.s3.object.key {quoted(key)} is not UTF-8 once its %-escapes are decoded") from error
