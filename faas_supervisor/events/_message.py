"""What the decoder walks over: a message, and the envelope that it may be."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError
from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from faas_supervisor.events._model import Event

    Recogniser: TypeAlias = Callable[["Message"], "Event | Wrapped | None"]

__all__ = ["LARGEST", "NOTHING", "Message", "Wrapped", "parse"]

LARGEST: Final = 16 * 2**20
"""Bytes of the largest message that is searched for an event; a larger one is data."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

# What a delegation may name before the first dot of `type.id`; anything else is an id, which may hold dots.
_PROVIDER_TYPES: Final = frozenset({"minio", "s3", "onedata", "webdav", "dcache", "rucio", "file"})


@value
class Message:
    """Bytes that may hold an event, and what is known about them from outside.

    Attributes:
        data: The bytes; they are the payload when nobody knows the message.
        document: The JSON object or array that the bytes are; None when they are anything else.
        headers: HTTP headers by lower-case name.
        provider: The storage provider that an OSCAR delegation names.
        depth: How many envelopes were opened to get here.
        exact: The sender said where the data begins and ends, and in which encoding: as a payload it stays as
            it is, even when it looks like base64.
    """

    data: bytes
    document: object = None
    headers: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    provider: str | None = None
    depth: int = 0
    exact: bool = False

    def inside(self, data: bytes | str, *, headers: Mapping[str, str] = NOTHING, exact: bool = False) -> Message:
        """Return the message that this one carries as text or bytes."""
        document = parse(data)
        if isinstance(data, str):
            # JSON can escape halves of surrogate pairs, which no UTF-8 holds.
            data = data.encode("utf-8", "surrogatepass")
        return Message(data, document, headers, self.provider, self.depth + 1, exact=exact)

    def holding(self, document: object) -> Message:
        """Return the message that this one carries as a part of its own document."""
        try:
            written = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        except RecursionError as error:
            raise EventError("the event's JSON is nested too deeply") from error
        data = written.encode("utf-8", "surrogatepass")
        shape = document if isinstance(document, dict | list) else None
        return Message(data, shape, NOTHING, self.provider, self.depth + 1, exact=True)

    def provider_of(self, kind: str) -> str:
        """Return the provider of files in a store of type `kind`: as delegated (`type.id`), else the bare type."""
        if self.provider is None:
            return kind
        named, dot, id_ = self.provider.partition(".")
        if dot and id_ and (named == kind or named in _PROVIDER_TYPES):
            return self.provider
        return f"{kind}.{self.provider}"


@value
class Wrapped:
    """An envelope and the messages in it.

    Attributes:
        envelope: Its name, for people.
        parts: The messages, in the sender's order; taken one by one.
        sure: The envelope is what it is, whatever is in it. Else (an array could be anybody's) it is
            one only when every part is an event.
        id: The sender's id of the envelope.
        variables: What it adds to the script's environment.
        notes: What was left out.
    """

    envelope: str
    parts: Iterable[Message]
    sure: bool = True
    id: str | None = None
    variables: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    notes: tuple[str, ...] = ()


def parse(data: bytes | str) -> object:
    """Return the JSON object or array that `data` is; None for anything else, or what is too large or too deep."""
    if len(data) > LARGEST:
        return None
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        return json.loads(text) if text.lstrip(" \t\r\n")[:1] in {"{", "["} else None
    except (ValueError, RecursionError):
        # ValueError is also what a number of more than 4300 digits raises.
        return None
