"""The walk from bytes to an event: recognise, open what is an envelope, and begin again with what is in it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError
from faas_supervisor.events._cloudevents import binary_cloudevent, cloudevent, cloudevent_batch
from faas_supervisor.events._encodings import array, documents, encoded
from faas_supervisor.events._envelopes import delegation, eventbridge, http_request, sns_message, sns_records, sqs
from faas_supervisor.events._message import NOTHING, Message, parse
from faas_supervisor.events._model import Event
from faas_supervisor.events._notifications import eventbridge_s3, s3_notification, s3_test_event
from faas_supervisor.events._others import dcache, onetrigger, rucio
from faas_supervisor.events._payload import unknown
from faas_supervisor.events._seaweedfs import seaweedfs
from faas_supervisor.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from faas_supervisor.events._message import Recogniser, Wrapped
    from faas_supervisor.events._model import Record

    Decoder: TypeAlias = Callable[[object, Mapping[str, str]], Event | None]

__all__ = ["DEPTH", "decode"]

DEPTH: Final = 8
"""How many envelopes may lie around an event."""

# Asked in this order; the first that knows a message decides.
_RECOGNISERS: Final[tuple[Recogniser, ...]] = (
    # What the headers declare.
    cloudevent_batch,
    binary_cloudevent,
    # Notifications.
    s3_notification,
    s3_test_event,
    eventbridge_s3,
    onetrigger,
    dcache,
    rucio,
    seaweedfs,
    # Envelopes.
    delegation,
    http_request,
    sqs,
    sns_records,
    sns_message,
    eventbridge,
    cloudevent,
    # What could be anybody's, and is an envelope only when everything in it is an event.
    array,
    documents,
    encoded,
)


def decode(body: bytes, *, headers: Mapping[str, str] = NOTHING, decoder: Decoder | None = None) -> Event:
    """Return the event that `body` is.

    What is of no known kind is an event of type `unknown`: one record with the bytes as they came (JSON and
    plain text) or decoded (base64). So are a body of more than 16 MiB, JSON that is nested too deeply to be
    read, and an empty body, whose payload is empty.

    Args:
        body: The bytes that arrived.
        headers: The HTTP headers that came with them, by lower-case name.
        decoder: Asked for every JSON document that no recogniser knows: the event, or None. What it raises
            goes through.

    Raises:
        EventError: The event is of a known kind but malformed, or wrapped more than `DEPTH` times.
    """
    message = Message(body, parse(body), headers)
    return replace(_known(message, decoder) or unknown(message), raw=body)


def _known(message: Message, decoder: Decoder | None) -> Event | None:
    for recognise in _RECOGNISERS:
        found = recognise(message)
        if isinstance(found, Event):
            return found
        if found is not None:
            event = _opened(found, message, decoder)
            if event is not None:
                return event
    if decoder is None or message.document is None:
        return None
    event = decoder(message.document, message.headers)
    return event and replace(event, records=tuple(_delegated(record, message) for record in event.records))


def _delegated(record: Record, message: Message) -> Record:
    if record.provider is None or "." in record.provider:
        return record
    return replace(record, provider=message.provider_of(record.provider))


def _opened(wrapped: Wrapped, message: Message, decoder: Decoder | None) -> Event | None:
    if message.depth >= DEPTH:
        if wrapped.sure:
            raise EventError(f"the event is wrapped in more than {DEPTH} envelopes")
        return None
    events = []
    for part in wrapped.parts:
        event = _known(part, decoder)
        if event is None and not wrapped.sure:
            return None
        events.append(event or unknown(part))
    return _merged(wrapped, events)


def _merged(wrapped: Wrapped, events: list[Event]) -> Event:
    """Return the events of an envelope as one."""
    first, alone = events[0], len(events) == 1
    records = tuple(record for event in events for record in _own(event, alone=alone))
    reasons = tuple(event.skipped for event in events if event.skipped)
    notes = tuple(note for event in events for note in event.notes)
    return Event(
        first.type if len({event.type for event in events}) == 1 else "mixed",
        records,
        skipped=None if records else "; ".join(reasons),
        notes=wrapped.notes + notes + (reasons if records else ()),
        envelopes=(wrapped.envelope, *first.envelopes),
        id=wrapped.id or (first.id if alone else None),
        variables=MappingProxyType({**wrapped.variables, **(first.variables if alone else {})}),
    )


def _own(event: Event, *, alone: bool) -> tuple[Record, ...]:
    """Return the event's records; among others they carry the variables of their event themselves."""
    if alone or not event.variables:
        return event.records
    return tuple(
        replace(record, variables=MappingProxyType({**event.variables, **record.variables})) for record in event.records
    )
