"""The walk from bytes to an event: recognise, open what is an envelope, and begin again with what is in it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError
from faas_supervisor.events._envelopes import delegation
from faas_supervisor.events._message import NOTHING, Message
from faas_supervisor.events._model import Event
from faas_supervisor.events._notifications import s3_notification, s3_test_event
from faas_supervisor.events._payload import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from faas_supervisor.events._message import Recogniser, Wrapped

    Decoder: TypeAlias = Callable[[object, Mapping[str, str]], Event | None]

__all__ = ["DEPTH", "decode"]

DEPTH: Final = 8
"""How many envelopes may lie around an event."""

# Asked in this order; the first that knows a message decides.
_RECOGNISERS: Final[tuple[Recogniser, ...]] = (
    s3_notification,
    s3_test_event,
    delegation,
)


def decode(body: bytes, *, headers: Mapping[str, str] = NOTHING, decoder: Decoder | None = None) -> Event:
    """Return the event that `body` is.

    Args:
        body: The bytes that arrived. Empty ones are an unknown event with an empty payload.
        headers: The HTTP headers that came with them, by lower-case name.
        decoder: Asked for every JSON document that no recogniser knows: the event, or None. What it raises
            goes through.

    Raises:
        EventError: The event is of a known kind but malformed, or wrapped more than `DEPTH` times.
    """
    message = Message.of(body, headers)
    return replace(_known(message, decoder) or unknown(body), raw=body)


def _known(message: Message, decoder: Decoder | None) -> Event | None:
    for recognise in _RECOGNISERS:
        found = recognise(message)
        if isinstance(found, Event):
            return found
        if found is not None:
            event = _opened(found, message, decoder)
            if event is not None:
                return event
    if decoder is not None and message.document is not None:
        return decoder(message.document, message.headers)
    return None


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
        events.append(event or unknown(part.data))
    return _merged(wrapped, events)


def _merged(wrapped: Wrapped, events: list[Event]) -> Event:
    first = events[0]
    records = tuple(record for event in events for record in event.records)
    reasons = tuple(event.skipped for event in events if event.skipped)
    notes = wrapped.notes + tuple(note for event in events for note in event.notes)
    variables: dict[str, str] = dict(wrapped.variables)
    for event in events:
        variables.update(event.variables)
    return Event(
        first.type if all(event.type == first.type for event in events) else "mixed",
        records,
        skipped=None if records else "; ".join(reasons),
        notes=notes + (reasons if records else ()),
        envelopes=(wrapped.envelope, *first.envelopes),
        id=wrapped.id or (first.id if len(events) == 1 else None),
        variables=MappingProxyType(variables),
    )
