"""What the decoder walks over: a message, what is found in it, and look-ups whose errors name the place."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from faas_supervisor.events._model import Event

    Recogniser: TypeAlias = Callable[["Message"], "Event | Wrapped | None"]

__all__ = [
    "LARGEST",
    "NOTHING",
    "Message",
    "Recogniser",
    "Wrapped",
    "number",
    "optional_text",
    "parse",
    "quoted",
    "text",
]

# What a delegation may name before the first dot of `type.id`; anything else is an id, which may hold dots.
_PROVIDER_TYPES: Final = frozenset({"minio", "s3", "onedata", "webdav", "dcache", "rucio", "file"})

LARGEST: Final = 16 * 2**20
"""Bytes of the largest message that is searched for an event; a larger one is data."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes that may hold an event, and what is known about them from outside.

    Attributes:
        data: The bytes; they are the payload when nobody knows the message.
        document: The JSON object or array that the bytes are; None when they are anything else.
        headers: HTTP headers by lower-case name.
        provider: The storage provider that an OSCAR delegation names.
        depth: How many envelopes were opened to get here.
    """

    data: bytes
    document: object = None
    headers: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    provider: str | None = None
    depth: int = 0

    @classmethod
    def of(cls, data: bytes, headers: Mapping[str, str] = NOTHING) -> Message:
        """Return the message that arrived as `data`."""
        return cls(data, parse(data), headers)

    def inside(self, data: bytes | str, *, headers: Mapping[str, str] = NOTHING) -> Message:
        """Return the message that this one carries as text or bytes."""
        if isinstance(data, str):
            # JSON can escape halves of surrogate pairs, which no UTF-8 holds.
            data = data.encode("utf-8", "surrogatepass")
        return replace(self, data=data, document=parse(data), headers=headers, depth=self.depth + 1)

    def holding(self, document: object, *, headers: Mapping[str, str] = NOTHING) -> Message:
        """Return the message that this one carries as a part of its own document."""
        written = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        shape = document if isinstance(document, dict | list) else None
        return replace(self, data=written, document=shape, headers=headers, depth=self.depth + 1)

    def provider_of(self, kind: str) -> str:
        """Return the provider of files in a store of type `kind`: as delegated (`type.id`), else the bare type."""
        if self.provider is None:
            return kind
        named, dot, id_ = self.provider.partition(".")
        if dot and id_ and (named == kind or named in _PROVIDER_TYPES):
            return self.provider
        return f"{kind}.{self.provider}"


@dataclass(frozen=True, slots=True)
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


def parse(data: bytes) -> object:
    """Return the JSON object or array that `data` is; None for anything else, or what is too large or too deep."""
    if len(data) > LARGEST or data.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] not in {b"{", b"["}:
        return None
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        # ValueError is also what a number of more than 4300 digits raises.
        return None


def text(document: object, path: str, *, at: str) -> str:
    """Return the non-empty string at the dotted `path`.

    Raises:
        EventError: It is not there, empty, or no string; the message names the place, from `at` on.
    """
    value = _look(document, path, at)
    if value is _MISSING or value is None:
        raise EventError(f"the event is incomplete: {at}.{path} is missing")
    if not isinstance(value, str):
        raise EventError(f"the event is malformed: {at}.{path} is not a string")
    if not value:
        raise EventError(f"the event is incomplete: {at}.{path} is empty")
    return value


def optional_text(document: object, path: str, *, at: str) -> str | None:
    """Return the string at `path`, or None where there is none or an empty one; anything else is an `EventError`."""
    value = _look(document, path, at)
    if value is _MISSING or value is None or value == "":
        return None
    if not isinstance(value, str):
        raise EventError(f"the event is malformed: {at}.{path} is not a string")
    return value


def number(document: object, path: str, *, at: str) -> int | None:
    """Return the number of bytes at `path`, or None where there is none; anything else is an `EventError`."""
    value = _look(document, path, at)
    if value is _MISSING or value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise EventError(f"the event is malformed: {at}.{path} is not a number of bytes")
    return value


def quoted(value: str, limit: int = 200) -> str:
    """Return `value` for a message: on one line, in quotes, cut where it is too long to read."""
    shown = value if len(value) <= limit else value[:limit] + "…"
    return f'"{printable(shown)}"'


def _look(document: object, path: str, at: str) -> object:
    place = at
    for step in path.split("."):
        if not isinstance(document, dict):
            raise EventError(f"the event is malformed: {place} is not an object")
        document = document.get(step, _MISSING)
        if document is _MISSING:
            return _MISSING
        place = f"{place}.{step}"
    return document
