"""CloudEvents 1.0 over HTTP: structured, batched (an array of structured ones) and binary.

Written by hand, as the `cloudevents` package takes longer to import than a whole invocation without storage.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.errors import EventError
from faas_supervisor.events._fields import any_text, quoted, text, text_at
from faas_supervisor.events._message import Wrapped
from faas_supervisor.events._model import Event
from faas_supervisor.events._variables import variables
from faas_supervisor.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.events._message import Message

__all__ = ["binary_cloudevent", "cloudevent", "cloudevent_batch"]

_REQUIRED: Final = ("id", "source", "type")
_VERSION: Final = "1.0"
_DATA: Final = frozenset({"data", "data_base64"})
_ONE: Final = "application/cloudevents+json"
_BATCH: Final = "application/cloudevents-batch+json"


def cloudevent(message: Message) -> Wrapped | None:
    """Recognise `{"specversion": "1.0", "id": "…", "source": "…", "type": "…", "data": …}`."""
    document = message.document
    declared = _content_type(message) == _ONE
    if not isinstance(document, dict):
        if declared:
            raise EventError("the CloudEvent is malformed: it is not a JSON object")
        return None
    if declared:
        _check(document)
    elif document.get("specversion") != _VERSION or not all(text_at(document, name) for name in _REQUIRED):
        return None
    attributes = ((name, value) for name, value in document.items() if name not in _DATA and value is not None)
    return _wrapped(_data(message, document), attributes)


def cloudevent_batch(message: Message) -> Event | Wrapped | None:
    """Recognise the content type of batches. Without it, an array of CloudEvents is just an array of events."""
    if _content_type(message) != _BATCH:
        return None
    if not isinstance(message.document, list):
        raise EventError("the batch of CloudEvents is malformed: it is not a JSON array")
    if not message.document:
        return Event("cloudevent", skipped="the batch of CloudEvents is empty")
    single = {"content-type": _ONE}
    return Wrapped("array", [replace(message.holding(element), headers=single) for element in message.document])


def binary_cloudevent(message: Message) -> Wrapped | None:
    """Recognise the headers `ce-specversion: 1.0`, `ce-id`, `ce-source` and `ce-type`; the body is the data."""
    from urllib.parse import unquote  # noqa: PLC0415  # 2 ms that most events need not take

    headers = message.headers
    if headers.get("ce-specversion") != _VERSION or _content_type(message) in {_ONE, _BATCH}:
        return None
    for name in _REQUIRED:
        if not headers.get(f"ce-{name}"):
            raise EventError(f"the CloudEvent is incomplete: the header ce-{name} is missing")
    attributes = [(name[3:], unquote(value)) for name, value in headers.items() if name.startswith("ce-")]
    if "content-type" in headers:
        attributes.append(("datacontenttype", headers["content-type"]))
    return _wrapped(message.inside(message.data, exact=True), attributes)


def _check(document: dict[str, Any]) -> None:
    version = text(document, "specversion")
    if version != _VERSION:
        raise EventError(f"CloudEvents {quoted(version)} are not understood, only {_VERSION}")
    for name in _REQUIRED:
        text(document, name)


def _content_type(message: Message) -> str:
    declared = message.headers.get("content-type")
    return declared.partition(";")[0].strip().lower() if declared else ""


def _wrapped(data: Message, attributes: Iterable[tuple[str, Any]]) -> Wrapped:
    given = dict(attributes)
    passed, notes = variables("CE_", ((name.upper(), value) for name, value in given.items()))
    return Wrapped("cloudevent", (data,), id=given["id"], variables=passed, notes=notes)


def _data(message: Message, document: dict[str, Any]) -> Message:
    if document.get("data_base64") is not None:
        try:
            decoded = binascii.a2b_base64(any_text(document, "data_base64"), strict_mode=True)
        except ValueError as error:
            raise EventError("the CloudEvent is malformed: data_base64 is not base64") from error
        return message.inside(decoded, exact=True)
    data = document.get("data")
    if data is None:
        return message.inside(b"", exact=True)
    # A string is passed on as its text, also where the content type is JSON: some senders put a document into it.
    return message.inside(data, exact=True) if isinstance(data, str) else message.holding(data)
