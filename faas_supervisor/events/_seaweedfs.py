"""The webhook of SeaweedFS's filer, which tells of files; those below `/buckets` are the objects of its S3 gateway."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError
from faas_supervisor.events._fields import child, number, optional_text, quoted, text, text_at
from faas_supervisor.events._objects import etag_of, gathered, object_record

if TYPE_CHECKING:
    from faas_supervisor.events._message import Message
    from faas_supervisor.events._model import Event, Record

__all__ = ["seaweedfs"]

_KINDS: Final = frozenset({"create", "update", "delete", "rename"})
_BUCKETS: Final = "/buckets/"
_ENTRY: Final = "message.new_entry"


def seaweedfs(message: Message) -> Event | None:
    """Recognise `{"event_type": "create", "key": "/buckets/b/f", "message": {"new_entry": {…}, …}}`."""
    document, notification = message.document, child(message.document, "message")
    if text_at(document, "event_type") not in _KINDS or text_at(document, "key") is None or notification is None:
        return None
    if "new_entry" not in notification and "old_entry" not in notification:
        return None
    return gathered("seaweedfs", [_found(message, notification)])


def _found(message: Message, notification: dict[str, object]) -> Record | str:
    named = text(message.document, "key")
    entry = child(notification, "new_entry")
    if entry is None or _extended(entry, "Seaweed-X-Amz-Delete-Marker"):
        return f"{quoted(named)} was removed: there is nothing to download"
    # After a renaming, `key` still is the old name.
    folder = optional_text(notification, "new_parent_path", at="message") or named.rpartition("/")[0]
    path = f"{folder.rstrip('/')}/{text(entry, 'name', at=_ENTRY)}"
    if entry.get("is_directory"):
        return f"{quoted(path)} is a folder, not a file"
    version = _extended(entry, "Seaweed-X-Amz-Version-Id")
    if version is not None and folder.endswith(".versions"):
        path = folder.removesuffix(".versions")
        if "old_entry" in notification:
            return f"version {quoted(version)} of {quoted(path)} has no new content"
    bucket, _, key = path.removeprefix(_BUCKETS).partition("/")
    if not path.startswith(_BUCKETS) or not key:
        return f"{quoted(path)} is in no bucket"
    if bucket.startswith(".") or key.startswith(".uploads/"):
        return f"{quoted(path)} is a part of an upload, or SeaweedFS's own"
    return object_record(
        key,
        bucket=bucket,
        provider=message.provider_of("s3"),
        size=number(entry, "attributes.file_size", at=_ENTRY),
        etag=etag_of(_extended(entry, "Seaweed-X-Amz-ETag")),
        version=version,
    )


def _extended(entry: dict[str, object], name: str) -> str | None:
    """Return an extended attribute; they are in base64."""
    value = optional_text(entry, f"extended.{name}", at=_ENTRY)
    try:
        return None if value is None else base64.b64decode(value, validate=True).decode("utf-8")
    except ValueError as error:
        raise EventError(f"the event is malformed: {_ENTRY}.extended.{name} is not base64 of text") from error
