"""Whatever envelopes lie around an event, and in whichever order: it means the same as the bare one."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.events import decode


def compact(document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def text(body: bytes) -> str:
    return body.decode()


REQUEST = {"httpMethod": "POST", "headers": {}, "isBase64Encoded": False}
URL = {"version": "2.0", "requestContext": {"domainName": "x.lambda-url.on.aws", "http": {"method": "POST"}}}
CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "s", "type": "t"}

ENVELOPES = {
    "delegation": lambda body: compact({"storage_provider": "cluster", "event": text(body)}),
    "API Gateway": lambda body: compact(REQUEST | {"body": text(body)}),
    "API Gateway, base64": lambda body: compact(
        REQUEST | {"body": text(base64.b64encode(body)), "isBase64Encoded": True}
    ),
    "function URL": lambda body: compact(URL | {"body": text(body)}),
    "SQS": lambda body: compact({"Records": [{"eventSource": "aws:sqs", "body": text(body)}]}),
    "SNS": lambda body: compact({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text(body)}}]}),
    "SNS over HTTP": lambda body: compact(
        {"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": text(body)}
    ),
    "CloudEvent, text": lambda body: compact(CLOUDEVENT | {"data": text(body), "datacontenttype": "text/plain"}),
    "CloudEvent, JSON text": lambda body: compact(CLOUDEVENT | {"data": text(body)}),
    "CloudEvent, base64": lambda body: compact(CLOUDEVENT | {"data_base64": text(base64.b64encode(body))}),
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base32": base64.b32encode,
    "hexadecimal": lambda body: body.hex().encode(),
    "blank around": lambda body: b"\n  " + body + b"\n",
}

# These hold a document, not text.
HOLDERS = {
    "array": lambda document: [document],
    "EventBridge": lambda document: {"detail-type": "x", "source": "y", "detail": document},
    "CloudEvent": lambda document: CLOUDEVENT | {"data": document},
    "delegation of an object": lambda document: {"storage_provider": "cluster", "event": document},
    "API Gateway, object": lambda document: REQUEST | {"body": document},
}

KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda key: not key.endswith("/"))


def notification(source: str, keys: list[str]) -> bytes:
    encode = str if source == "ceph:s3" else quote_plus
    objects = [{"key": encode(key), "size": i, "eTag": f"{i:032x}"} for i, key in enumerate(keys)]
    return compact(
        {"Records": [{"eventSource": source, "s3": {"bucket": {"name": "b"}, "object": one}} for one in objects]}
    )


def wrapped(body: bytes, names: list[str]) -> bytes:
    for name in names:
        if name in ENVELOPES:
            body = ENVELOPES[name](body)
        elif isinstance(document := as_document(body), dict):
            body = compact(HOLDERS[name](document))
    return body


def as_document(body: bytes):
    try:
        return json.loads(body)
    except ValueError:
        return None


@given(
    source=st.sampled_from(["minio:s3", "aws:s3", "ceph:s3"]),
    keys=st.lists(KEYS, min_size=1, max_size=3),
    names=st.lists(st.sampled_from([*ENVELOPES, *HOLDERS]), max_size=6),
)
def test_an_event_in_any_envelopes_means_what_it_means_alone(source, keys, names):
    bare = decode(notification(source, keys))
    event = decode(wrapped(notification(source, keys), names))
    assert event.type == bare.type
    assert [replace(record, provider=None) for record in event.records] == [
        replace(record, provider=None) for record in bare.records
    ]
    delegated = any(name.startswith("delegation") for name in event.envelopes)
    assert {record.provider.partition(".")[0] for record in event.records} == {bare.records[0].provider}
    assert not delegated or {record.provider.partition(".")[2] for record in event.records} == {"cluster"}


@given(
    st.lists(st.tuples(st.sampled_from(["minio:s3", "aws:s3"]), KEYS), min_size=2, max_size=4),
    st.sampled_from([b"\n", b" ", b"", b"\r\n\t "]),
    st.sampled_from(list(ENVELOPES)),
)
def test_several_events_in_one_body_mean_all_of_them(events, separator, name):
    bodies = [notification(source, [key]) for source, key in events]
    alone = [record for body in bodies for record in decode(body).records]
    joined = decode(separator.join(bodies))
    assert list(joined.records) == alone
    assert joined.type == ("mixed" if len({source for source, _ in events}) > 1 else decode(bodies[0]).type)
    inside = decode(ENVELOPES[name](separator.join(bodies)))
    assert [record.path for record in inside.records] == [record.path for record in alone]


@given(st.binary(), st.lists(st.sampled_from(list(ENVELOPES)), max_size=3))
def test_any_bytes_in_any_envelopes_are_an_event(data, names):
    event = decode(wrapped(base64.b64encode(data), names))
    assert event.records
    assert event.skipped is None
