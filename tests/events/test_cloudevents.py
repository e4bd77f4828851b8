"""CloudEvents: structured, batched, binary; with events of stores in them, or with anything else."""

from __future__ import annotations

import base64
import json

import pytest

from faas_supervisor.errors import EventError
from faas_supervisor.events import decode, sample

ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/here", "type": "org.example.made"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "Application/CloudEvents-Batch+JSON"}
BINARY = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}


def structured(**more) -> bytes:
    return json.dumps(ATTRIBUTES | more).encode()


def content(event) -> bytes:
    (record,) = event.records
    assert event.type == "unknown"
    assert event.envelopes == ("cloudevent",)
    return record.data


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ({"data": {"a": [1, "é"]}}, '{"a":[1,"é"]}'.encode()),
        ({"data": 5}, b"5"),
        ({"data": True}, b"true"),
        ({"data": "text"}, b"text"),
        ({"data": "text", "datacontenttype": "application/json"}, b"text"),
        ({"data": "text", "datacontenttype": "text/plain"}, b"text"),
        ({"data": "aGVsbG8=", "datacontenttype": "text/plain"}, b"aGVsbG8="),
        ({"data_base64": "aGVsbG8="}, b"hello"),
        ({"data_base64": base64.b64encode(b"aGVsbG8=").decode()}, b"aGVsbG8="),
        ({"data": None}, b""),
        ({}, b""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_data_is_the_payload(given, data):
    assert content(decode(structured(**given))) == data


def test_binary_mode_takes_the_body_as_it_is():
    event = decode(b"aGVsbG8=", headers=BINARY | {"content-type": "text/plain", "user-agent": "x"})
    assert content(event) == b"aGVsbG8="
    assert event.id == "1"
    assert event.variables == {
        "CE_SPECVERSION": "1.0",
        "CE_ID": "1",
        "CE_SOURCE": "/here",
        "CE_TYPE": "org.example.made",
        "CE_DATACONTENTTYPE": "text/plain",
    }


def test_binary_attributes_are_percent_decoded():
    assert decode(b"", headers=BINARY | {"ce-subject": "Euro%20%E2%82%AC"}).variables["CE_SUBJECT"] == "Euro €"


@pytest.mark.parametrize("kind", ["minio", "s3", "ceph", "seaweedfs", "onedata", "dcache", "rucio"])
def test_an_event_of_a_store_is_found_in_every_mode(kind):
    inner, bare = sample(kind), decode(sample(kind))
    for event in (
        decode(structured(data=json.loads(inner))),
        decode(structured(data=inner.decode())),
        decode(structured(data_base64=base64.b64encode(inner).decode())),
        decode(inner, headers=BINARY),
        decode(b"[" + structured(data=json.loads(inner)) + b"]", headers=BATCH),
    ):
        assert event.type == kind
        assert event.records == bare.records
        assert event.variables["CE_TYPE"] == "org.example.made"


def test_a_batch_without_its_content_type_is_understood_too():
    event = decode(b"[" + structured(id="1", data=1) + b"," + structured(id="2", data=2) + b"]")
    assert [record.data for record in event.records] == [b"1", b"2"]
    assert [record.variables["CE_ID"] for record in event.records] == ["1", "2"]
    assert event.variables == {}


def test_an_empty_batch_is_skipped():
    event = decode(b"[]", headers=BATCH)
    assert event.records == ()
    assert "empty" in event.skipped


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"{}", STRUCTURED, "specversion is missing"),
        (structured(specversion="0.3"), STRUCTURED, '"0.3" are not understood'),
        (structured(id=""), STRUCTURED, "id is empty"),
        (structured(type=5), STRUCTURED, "type is not a string"),
        (b"text", STRUCTURED, "not a JSON object"),
        (b"[]", STRUCTURED, "not a JSON object"),
        (b"{}", BATCH, "not a JSON array"),
        (b"[5]", BATCH, "not a JSON object"),
        (b"[{}]", BATCH, "specversion is missing"),
        (structured(data_base64="???"), {}, "data_base64 is not base64"),
        (structured(data_base64=5), {}, "data_base64 is not a string"),
        (b"", {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t"}, "ce-source is missing"),
    ],
)
def test_what_is_declared_and_malformed_is_an_error(body, headers, message):
    with pytest.raises(EventError, match=message):
        decode(body, headers=headers)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (structured(specversion="0.3"), {}),
        (b'{"specversion":"1.0","id":"1","source":"s"}', {}),
        (b'{"specversion":1.0,"id":"1","source":"s","type":"t"}', {}),
        (b"text", {"ce-specversion": "0.3", "ce-id": "1"}),
        (b"text", {"ce-id": "1", "ce-source": "s", "ce-type": "t"}),
    ],
)
def test_what_only_looks_like_a_cloudevent_is_a_payload(body, headers):
    event = decode(body, headers=headers)
    assert event.envelopes == ()
    assert event.records[0].data == body


def test_attributes_that_are_no_variables_are_noted():
    odd = {
        "nul": "a\0b",
        "half": "\ud800",
        "list": [1],
        "long": "x" * 70_000,
        "with-minus": "x",
        "naïve": "x",
        "": "x",
        "null": None,
        "fine": "x",
        "number": 5,
        "truth": True,
    }
    event = decode(structured(**odd))
    assert {name: value for name, value in event.variables.items() if name[3:].lower() in odd} == {
        "CE_FINE": "x",
        "CE_NUMBER": "5",
        "CE_TRUTH": "true",
    }
    assert len(event.notes) == 7


def test_many_attributes_do_not_fill_the_environment():
    event = decode(structured(**{f"a{i}": "x" * 1000 for i in range(200)}))
    assert sum(len(value) for value in event.variables.values()) <= 64 * 1024
    assert len(event.variables) + len(event.notes) == 204
