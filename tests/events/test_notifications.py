"""Notifications of MinIO, Amazon S3 and Ceph."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.errors import EventError
from faas_supervisor.events import Record, decode


def record(key="in%2Fa.json", *, bucket="bucket", source="minio:s3", event="s3:ObjectCreated:Put", **facts):
    return {
        "eventSource": source,
        "eventName": event,
        "eventTime": "2026-01-31T12:00:00.000Z",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, **facts}},
    }


def body(*records) -> bytes:
    return json.dumps({"Records": records}).encode()


def test_a_minio_event_names_the_object():
    event = decode(body(record("in%2Fa.json", size=12, eTag="abc", versionId="7f6ae9a6-4b0c-4d9e-8a3b-0c8b5c7d1e2f")))
    assert event.type == "minio"
    assert event.records == (
        Record(
            name="a.json",
            provider="minio",
            path="bucket/in/a.json",
            size=12,
            etag="abc",
            version="7f6ae9a6-4b0c-4d9e-8a3b-0c8b5c7d1e2f",
            time="2026-01-31T12:00:00.000Z",
            key="in/a.json",
        ),
    )


def test_every_record_counts():
    event = decode(body(*(record(f"in%2F{i}", source="aws:s3") for i in range(3))))
    assert event.type == "s3"
    assert [one.path for one in event.records] == ["bucket/in/0", "bucket/in/1", "bucket/in/2"]
    assert {one.provider for one in event.records} == {"s3"}


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("a+b.txt", "a b.txt"),
        ("a%2Bb.txt", "a+b.txt"),
        ("na%C3%AFve", "naïve"),
        ("%E4%B8%AD", "中"),
        ("100%25", "100%"),
        ("100%", "100%"),
        ("a%252Fb", "a%2Fb"),
        ("%00", "\0"),
        ("..%2F..%2Fetc%2Fpasswd", "../../etc/passwd"),
        ("%0A", "\n"),
        ("k" * 1024, "k" * 1024),
        ("k" * 2000, "k" * 2000),
    ],
)
def test_keys_are_url_encoded_and_opaque(sent, key):
    (found,) = decode(body(record(sent))).records
    assert (found.key, found.path) == (key, f"bucket/{key}")
    assert found.name == key.rpartition("/")[2]


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda key: not key.endswith("/")))
def test_every_key_comes_back(key):
    assert decode(body(record(quote_plus(key)))).records[0].key == key
    assert decode(body(record(key, source="ceph:s3"))).records[0].key == key


def test_ceph_keys_are_as_they_are():
    event = decode(body(record("a+b%2F.txt", source="ceph:s3")))
    assert event.type == "ceph"
    assert (event.records[0].provider, event.records[0].key) == ("s3", "a+b%2F.txt")


@pytest.mark.parametrize("sent", ["%FF", "a%C3", "%ED%A0%80", "\ud800"])
def test_a_key_that_is_not_utf8_is_an_error(sent):
    with pytest.raises(EventError, match="UTF-8"):
        decode(body(record(sent)))


@pytest.mark.parametrize("sent", ["1", "null", "", None])
def test_what_is_no_version_is_not_pinned_to(sent):
    assert decode(body(record(versionId=sent))).records[0].version is None


@pytest.mark.parametrize("sent", ['"abc-2"', "abc-2"])
def test_etags_lose_their_quotes(sent):
    assert decode(body(record(eTag=sent))).records[0].etag == "abc-2"


def test_what_the_event_does_not_tell_is_none():
    (found,) = decode(body(record())).records
    assert (found.size, found.etag, found.version) == (None, None, None)


@pytest.mark.parametrize("facts", [{"size": 0}, {}], ids=["empty", "size not told"])
def test_a_folder_marker_is_skipped(facts):
    event = decode(body(record("in%2F", **facts)))
    assert event.records == ()
    assert event.skipped == '"bucket/in/" is a folder marker, not a file'


def test_a_folder_marker_beside_a_file_is_noted():
    event = decode(body(record("in%2F", size=0), record("in%2Fa")))
    assert [one.name for one in event.records] == ["a"]
    assert event.skipped is None
    assert event.notes == ('"bucket/in/" is a folder marker, not a file',)


def test_an_object_with_data_may_be_called_like_a_folder():
    assert decode(body(record("in%2F", size=3))).records[0].name == "in"


@pytest.mark.parametrize(
    ("source", "event"),
    [
        ("minio:s3", "s3:ObjectRemoved:Delete"),
        ("minio:s3", "s3:ObjectRemoved:DeleteMarkerCreated"),
        ("aws:s3", "ObjectRemoved:Delete"),
        ("aws:s3", "LifecycleExpiration:Delete"),
        ("aws:s3", "ObjectRestore:Post"),
        ("aws:s3", "ReducedRedundancyLostObject"),
        ("ceph:s3", "ObjectLifecycle:Expiration:Current"),
    ],
)
def test_an_object_that_is_gone_is_skipped(source, event):
    found = decode(body(record("a", source=source, event=event)))
    assert found.records == ()
    assert '"bucket/a"' in found.skipped
    assert "nothing to download" in found.skipped


def test_the_test_event_of_amazon_s3_is_skipped():
    event = decode(b'{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-31T12:00:00Z","Bucket":"b"}')
    assert event.type == "s3"
    assert event.records == ()
    assert "test event" in event.skipped


def without(path: str):
    """Return a record without what is at the dotted `path`."""
    made = record("a", size=1)
    *steps, last = path.split(".")
    inner = made
    for step in steps:
        inner = inner[step]
    del inner[last]
    return made


def with_(path: str, value):
    """Return a record with `value` at the dotted `path`."""
    made = record("a", size=1)
    *steps, last = path.split(".")
    inner = made
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return made


@pytest.mark.parametrize("path", ["s3", "s3.bucket", "s3.bucket.name", "s3.object", "s3.object.key"])
def test_what_is_missing_is_named(path):
    with pytest.raises(EventError, match=rf"Records\[1\]\.{path}.* is missing"):
        decode(body(record(), without(path)))


@pytest.mark.parametrize("path", ["s3.bucket.name", "s3.object.key"])
def test_what_is_empty_is_named(path):
    with pytest.raises(EventError, match=rf"Records\[0\]\.{path} is empty"):
        decode(body(with_(path, "")))


@pytest.mark.parametrize("value", [5, [1], {"a": 1}, True, 1.5], ids=repr)
@pytest.mark.parametrize(
    "path", ["s3.bucket.name", "s3.object.key", "s3.object.eTag", "s3.object.versionId", "eventTime", "eventName"]
)
def test_what_is_no_string_is_named(path, value):
    with pytest.raises(EventError, match=rf"Records\[0\]\.{path} is not a string"):
        decode(body(with_(path, value)))


@pytest.mark.parametrize("value", [5, [1], True, "x"], ids=repr)
@pytest.mark.parametrize("path", ["s3", "s3.bucket", "s3.object"])
def test_what_is_no_object_is_named(path, value):
    with pytest.raises(EventError, match=rf"Records\[0\]\.{path} is not an object"):
        decode(body(with_(path, value)))


@pytest.mark.parametrize("value", ["x", "", "-1", "9" * 20, "²", [], {}, True, 1.5, -1], ids=repr)
def test_what_is_no_size_is_named(value):
    with pytest.raises(EventError, match=r"Records\[0\]\.s3\.object\.size is not a number of bytes"):
        decode(body(with_("s3.object.size", value)))


@pytest.mark.parametrize("value", [5, [], True, "x", {"x-amz-request-id": 5}], ids=repr)
def test_an_odd_request_is_no_id(value):
    assert decode(body(with_("responseElements", value))).id is None


@pytest.mark.parametrize("other", [5, None, {}, record(source="aws:s3")], ids=repr)
def test_a_record_unlike_the_first_is_an_error(other):
    with pytest.raises(EventError, match=r"Records\[1\].eventSource"):
        decode(body(record(), other))


def test_the_request_is_the_id():
    made = record()
    made["responseElements"] = {"x-amz-request-id": "17A2"}
    assert decode(body(made)).id == "17A2"


def test_a_record_alone_is_an_event():
    assert decode(json.dumps(record("a")).encode()).records == decode(body(record("a"))).records


def test_messages_show_long_and_odd_names_on_one_short_line():
    event = decode(body(record("a%0Ab" + "c" * 500 + "%2F", size=0)))
    assert "\n" not in event.skipped
    assert len(event.skipped) < 300
