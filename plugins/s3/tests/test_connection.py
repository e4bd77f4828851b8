"""Endpoints, proxies, and which of the settings go together."""

from __future__ import annotations

import pytest

from faas_supervisor.errors import InvalidConfiguration, InvalidPath
from faas_supervisor.storage import Secret
from faas_supervisor_s3 import Settings
from faas_supervisor_s3.connection import Connection, endpoint_url, proxy_of
from faas_supervisor_s3.engine import MIB, PART, Place, part_size
from faas_supervisor_s3.obstore_stores import Stores
from faas_supervisor_s3.provider import make_provider


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://minio:9000", "http://minio:9000"),
        ("https://minio.example/", "https://minio.example"),
        ("minio.example:9000", "https://minio.example:9000"),
        ("[::1]:9000", "https://[::1]:9000"),
        ("HTTPS://Minio", "https://Minio"),
    ],
)
def test_an_endpoint_is_a_url_and_https_unless_it_says_otherwise(text, url):
    assert endpoint_url(text) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://minio:9000/bucket", "has a path"),
        ("http://minio:9000?x", "has a path"),
        ("ftp://minio", "not a URL"),
        ("http://", "not a URL"),
        ("minio:port", "impossible port"),
        ("http://minio:99999", "impossible port"),
        ("http://user:secret-word@minio", "user name"),
    ],
)
def test_an_impossible_endpoint_is_refused_with_advice(text, words):
    with pytest.raises(InvalidConfiguration, match=words) as raised:
        endpoint_url(text)
    assert raised.value.hint
    assert "secret-word" not in str(raised.value)


@pytest.mark.parametrize(
    ("no_proxy", "used"),
    [
        ("", True),
        ("other.example", True),
        ("tore.example", True),
        ("store.example", False),
        ("a, STORE.example ,b", False),
        ("example", False),
        (".example", False),
        ("*.example", False),
        ("*", False),
        ("store.example:9000", False),
        ("store.example:9001", True),
        ("10.0.0.0/8", True),
        ("not/a/network", True),
    ],
)
def test_no_proxy_is_followed(monkeypatch, no_proxy, used):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_of("https://store.example:9000") == ("http://proxy:3128" if used else None)


def test_a_network_in_no_proxy_is_followed(monkeypatch):
    monkeypatch.setenv("https_proxy", "proxy:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,[fd00::]/8,fd01::1")
    assert proxy_of("https://10.1.2.3") is None
    assert proxy_of("https://11.1.2.3") == "http://proxy:3128"
    assert proxy_of("https://[fd01::1]:9000") is None


def test_each_scheme_has_its_proxy_and_all_proxy_is_for_both(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://plain")
    monkeypatch.setenv("ALL_PROXY", "http://all")
    assert proxy_of("http://store") == "http://plain"
    assert proxy_of("https://store") == "http://all"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_this_machine_is_never_behind_a_proxy(monkeypatch, host):
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert proxy_of(f"http://{host}:9000") is None


def test_amazons_endpoints_follow_from_region_and_bucket():
    def address(region, bucket):
        connection = Connection(None, region, read_timeout=60.0)
        return Stores(connection, dict)._address(bucket)

    assert address("eu-west-3", "bucket") == ("https://bucket.s3.eu-west-3.amazonaws.com", True)
    assert address("eu-west-3", "a.bucket") == ("https://s3.eu-west-3.amazonaws.com", False)
    assert address("cn-north-1", "bucket") == ("https://bucket.s3.cn-north-1.amazonaws.com.cn", True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"access_key": "a"}, "one of them is missing"),
        ({"secret_key": Secret("bbbb")}, "one of them is missing"),
        ({"session_token": Secret("cccc")}, "of no use"),
        ({"access_key": "a", "secret_key": Secret("bbbb"), "profile": "p"}, "two identities"),
        (
            {"access_key": "a", "secret_key": Secret("bbbb"), "web_identity_token_file": "f", "role_arn": "r"},
            "two identities",
        ),
        ({"web_identity_token_file": "f"}, "needs role_arn"),
        ({"external_id": "e"}, "needs role_arn"),
        ({"access_key": "a", "secret_key": Secret("bbbb"), "endpoint": "http://minio/bucket"}, "has a path"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, words):
    with pytest.raises(InvalidConfiguration, match=words):
        make_provider(Settings(**settings))


@pytest.mark.parametrize("bucket", ["", ".", "..", "a", "-ab", "a b", "a?b", "a%2fb", "ü" * 3, "a" * 256])
def test_a_bucket_must_be_one(bucket):
    with pytest.raises(InvalidPath, match="no name for a bucket"):
        Place.of(f"{bucket}/key")


def test_the_rest_of_a_path_is_the_key_as_it_is():
    assert Place.of("bucket//a//b/").key == "/a//b/"


@pytest.mark.parametrize("operation", ["upload", "download", "stat", "delete"])
def test_a_bucket_is_no_object(tmp_path, operation):
    from faas_supervisor.errors import StorageError
    from faas_supervisor.storage import ObjectRef
    from plugins.s3.tests.support import Progress

    provider = make_provider(Settings(access_key="a", secret_key=Secret("bbbb"), endpoint="http://127.0.0.1:1"))
    attempts = {
        "upload": lambda: provider.upload(tmp_path / "file", "bucket", Progress()),
        "download": lambda: provider.download(ObjectRef("bucket/"), tmp_path / "file", Progress()),
        "stat": lambda: provider.stat("bucket"),
        "delete": lambda: provider.delete("bucket/"),
    }
    with pytest.raises(StorageError, match="bucket"):
        attempts[operation]()


@pytest.mark.parametrize("size", [0, 100 * MIB, 70 * 1024 * MIB, 71 * 1024 * MIB, 5 * 1024 * 1024 * MIB])
def test_parts_are_never_too_many(size):
    part = part_size(size)
    assert size / part < 9000
    assert part == PART or size / (part / 2) >= 9000
