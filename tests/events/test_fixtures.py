"""Every event of `fixtures/`, and what it means. Their sources are in `fixtures/README.md`."""

from __future__ import annotations

from pathlib import Path

import pytest

from faas_supervisor.errors import EventError
from faas_supervisor.events import Record, decode

FIXTURES = Path(__file__).parent / "fixtures"
SUBSCRIPTION = (
    "https://dcache.example.org:3880/api/v1/events/channels/MwcXzif2nF3NkHWcjk8sGw"
    "/subscriptions/inotify/AACFqb-WHkhFAYm6_xQY1Jf3"
)
CLOUDEVENT = {
    "CE_SPECVERSION": "1.0",
    "CE_TYPE": "com.example.someevent",
    "CE_SOURCE": "/mycontext",
    "CE_ID": "C234-1234-1234",
    "CE_TIME": "2018-04-05T17:31:00Z",
    "CE_COMEXAMPLEEXTENSION1": "value",
    "CE_COMEXAMPLEOTHERVALUE": "5",
    "CE_DATACONTENTTYPE": "application/json",
}


def stored(provider, path, size=None, etag=None, version=None, **more) -> Record:
    """The record of an object, whose key is the path below the bucket."""
    name = path.rpartition("/")[2]
    key = more.pop("key", path.partition("/")[2])
    return Record(name, provider, path, size, etag, version, key=key, **more)


def in_dcache(name) -> Record:
    return Record(name, "dcache", subscription=SUBSCRIPTION)


def payload(data, **more) -> Record:
    return Record("event-file", size=len(data), data=data, **more)


MINIO = stored(
    "minio",
    "images/in/naïve photo.jpg",
    248682,
    "f1671feacb8bbf7b0397c6e9364e8c92",
    "7f6ae9a6-4b0c-4d9e-8a3b-0c8b5c7d1e2f",
    time="2025-05-13T09:21:07.123Z",
)
EDGE = stored("minio.oscar-edge", MINIO.path, MINIO.size, MINIO.etag, MINIO.version, time=MINIO.time)
S3 = stored(
    "s3",
    "amzn-s3-demo-bucket/in/red flower(1).jpg",
    1305107,
    "b21b84d653bb07b05b1e6b33684dc11b",
    time="2025-05-13T09:21:07.123Z",
)
TWO = [in_dcache("a.dat"), in_dcache("b.dat")]

# The type, the envelopes, and the records.
MEANT = {
    "minio.json": ("minio", [], [MINIO]),
    "minio-2017.json": (
        "minio",
        [],
        [
            stored(
                "minio",
                "images/myphoto.jpg",
                248682,
                "f1671feacb8bbf7b0397c6e9364e8c92",
                time="2017-07-07T18:46:37Z",
            )
        ],
    ),
    "s3.json": ("s3", [], [S3]),
    "s3-versioned.json": (
        "s3",
        [],
        [
            stored(
                "s3",
                "amzn-s3-demo-bucket/in/a.csv",
                10,
                "b21b84d653bb07b05b1e6b33684dc11b",
                "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
                time=S3.time,
            ),
            stored(
                "s3",
                "amzn-s3-demo-bucket/in/b.csv",
                20,
                "d41d8cd98f00b204e9800998ecf8427e-2",
                "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                time=S3.time,
            ),
        ],
    ),
    "ceph.json": (
        "ceph",
        [],
        [
            stored(
                "s3",
                "mybucket1/in/my image+1.jpg",
                1024,
                "37b51d194a7513e45b56f6524f2d51f2",
                time="2019-11-22T13:47:35.124724Z",
            )
        ],
    ),
    "seaweedfs.json": (
        "seaweedfs",
        [],
        [stored("s3", "bucket/in/a b+c%2F é.txt", 12, "6f5902ac237024bdd0c176cb93063dc4")],
    ),
    "seaweedfs-update.json": (
        "seaweedfs",
        [],
        [stored("s3", "bucket/in/big.bin", 10, "0bbc18cdea1c4aaa17777d441214774a")],
    ),
    "seaweedfs-version.json": (
        "seaweedfs",
        [],
        [
            stored(
                "s3",
                "versioned/in/a.txt",
                4,
                "9f5b6d9a034d175868bf593885b7dc4e",
                "67156f5d122438810b5c2c3302668b0a",
            )
        ],
    ),
    "onetrigger.json": (
        "onedata",
        [],
        [
            stored(
                "onedata",
                "my-onedata-space/files/file.txt",
                time="2019-02-07T09:51:04.347823",
                key="/my-onedata-space/files/file.txt",
            )
        ],
    ),
    "dcache.json": ("dcache", [], [in_dcache("interesting-results.dat")]),
    "dcache-create.json": ("dcache", [], [in_dcache("image2.jpg")]),
    "dcache-moved.json": ("dcache", [], [in_dcache("my-data.csv")]),
    "rucio.json": (
        "rucio",
        [],
        [
            stored(
                "rucio",
                "user.jdoe/dataset/file.root",
                1048576,
                time="2025-05-13 09:21:07.123456",
                key="dataset/file.root",
            )
        ],
    ),
    "delegation.json": ("minio", ["oscar-delegation"], [EDGE]),
    "delegation-id.json": ("minio", ["oscar-delegation"], [EDGE]),
    "delegation-nested.json": ("minio", ["oscar-delegation", "oscar-delegation"], [EDGE]),
    "api-gateway-v1.json": ("unknown", ["api-gateway"], [payload(b"it works!")]),
    "api-gateway-v2.json": ("s3", ["api-gateway"], [S3]),
    "function-url.json": ("unknown", ["function-url"], [payload(b"\x89PNG\r\n\x1a\n\x00")]),
    "alb.json": ("unknown", ["alb"], [payload(b"")]),
    "sqs.json": (
        "s3",
        ["sqs"],
        [S3, stored("s3", "amzn-s3-demo-bucket/in/b.csv", 20, time="2025-05-13T09:21:07.123Z")],
    ),
    "sqs-text.json": ("unknown", ["sqs"], [payload(b"Test message.")]),
    "sns.json": ("s3", ["sns"], [S3]),
    "sns-http.json": ("s3", ["sns"], [S3]),
    "sns-in-sqs.json": ("s3", ["sqs", "sns"], [S3]),
    "eventbridge.json": (
        "s3",
        ["eventbridge"],
        [
            stored(
                "s3",
                "amzn-s3-demo-bucket1/in/example+key 1%20.txt",
                5,
                "b1946ac92492d2347c6235b4d2611184",
                "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
                time="2021-11-12T00:00:00Z",
            )
        ],
    ),
    "dcnios-base64.txt": ("dcache", ["encoded"], TWO[:1]),
    "dcnios-base64-lines.txt": ("dcache", ["encoded"], TWO),
    "dcnios-base32.txt": ("dcache", ["encoded"], TWO),
    "dcnios-hex.txt": ("dcache", ["encoded"], TWO),
    "dcnios-merged.txt": ("dcache", ["documents"], TWO),
    "dcnios-merged-blanks.txt": ("dcache", ["documents"], TWO),
    "array.json": ("mixed", ["array"], [MINIO, S3]),
    "cloudevent.json": (
        "unknown",
        ["cloudevent"],
        [payload(b'{"appinfoA":"abc","appinfoB":123,"appinfoC":true}')],
    ),
    "cloudevent-text.json": ("unknown", ["cloudevent"], [payload(b'<much wow="xml"/>')]),
    "cloudevent-base64.json": ("unknown", ["cloudevent"], [payload(b"aGVsbG8=")]),
    "cloudevent-s3.json": ("s3", ["cloudevent"], [S3]),
    "cloudevent-batch.json": (
        "mixed",
        ["array", "cloudevent"],
        [
            stored(
                "minio",
                MINIO.path,
                MINIO.size,
                MINIO.etag,
                MINIO.version,
                time=MINIO.time,
                variables=CLOUDEVENT | {"CE_ID": "1"},
            ),
            payload(b'{"plain":1}', variables=CLOUDEVENT | {"CE_ID": "2"}),
        ],
    ),
}

SKIPPED = {
    "minio-folder.json": "is a folder marker",
    "minio-removed.json": "nothing to download",
    "s3-test.json": "test event",
    "seaweedfs-delete.json": "nothing to download",
    "seaweedfs-delete-marker.json": "nothing to download",
    "seaweedfs-folder.json": "is a folder",
    "seaweedfs-part.json": "part of an upload",
    "seaweedfs-rename.json": "is in no bucket",
    "seaweedfs-version-update.json": "no new content",
    "dcache-folder.json": "is a folder",
    "dcache-attrib.json": "IN_ATTRIB",
    "dcache-delete.json": "nothing to download",
    "rucio-deletion.json": "deletion-done",
    "sns-confirmation.json": "confirm the subscription",
    "eventbridge-deleted.json": "nothing to download",
}

ERRORS = {"dcache-overflow.json": "lost events"}

INTACT = ["concert.json", "oscar-batch.json", "oscar-batch-zip.json", "eventbridge-other.json"]


def body(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


@pytest.mark.parametrize("name", MEANT)
def test_the_event_means_these_records(name):
    event = decode(body(name))
    kind, envelopes, records = MEANT[name]
    assert event.type == kind
    assert list(event.envelopes) == envelopes
    assert list(event.records) == records
    assert event.skipped is None
    assert event.raw == body(name)


@pytest.mark.parametrize("name", SKIPPED)
def test_the_event_is_skipped_in_one_clear_line(name):
    event = decode(body(name))
    assert event.records == ()
    assert SKIPPED[name] in event.skipped
    assert "\n" not in event.skipped


@pytest.mark.parametrize("name", ERRORS)
def test_the_event_is_an_error(name):
    with pytest.raises(EventError, match=ERRORS[name]):
        decode(body(name))


@pytest.mark.parametrize("name", INTACT)
def test_the_bytes_of_the_event_stay_intact(name):
    event = decode(body(name))
    assert event.type == "unknown"
    assert event.envelopes == ()
    assert event.records == (payload(body(name)),)


def test_every_fixture_is_tested_and_has_its_source_noted():
    names = {path.name for path in FIXTURES.iterdir()} - {"README.md"}
    assert names == {*MEANT, *SKIPPED, *ERRORS, *INTACT}
    readme = (FIXTURES / "README.md").read_text()
    assert [name for name in sorted(names) if f"`{name}`" not in readme] == []


def test_query_parameters_are_variables():
    event = decode(body("api-gateway-v1.json"))
    assert event.variables == {"CONT_VAR_level": "9"}
    assert len(event.notes) == 1
    assert '"my-name"' in event.notes[0]
    assert decode(body("alb.json")).variables == {"CONT_VAR_query": "1234 ABCD"}


def test_attributes_are_variables():
    assert decode(body("cloudevent.json")).variables == CLOUDEVENT


def test_the_outermost_id_counts():
    assert decode(body("sns-in-sqs.json")).id == "059f36b4-87a3-44ab-83d2-661975830001"
    assert decode(body("eventbridge.json")).id == "17793124-05d4-b198-2fde-7ededc63b103"
    assert decode(body("sqs.json")).id is None


def test_a_created_dcache_file_may_be_incomplete_and_a_note_says_so():
    assert "IN_CLOSE_WRITE" in decode(body("dcache-create.json")).notes[0]
    assert decode(body("dcache.json")).notes == ()
