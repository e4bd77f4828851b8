"""What events come wrapped in."""

from __future__ import annotations

import base64
import json
import textwrap

import pytest

from faas_supervisor.errors import EventError
from faas_supervisor.events import Event, Record, decode, describe, sample

MINIO = sample("minio").decode()


def delegated(event: object, provider="minio.cluster") -> str:
    return json.dumps({"storage_provider": provider, "event": event})


@pytest.mark.parametrize(
    ("named", "provider"),
    [
        ("minio.default", "minio.default"),
        ("s3.archive", "s3.archive"),
        ("oscar-cluster", "minio.oscar-cluster"),
        ("oscar.example.org", "minio.oscar.example.org"),
        ("minio.oscar.example.org", "minio.oscar.example.org"),
        ("minio", "minio.minio"),
        ("minio.", "minio.minio."),
    ],
)
def test_a_delegated_event_has_the_provider_that_it_names(named, provider):
    event = decode(delegated(MINIO, named).encode())
    assert event.type == "minio"
    assert event.records[0].provider == provider
    assert event.envelopes == ("oscar-delegation",)


def test_the_provider_that_was_named_first_counts():
    event = decode(delegated(delegated(MINIO, "origin"), "on-the-way").encode())
    assert event.records[0].provider == "minio.origin"
    assert event.envelopes == ("oscar-delegation", "oscar-delegation")


def test_a_delegated_event_may_be_an_object():
    assert decode(delegated(json.loads(MINIO)).encode()).records == decode(delegated(MINIO).encode()).records


def test_a_delegated_event_of_unknown_kind_is_a_payload():
    event = decode(delegated('{"a":  1}').encode())
    assert event.type == "unknown"
    assert event.records[0].data == b'{"a":  1}'
    assert event.records[0].provider is None


@pytest.mark.parametrize(
    "document",
    [
        {"event": "concert"},
        {"event": "concert", "storage_provider": "minio.x"},
        {"event": "[1]", "storage_provider": "minio.x"},
        {"event": MINIO},
        {"event": MINIO, "storage_provider": 5},
        {"event": MINIO, "storage_provider": ""},
        {"event": None, "storage_provider": "minio.x"},
    ],
    ids=lambda document: ", ".join(f"{key}={value!r:.12}" for key, value in document.items()),
)
def test_what_only_looks_like_a_delegation_is_a_payload(document):
    body = json.dumps(document).encode()
    event = decode(body)
    assert event.type == "unknown"
    assert event.envelopes == ()
    assert event.records[0].data == body


def test_the_depth_of_envelopes_is_limited():
    event = MINIO
    for _ in range(8):
        event = delegated(event)
    assert len(decode(event.encode()).envelopes) == 8
    with pytest.raises(EventError, match="more than 8 envelopes"):
        decode(delegated(event).encode())


def test_a_skipped_event_stays_skipped_in_its_envelope():
    event = decode(delegated(MINIO.replace("hello.txt", "").replace('"size": 12', '"size": 0')).encode())
    assert event.records == ()
    assert "folder marker" in event.skipped
    assert "envelopes" in describe(event)


def gateway(body, **more) -> bytes:
    request = {"httpMethod": "POST", "headers": {}, "body": body, "isBase64Encoded": False}
    return json.dumps(request | more).encode()


def payload_of(body: bytes) -> bytes:
    (record,) = decode(body).records
    return record.data


@pytest.mark.parametrize(
    ("request_", "data"),
    [
        (gateway("plain text"), b"plain text"),
        (gateway("aGVsbG8="), b"hello"),
        (gateway("aGVsbG8=", isBase64Encoded=True), b"hello"),
        (gateway(base64.b64encode(b"aGVsbG8=").decode(), isBase64Encoded=True), b"aGVsbG8="),
        (gateway({"a": 1}), b'{"a":1}'),
        (gateway(None), b""),
        (gateway(None, isBase64Encoded=True), b""),
        (gateway("x", headers=None), b"x"),
        (gateway("x", headers=["odd"], multiValueHeaders=5, queryStringParameters="odd"), b"x"),
    ],
)
def test_the_body_of_a_request_is_the_payload(request_, data):
    assert payload_of(request_) == data


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (gateway("???", isBase64Encoded=True), "body is not base64"),
        (gateway("\ud800", isBase64Encoded=True), "body is not base64"),
        (gateway(5), "body is not a string"),
    ],
)
def test_a_malformed_request_is_an_error(request_, message):
    with pytest.raises(EventError, match=message):
        decode(request_)


def test_a_cloudevent_may_come_through_a_gateway():
    headers = {"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "s", "Ce-Type": "t", "Other": 5}
    event = decode(gateway("data", headers=headers, queryStringParameters={"a": "b"}))
    assert event.envelopes == ("api-gateway", "cloudevent")
    assert event.variables["CE_ID"] == "1"
    assert event.variables["CONT_VAR_a"] == "b"


def test_a_load_balancer_may_send_all_values():
    body = gateway(
        "",
        requestContext={"elb": {"targetGroupArn": "arn"}},
        multiValueHeaders={"ce-id": []},
        multiValueQueryStringParameters={"a": ["1", "x+y%2F"], "b": [], "c": 5},
    )
    request = json.loads(body)
    del request["headers"]
    request["headers"] = None
    event = decode(json.dumps(request).encode())
    assert event.envelopes == ("alb",)
    assert event.variables == {"CONT_VAR_a": "x y/"}


@pytest.mark.parametrize(
    "document",
    [
        {"httpMethod": "GET"},
        {"body": "x", "headers": {}},
        {"requestContext": {"http": {}}},
        {"Type": "Notification", "Message": "x"},
        {"Type": "Other", "TopicArn": "arn", "MessageId": "1", "Message": "x"},
        {"detail": {"a": 1}, "detail-type": "x"},
        {"Records": [{"eventSource": "aws:dynamodb", "body": "x"}]},
        {"event_type": "close", "payload": {"account": "x"}},
        {"event_type": "click", "payload": {"scope": "a", "name": "b"}},
        {"event": {"name": "f", "mask": ["IN_CREATE"]}},
        {"event": "tick", "subscription": "https://dcache.example.org"},
        {"event_type": "create", "key": "/a", "message": {"text": "hello"}},
        {"eventSource": "minio:s3", "s3": "no object"},
    ],
    ids=lambda document: json.dumps(document)[:50],
)
def test_what_only_looks_like_an_event_is_a_payload(document):
    body = json.dumps(document).encode()
    event = decode(body)
    assert (event.type, event.envelopes) == ("unknown", ())
    assert event.records[0].data == body


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"Records": [{"eventSource": "aws:sqs"}]}, r"Records\[0\]\.body is missing"),
        ({"Records": [{"eventSource": "aws:sqs", "body": 5}]}, r"Records\[0\]\.body is not a string"),
        ({"Records": [{"eventSource": "aws:sqs", "body": "x"}, 5]}, r"Records\[1\]\.eventSource"),
        ({"Records": [{"EventSource": "aws:sns"}]}, r"Records\[0\]\.Sns\.Message is missing"),
        ({"Type": "Notification", "TopicArn": "a", "MessageId": "1"}, "Message is missing"),
        ({"source": "aws.s3", "detail-type": "Object Created", "detail": {}}, r"detail\.bucket\.name is missing"),
        ({"Records": [{"eventSource": "OneTrigger"}]}, "Key is missing"),
        ({"Key": "//", "Records": [{"eventSource": "OneTrigger"}]}, "names no file"),
        ({"Key": "/s/f", "Records": [{"eventSource": "OneTrigger"}] * 2}, "2 Records"),
        ({"event": {"name": "f", "mask": "IN_CREATE"}, "subscription": "s"}, "mask is not a list"),
        ({"event": {"mask": ["IN_CLOSE_WRITE"]}, "subscription": "s"}, r"event\.name is missing"),
        ({"event": {"name": 5, "mask": ["IN_OPEN"]}, "subscription": "s"}, r"event\.name is not a string"),
        ({"event_type": "close", "payload": {"scope": "a", "name": ""}}, r"payload\.name is empty"),
        ({"event_type": "create", "key": "/buckets/b/f", "message": {"new_entry": {}}}, r"new_entry\.name is missing"),
        (
            {
                "event_type": "create",
                "key": "/buckets/b/f",
                "message": {"new_entry": {"name": "f", "extended": {"Seaweed-X-Amz-ETag": "???"}}},
            },
            "ETag is not base64",
        ),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else None,
)
def test_a_known_but_malformed_event_is_an_error_that_names_the_place(document, message):
    with pytest.raises(EventError, match=message):
        decode(json.dumps(document).encode())


def test_an_empty_sqs_message_is_an_empty_payload():
    assert payload_of(b'{"Records":[{"eventSource":"aws:sqs","body":""}]}') == b""


def test_a_delegated_plugin_event_has_the_provider_that_the_delegation_names():
    def decoder(document, headers):
        return Event("mine", (Record("a", path="x/a", provider="mine"), Record("b", path="x/b", provider="s3.own")))

    event = decode(delegated('{"mine":1}', "cluster").encode(), decoder=decoder)
    assert [record.provider for record in event.records] == ["mine.cluster", "s3.own"]


def test_a_delegated_dcache_event_keeps_its_subscription():
    (record,) = decode(delegated(sample("dcache").decode(), "dcache.desy").encode()).records
    assert (record.provider, record.path, record.name) == ("dcache.desy", None, "hello.txt")
    assert record.subscription.startswith("https://")


@pytest.mark.parametrize(
    "body",
    [
        b"[" + sample("minio") + b', {"a": 1}]',
        b"[" + sample("minio") + b", 5]",
        sample("minio") + b'{"a": 1}',
        sample("minio") + b"text",
        sample("minio") + b'{"a":',
        b"[]",
        b"[[" + sample("minio") + b"]]",
    ],
)
def test_several_events_are_several_only_when_all_are_events(body):
    event = decode(body)
    assert (event.type, event.envelopes) == ("unknown", ())
    assert event.records[0].data == body


def test_lines_with_a_byte_order_mark_are_understood():
    assert len(decode(b"\xef\xbb\xbf" + sample("minio") * 2).records) == 2
    assert decode(b"\xef\xbb\xbf" + sample("minio")).type == "minio"


def test_several_events_of_one_kind_keep_what_was_skipped_as_notes():
    folder = MINIO.replace("hello.txt", "").replace('"size": 12', '"size": 0')
    event = decode(f"{MINIO}\n{folder}".encode())
    assert (event.type, len(event.records), event.skipped) == ("minio", 1, None)
    assert "folder marker" in event.notes[0]


def test_encodings_nest_and_mix():
    inner = sample("minio")
    body = base64.b16encode(base64.b32encode(base64.b64encode(inner))).lower()
    assert decode(body).envelopes == ("encoded", "encoded", "encoded")
    mixed = b"\n".join([base64.b64encode(inner), base64.b32encode(inner), inner.hex().encode()])
    assert len(decode(mixed).records) == 3


def test_encoded_text_that_is_no_event_is_a_payload():
    assert decode(b"68656c6c6f20776f726c64").records[0].data == b"68656c6c6f20776f726c64"
    assert decode(b"NBSWY3DPEB3W64TMMQ======").records[0].data == b"NBSWY3DPEB3W64TMMQ======"


def test_text_that_is_encoded_too_often_is_a_payload():
    body = sample("minio")
    for _ in range(9):
        body = base64.b64encode(body)
    event = decode(body)
    assert (event.type, event.envelopes) == ("unknown", ())


def test_an_event_that_somebody_put_on_eventbridge_is_found():
    body = {"detail-type": "upload", "source": "org.example", "id": "7", "detail": json.loads(MINIO)}
    event = decode(json.dumps(body).encode())
    assert (event.type, event.envelopes, event.id) == ("minio", ("eventbridge",), "7")


def test_bytes_after_a_document_keep_it_a_payload():
    body = sample("minio") + b"\xff"
    assert decode(body).records[0].data == body


@pytest.mark.parametrize("depth", [*range(20, 1500, 20), *range(900, 1010)])
def test_documents_of_any_depth_are_an_event_or_an_event_error(depth):
    detail = b'{"a":' * depth + b"1" + b"}" * depth
    for body in (b"[" + detail + b"]", b'{"detail-type":"x","source":"y","detail":' + detail + b"}"):
        try:
            event = decode(body)
        except EventError as error:
            event = error
        assert getattr(event, "type", "unknown") == "unknown"


@pytest.mark.parametrize("size", [110, 111, 112, 113, 114])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.b32encode], ids=["base64", "base32"])
def test_encoded_events_of_full_lines_are_told_apart(size, encode):
    # 114 bytes are two lines of 76 columns in base64, without padding; 112 and 113 the same with padding.
    inner = json.dumps({"event_type": "close", "payload": {"scope": "a", "name": "b"}}, separators=(",", ":"))
    lines = textwrap.wrap(encode(inner.ljust(size).encode()).decode(), 76)
    assert len(decode("\n".join([*lines, *lines, *lines]).encode()).records) == 3
