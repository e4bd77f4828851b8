"""What the provider adds to its engines: listings of everything, markers, and the check."""

from __future__ import annotations

import pytest

from faas_supervisor.errors import AuthenticationFailed, Unavailable
from faas_supervisor.storage import Secret
from faas_supervisor_s3 import Settings
from faas_supervisor_s3.provider import make_provider
from tests.servers import s3_client


def made(server, **settings):
    known = {"access_key": server.access_key, "secret_key": Secret(server.secret_key), "endpoint": server.url}
    return make_provider(Settings(**(known | settings)))


def test_everything_is_every_bucket(moto_server):
    for bucket in ("one", "two"):
        s3_client(moto_server).create_bucket(Bucket=bucket)
        s3_client(moto_server).put_object(Bucket=bucket, Key="a//b", Body=b"1")
    provider = made(moto_server)
    assert [info.path for info in provider.list("")] == ["one/a//b", "two/a//b"]
    provider.close()


def test_only_markers_are_left_out(moto_server):
    client = s3_client(moto_server)
    client.create_bucket(Bucket="bucket")
    for key, body in {"dir/": b"", "full/": b"1", "dir/empty": b"", "dir/inner/": b"", "dirt": b"1"}.items():
        client.put_object(Bucket="bucket", Key=key, Body=body)
    provider = made(moto_server)
    assert [info.path for info in provider.list("bucket")] == ["bucket/dir/empty", "bucket/dirt", "bucket/full/"]
    assert [info.path for info in provider.list("bucket/dir")] == ["bucket/dir/empty"]
    assert [info.path for info in provider.list("bucket/dir/")] == ["bucket/dir/empty"]
    assert [info.path for info in provider.list("bucket/dirt")] == ["bucket/dirt"]
    provider.close()


def test_a_listing_survives_keys_that_obstore_can_not_name(moto_server):
    client = s3_client(moto_server)
    client.create_bucket(Bucket="bucket")
    keys = sorted(["/lead", "a//b", "a/../b", "a/./b", "\x01control", "trail", "\uffff", "a\rb"])
    for key in keys:
        client.put_object(Bucket="bucket", Key=key, Body=b"1")
    provider = made(moto_server)
    assert [info.path.removeprefix("bucket/") for info in provider.list("bucket")] == keys
    provider.close()


def test_the_check_is_content_with_good_credentials(seaweedfs):
    for server in (seaweedfs, seaweedfs.reader):
        provider = made(server)
        provider.check()
        provider.close()


def test_the_check_refuses_bad_credentials(seaweedfs):
    provider = made(seaweedfs.stranger)
    with pytest.raises(AuthenticationFailed):
        provider.check()
    provider.close()


def test_the_check_notices_that_nobody_is_there(seaweedfs):
    provider = made(seaweedfs, endpoint="http://127.0.0.1:1")
    with pytest.raises(Unavailable):
        provider.check()
    provider.close()
