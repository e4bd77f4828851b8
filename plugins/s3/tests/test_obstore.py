"""What only the engine on obstore does: parts in parallel, and as few requests as can be."""

from __future__ import annotations

import pytest

from faas_supervisor.errors import IntegrityError, InvalidConfiguration
from faas_supervisor.storage import MemoryBudget, ObjectRef, Secret
from faas_supervisor.testing import ScriptedServer, faults
from faas_supervisor_s3 import Settings
from faas_supervisor_s3.provider import make_provider
from plugins.s3.tests.support import Progress
from tests.servers import s3_client

MIB = 1024 * 1024
LARGE = 21 * MIB


@pytest.fixture
def bucket(seaweedfs, new_bucket):
    return new_bucket(seaweedfs)


@pytest.fixture
def scripted(seaweedfs):
    with ScriptedServer(seaweedfs.url) as server:
        yield server


@pytest.fixture
def through(seaweedfs, scripted):
    keys = {"access_key": seaweedfs.access_key, "secret_key": Secret(seaweedfs.secret_key)}
    provider = make_provider(Settings(**keys, endpoint=scripted.url, read_timeout=5.0))
    yield provider
    provider.close()


@pytest.fixture
def large(seaweedfs, bucket):
    body = bytes(range(256)) * (LARGE // 256)
    s3_client(seaweedfs).put_object(Bucket=bucket, Key="large", Body=body)
    return body


def download(provider, bucket, tmp_path):
    progress = Progress()
    provider.download(ObjectRef(f"{bucket}/large"), tmp_path / "arrival", progress)
    assert progress.total == progress.moved == LARGE
    return (tmp_path / "arrival").read_bytes()


def test_parts_are_asked_for_with_the_etag_of_the_first(scripted, through, bucket, large, tmp_path):
    assert download(through, bucket, tmp_path) == large
    asked = sorted((request.headers["Range"], request.headers["If-Match"] is not None) for request in scripted.requests)
    assert asked == [
        ("bytes=0-8388607", False),
        ("bytes=16777216-22020095", True),
        ("bytes=8388608-16777215", True),
    ]


def test_a_part_of_another_content_is_noticed_even_if_the_server_does_not(scripted, through, bucket, large, tmp_path):
    scripted.fail_next("GET", faults.change_etag(), skip=1)
    with pytest.raises(IntegrityError, match="changed while"):
        download(through, bucket, tmp_path)


def test_a_change_that_the_server_notices_is_worth_another_try(scripted, through, bucket, large, tmp_path):
    scripted.fail_next("GET", faults.status(412), skip=1, times=None)
    with pytest.raises(IntegrityError, match="changed meanwhile"):
        download(through, bucket, tmp_path)


def test_without_an_etag_the_object_is_read_in_one_go(scripted, through, bucket, large, tmp_path):
    scripted.fail_next("*", _without_etag, times=None)
    assert download(through, bucket, tmp_path) == large
    assert [request.headers["Range"] for request in scripted.requests] == ["bytes=0-8388607", None]


@pytest.mark.parametrize("part", [0, 1], ids=["the first part", "a later part"])
def test_a_part_that_is_shorter_than_it_says_is_noticed(*, scripted, through, bucket, large, tmp_path, part):
    scripted.fail_next("GET", _shorter, skip=part)
    with pytest.raises(IntegrityError, match="bytes arrived of"):
        download(through, bucket, tmp_path)


def test_a_small_budget_makes_it_slower_only(scripted, through, bucket, large, tmp_path):
    through.memory = MemoryBudget(MIB)
    assert download(through, bucket, tmp_path) == large
    (tmp_path / "source").write_bytes(large)
    assert through.upload(tmp_path / "source", f"{bucket}/copy", Progress()).size == LARGE


def test_a_small_upload_is_one_request(scripted, through, bucket, tmp_path):
    (tmp_path / "source").write_bytes(b"content")
    through.upload(tmp_path / "source", f"{bucket}/object", Progress())
    assert [request.method for request in scripted.requests] == ["PUT"]


def test_a_bucket_elsewhere_is_told_with_advice(scripted, through, bucket, tmp_path):
    scripted.fail_next("GET", faults.status(301), times=None)
    with pytest.raises(InvalidConfiguration, match="region"):
        through.download(ObjectRef(f"{bucket}/object"), tmp_path / "arrival", Progress())


def test_a_full_local_disk_stays_the_local_disks_error(through, bucket, large):
    with pytest.raises(OSError, match="No space left") as raised:
        through.download(ObjectRef(f"{bucket}/large"), _path("/dev/full"), Progress())
    assert raised.value.errno


def _path(text):
    from pathlib import Path

    return Path(text)


def _without_etag(exchange):
    response = exchange.proper()
    for name in [name for name in response.headers if name.lower() == "etag"]:
        del response.headers[name]
    exchange.send(response)


def _shorter(exchange):
    """Answer with half of the bytes that Content-Range tells."""
    response = exchange.proper()
    response.body = response.body[: len(response.body) // 2]
    exchange.send(response)
