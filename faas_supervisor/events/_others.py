"""Notifications with shapes of their own: OneTrigger (for Onedata), dCache and Rucio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError, printable
from faas_supervisor.events._fields import child, number, optional_text, quoted, text, text_at
from faas_supervisor.events._model import Event, Record
from faas_supervisor.events._objects import gathered, valid

if TYPE_CHECKING:
    from faas_supervisor.events._message import Message

__all__ = ["dcache", "onetrigger", "rucio"]

# After these, a dCache file can be read; the others come before, or have nothing to do with its content.
_COMPLETE: Final = frozenset({"IN_CLOSE_WRITE", "IN_MOVED_TO"})
_GONE: Final = frozenset({"IN_DELETE", "IN_DELETE_SELF", "IN_MOVED_FROM", "IN_MOVE_SELF"})

# What Rucio calls its messages; of these it says that a file or a dataset is there.
_RUCIO_READY: Final = frozenset({"close", "transfer-done"})
_RUCIO_OTHER: Final = ("deletion-", "transfer-", "create_", "register_", "open", "erase", "lost")


def onetrigger(message: Message) -> Event | None:
    """Recognise `{"Key": "/space/path/f", "Records": [{"eventSource": "OneTrigger", …}]}`, sent for Onedata."""
    document = message.document
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list) or not records or text_at(records[0], "eventSource") != "OneTrigger":
        return None
    if len(records) > 1:
        raise EventError(f"the event is malformed: it has one Key, but {len(records)} Records")
    key = valid(text(document, "Key"))
    path = key.strip("/")
    if not path:
        raise EventError("the event is incomplete: Key names no file")
    time = optional_text(records[0], "eventTime", at="Records[0]")
    name = path.rpartition("/")[2]
    return gathered("onedata", [Record(name, provider=message.provider_of("onedata"), path=path, key=key, time=time)])


def dcache(message: Message) -> Event | None:
    """Recognise dCache's inotify events: `{"event": {"name": "f", "mask": ["IN_CLOSE_WRITE"]}, "subscription": "…"}`.

    Such an event does not tell the folder; the subscription was made for one.
    """
    event = child(message.document, "event")
    if event is None or "mask" not in event or text_at(message.document, "subscription") is None:
        return None
    mask = event["mask"]
    if not isinstance(mask, list) or not all(isinstance(flag, str) for flag in mask):
        raise EventError("the event is malformed: event.mask is not a list of strings")
    happened = printable(", ".join(mask))
    if "IN_Q_OVERFLOW" in mask:
        raise EventError("dCache lost events (IN_Q_OVERFLOW)", hint="list the folder to find what was not processed")
    name = optional_text(event, "name", at="event")
    shown = quoted(name) if name else "the folder itself"
    if "IN_ISDIR" in mask:
        return Event("dcache", skipped=f"{shown} is a folder, not a file ({happened})")
    if not _GONE.isdisjoint(mask):
        return Event("dcache", skipped=f"{shown} was removed ({happened}): there is nothing to download")
    # IN_CREATE comes before the data, but there are subscriptions to nothing else.
    created = "IN_CREATE" in mask
    if not created and _COMPLETE.isdisjoint(mask):
        return Event("dcache", skipped=f"{shown} is not a file that was just written ({happened})")
    record = Record(
        valid(text(event, "name", at="event")),
        provider=message.provider_of("dcache"),
        subscription=text(message.document, "subscription"),
    )
    early = f"{shown} was created, but may not be complete (IN_CREATE): better subscribe to IN_CLOSE_WRITE"
    return Event("dcache", (record,), notes=(early,) if created and _COMPLETE.isdisjoint(mask) else ())


def rucio(message: Message) -> Event | None:
    """Recognise `{"event_type": "close", "payload": {"scope": "user.jdoe", "name": "f"}}`; the path is `scope/name`."""
    happened = (text_at(message.document, "event_type") or "").lower()
    payload = child(message.document, "payload")
    if payload is None or "scope" not in payload or "name" not in payload:
        return None
    if happened not in _RUCIO_READY and not happened.startswith(_RUCIO_OTHER):
        return None
    scope, name = text(payload, "scope", at="payload"), text(payload, "name", at="payload")
    if happened not in _RUCIO_READY:
        return Event("rucio", skipped=f"{quoted(f'{scope}:{name}')} has no new content ({happened})")
    record = Record(
        name.rstrip("/").rpartition("/")[2],
        provider=message.provider_of("rucio"),
        path=valid(f"{scope}/{name}"),
        key=name,
        size=number(payload, "bytes", at="payload"),
        time=optional_text(message.document, "created_at"),
    )
    return gathered("rucio", [record])
