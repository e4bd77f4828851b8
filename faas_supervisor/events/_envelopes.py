"""What events come wrapped in: each recogniser opens one kind of envelope."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from faas_supervisor.errors import EventError
from faas_supervisor.events._fields import any_text, child, quoted, text_at
from faas_supervisor.events._message import Wrapped
from faas_supervisor.events._model import Event
from faas_supervisor.events._variables import variables
from faas_supervisor.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor.events._message import Message

__all__ = ["delegation", "eventbridge", "http_request", "sns_message", "sns_records", "sqs"]


def delegation(message: Message) -> Wrapped | None:
    """Recognise OSCAR's `{"storage_provider": "minio.cluster", "event": "{…}"}`.

    The innermost provider counts: the cluster that delegates first wraps the event with the name of its own
    storage, and clusters that delegate it further keep that name.
    """
    document = message.document
    provider = text_at(document, "storage_provider")
    if not isinstance(document, dict) or provider is None:
        return None
    event = document.get("event")
    if isinstance(event, dict):
        inner = message.holding(event)
    elif isinstance(event, str):
        inner = message.inside(event)
    else:
        return None
    # What OSCAR wraps is a JSON object; any other text must be an event, or this is somebody else's document.
    sure = isinstance(inner.document, dict)
    return Wrapped("oscar-delegation", (replace(inner, provider=provider),), sure=sure)


def http_request(message: Message) -> Wrapped | None:
    """Recognise the requests that API Gateway (v1, v2), Lambda function URLs and load balancers pass on."""
    document, context = message.document, child(message.document, "requestContext")
    if not isinstance(document, dict):
        return None
    if text_at(document, "httpMethod") is not None and "headers" in document and "body" in document:
        sender = "alb" if child(context, "elb") is not None else "api-gateway"
    elif text_at(child(context, "http"), "method") is not None:
        sender = "function-url" if ".lambda-url." in (text_at(context, "domainName") or "") else "api-gateway"
    else:
        return None
    # Load balancers leave the decoding to us, the others have done it.
    passed, notes = variables("CONT_VAR_", _parameters(document, encoded=sender == "alb"))
    return Wrapped(sender, (_body(message, document),), id=text_at(context, "requestId"), variables=passed, notes=notes)


def sqs(message: Message) -> Wrapped | None:
    """Recognise what SQS passes to Lambda: `{"Records": [{"eventSource": "aws:sqs", "body": "…"}]}`."""
    records = _records(message, "eventSource", "aws:sqs")
    if records is None:
        return None
    parts = tuple(message.inside(any_text(record, "body", at=at)) for at, record in records)
    return Wrapped("sqs", parts, id=_only(records, "messageId"))


def sns_records(message: Message) -> Wrapped | None:
    """Recognise what SNS passes to Lambda: `{"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "…"}}]}`."""
    records = _records(message, "EventSource", "aws:sns")
    if records is None:
        return None
    parts = tuple(message.inside(any_text(record, "Sns.Message", at=at)) for at, record in records)
    return Wrapped("sns", parts, id=_only([(at, record.get("Sns")) for at, record in records], "MessageId"))


def sns_message(message: Message) -> Event | Wrapped | None:
    """Recognise what SNS sends over HTTP and to SQS: `{"Type": "Notification", "TopicArn": "…", "Message": "…"}`."""
    document, topic = message.document, text_at(message.document, "TopicArn")
    kind = text_at(document, "Type")
    if topic is None or text_at(document, "MessageId") is None:
        return None
    if kind in {"SubscriptionConfirmation", "UnsubscribeConfirmation"}:
        asked = "confirm the subscription" if kind.startswith("Sub") else "subscribe again if that was not meant"
        return Event("sns", skipped=f"SNS sent a {kind} for topic {quoted(topic)}: {asked}")
    if kind != "Notification":
        return None
    return Wrapped("sns", (message.inside(any_text(document, "Message")),), id=text_at(document, "MessageId"))


def eventbridge(message: Message) -> Wrapped | None:
    """Recognise an event that somebody put on EventBridge: `{"detail-type": "…", "source": "…", "detail": {…}}`."""
    document, detail = message.document, child(message.document, "detail")
    if detail is None or text_at(document, "detail-type") is None or text_at(document, "source") is None:
        return None
    return Wrapped("eventbridge", (message.holding(detail),), sure=False, id=text_at(document, "id"))


def _body(message: Message, document: dict[str, Any]) -> Message:
    body, headers = document.get("body"), _headers(document)
    if isinstance(body, dict | list):
        return replace(message.holding(body), headers=headers)
    if body is not None and not isinstance(body, str):
        raise EventError("the event is malformed: body is not a string")
    if not document.get("isBase64Encoded"):
        return message.inside(body or "", headers=headers)
    try:
        return message.inside(binascii.a2b_base64(body or "", strict_mode=True), headers=headers, exact=True)
    except ValueError as error:
        raise EventError("the event is malformed: isBase64Encoded is set, but body is not base64") from error


def _headers(document: dict[str, Any]) -> dict[str, str]:
    given = _single(document, "headers", "multiValueHeaders")
    return {name.lower(): value for name, value in given.items() if isinstance(value, str)}


def _parameters(document: dict[str, Any], *, encoded: bool) -> Iterator[tuple[str, object]]:
    from urllib.parse import unquote_plus  # noqa: PLC0415  # 2 ms that most events need not take

    for name, value in _single(document, "queryStringParameters", "multiValueQueryStringParameters").items():
        if encoded and isinstance(value, str):
            yield unquote_plus(name), unquote_plus(value)
        else:
            yield name, value


def _single(document: dict[str, Any], single: str, multiple: str) -> dict[str, object]:
    """Return one value for each name; load balancers send either field, and of several values the last counts."""
    given = child(document, single)
    if given is not None:
        return given
    several = child(document, multiple) or {}
    return {name: values[-1] for name, values in several.items() if isinstance(values, list) and values}


def _records(message: Message, field: str, source: str) -> list[tuple[str, dict[str, Any]]] | None:
    """Return each record with its place, if the first comes from `source`."""
    document = message.document
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list) or not records or text_at(records[0], field) != source:
        return None
    for i, record in enumerate(records):
        if text_at(record, field) != source:
            raise EventError(f"the event is malformed: Records[{i}].{field} is not {quoted(source)} as in the first")
    return [(f"Records[{i}]", record) for i, record in enumerate(records)]


def _only(records: list[tuple[str, Any]], name: str) -> str | None:
    return text_at(records[0][1], name) if len(records) == 1 else None
