"""Science stores end to end: a dCache event, and one function that writes to four stores at once."""

from __future__ import annotations

import json

import pytest

from faas_supervisor_dcache.testing import FakeDoor, Rules
from faas_supervisor_onedata.testing import OnedataEmulator
from plugins.dcache.tests.servers import LOGIN, PASSWORD, homes, judge, wsgidav
from plugins.onedata.tests.conftest import Certificates
from tests.e2e.support import event, succeeds

__all__ = ["homes", "wsgidav"]


@pytest.fixture
def door(wsgidav):
    """A fake dCache in front of a real WebDAV server."""
    with FakeDoor(wsgidav.url, wsgidav.authorization) as fake:
        fake.rules = Rules(judge=judge)
        yield fake


@pytest.fixture
def onedata(tmp_path):
    """What a provider's configuration says of the one space of an emulated Onedata."""
    folder = tmp_path / "onedata"
    folder.mkdir()
    certificates = Certificates(folder)
    (folder / "zone").mkdir()
    with OnedataEmulator(folder / "zone", certificates.context) as emulator:
        emulator.add_provider("krakow")
        emulator.add_space("science", emulator.providers[0])
        yield {
            "oneprovider_host": emulator.providers[0].domain,
            "onezone_host": emulator.zone_host,
            "token": emulator.add_token(),
            "space": "science",
            "ca_bundle": str(certificates.authority),
        }


def _s3(bucket):
    server = bucket.server
    return {"endpoint": server.url, "access_key": server.access_key, "secret_key": server.secret_key}


def test_an_upload_to_dcache_is_processed_and_goes_to_dcache_and_minio(service, door, wsgidav, bucket):
    (wsgidav.folder / "disk" / "in").mkdir(parents=True, exist_ok=True)
    (wsgidav.folder / "disk" / "in" / "f.jpg").write_bytes(b"image" * 1000)
    service.config["input"] = [{"storage_provider": "webdav.dcache", "path": "disk/in"}]
    service.provider("webdav.dcache", hostname=door.url, login=LOGIN, password=PASSWORD)
    service.provider("minio.default", **_s3(bucket))
    service.outputs("webdav.dcache disk/out", f"minio.default {bucket.name}/out")
    subscription = "https://dcache.example.org:3880/api/v1/events/channels/x/subscriptions/inotify/y"
    notification = {"event": {"name": "f.jpg", "mask": ["IN_CLOSE_WRITE"]}, "subscription": subscription}

    done = service.job(json.dumps(notification).encode())

    succeeds(done, service)
    assert (wsgidav.folder / "disk" / "out" / "f.jpg").read_bytes() == b"image" * 1000
    assert bucket.objects() == {"out/f.jpg": b"image" * 1000}
    (checksum,) = [output["checksum"] for output in done.result["outputs"] if output["provider"] == "webdav.dcache"]
    assert checksum.startswith("adler32:")


def test_one_function_writes_to_four_stores(service, door, wsgidav, onedata, bucket):
    bucket.put("in/a.txt", b"content")
    service.provider("minio.default", **_s3(bucket))
    service.provider("s3.default", **_s3(bucket))
    service.provider("webdav.dcache", hostname=door.url, login=LOGIN, password=PASSWORD)
    service.provider("onedata.default", **onedata)
    service.outputs(
        f"minio.default {bucket.name}/minio",
        f"s3.default {bucket.name}/s3",
        "webdav.dcache disk/four",
        "onedata.default four",
    )

    done = service.job(event(f"{bucket.name}/in/a.txt"))

    succeeds(done, service)
    stored = {output["provider"]: (output["path"], output["bytes"]) for output in done.result["outputs"]}
    assert stored == {
        "minio.default": (f"{bucket.name}/minio/a.txt", 7),
        "s3.default": (f"{bucket.name}/s3/a.txt", 7),
        "webdav.dcache": ("disk/four/a.txt", 7),
        "onedata.default": ("four/a.txt", 7),
    }
    assert bucket.objects() == {"in/a.txt": b"content", "minio/a.txt": b"content", "s3/a.txt": b"content"}
    assert (wsgidav.folder / "disk" / "four" / "a.txt").read_bytes() == b"content"
