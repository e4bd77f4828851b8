"""What holds for every event."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.errors import EventError
from faas_supervisor.events import SAMPLES, Event, Record, decode, describe, sample


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_sample_is_of_its_own_kind(kind):
    event = decode(sample(kind))
    assert kind in {event.type, *event.envelopes}
    assert event.records
    assert event.raw == sample(kind)


def test_there_is_no_sample_of_what_nobody_sends():
    with pytest.raises(KeyError):
        sample("carrier-pigeon")


@given(st.binary())
def test_any_bytes_are_an_event_or_an_event_error(body):
    try:
        event = decode(body)
    except EventError:
        return
    assert event.raw == body
    assert bool(event.records) != bool(event.skipped)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*map(bytes.decode, map(sample, SAMPLES))]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "eventSource", "s3", "object", "bucket", "key", "name", "event", "storage_provider", "size"]
            ),
            inner | st.sampled_from(["minio:s3", "aws:s3", "a%FF", "in/"]),
        )
    ),
)


@given(JSON)
def test_any_json_is_an_event_or_an_event_error(document):
    try:
        event = decode(json.dumps(document).encode())
    except EventError:
        return
    assert bool(event.records) != bool(event.skipped)


def test_an_event_is_described_as_json():
    event = Event(
        "minio",
        (Record("a", provider="minio.x", path="b/a", size=1, etag="e", version="v", time="t", key="a"),),
        notes=("left out",),
        envelopes=("sqs",),
    )
    assert describe(event) == {
        "type": "minio",
        "records": [
            {"provider": "minio.x", "path": "b/a", "name": "a", "size": 1, "etag": "e", "version": "v", "time": "t"}
        ],
        "skipped": None,
        "envelopes": ["sqs"],
        "notes": ["left out"],
    }
    assert set(describe(Event("s3", skipped="nothing"))) == {"type", "records", "skipped"}


def test_a_plugin_is_asked_for_documents_that_nobody_knows():
    asked = []

    def decoder(document, headers):
        asked.append((document, headers))
        return Event("mine", (Record("a", path="x/a", provider="s3"),)) if "mine" in document else None

    assert decode(b'{"mine": 1}', headers={"x-a": "b"}, decoder=decoder).type == "mine"
    assert decode(b'{"other": 1}', decoder=decoder).type == "unknown"
    assert decode(sample("minio"), decoder=decoder).type == "minio"
    assert decode(b"text", decoder=decoder).type == "unknown"
    assert asked == [({"mine": 1}, {"x-a": "b"}), ({"other": 1}, {})]


def test_what_a_plugin_raises_goes_through():
    def decoder(document, headers):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decode(b"{}", decoder=decoder)


def test_decoding_imports_nothing_heavy():
    heavy = {"yaml", "email", "http.client", "subprocess", "tempfile", "importlib.metadata", "cloudevents", "boto3"}
    program = "import sys, faas_supervisor.events as e; e.decode(e.sample('minio')); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    assert "faas_supervisor.events" in loaded
    assert heavy.isdisjoint(loaded)
