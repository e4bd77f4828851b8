"""`supervisor check`: everything but the event, tried out before the first one comes."""

from __future__ import annotations

import pytest

from faas_supervisor.testing import ScriptedServer
from tests.e2e.support import install


@pytest.fixture
def service(service):
    """A function on a folder that is there."""
    store = service.storage / "store"
    store.mkdir()
    service.provider("file.store", root=str(store))
    del service.config["storage_providers"]["minio"]
    service.config["input"] = [{"storage_provider": "file.store", "path": "in"}]
    service.outputs("file.store out")
    return service


def check(service, *options, **extra):
    config, _ = service.write()
    return service.cli("check", "--config", str(config), *options, **extra)


def lines(done, level):
    return [line[6:] for line in done.stdout.decode().splitlines() if line.startswith(f"{level:5} ")]


def test_a_good_service_is_all_right(service):
    done = check(service)

    assert done.code == 0, done.stdout
    assert lines(done, "FAIL") == []
    found = "\n".join(lines(done, "ok"))
    for text in (
        "configuration ",
        "script: ",
        "plugin file",
        "file.store can be reached",
        "file.store out can be written",
    ):
        assert text in found
    assert [path for path in (service.storage / "store").rglob("*") if path.is_file()] == []
    assert list(service.workspace.iterdir()) == []


def test_read_only_writes_nothing(service, bucket):
    with ScriptedServer(bucket.server.url) as server:
        keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
        service.provider("minio.default", endpoint=server.url, **keys)
        service.outputs(f"minio.default {bucket.name}/out")

        done = check(service, "--read-only")

    assert done.code == 0, done.stdout
    assert server.requests
    assert {request.method for request in server.requests} <= {"GET", "HEAD"}
    assert "can be written" not in done.stdout.decode()


@pytest.mark.parametrize("kind", ["minio", "s3"])
def test_a_real_store_is_written_to_read_and_cleared(service, bucket, kind):
    keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
    service.provider(f"{kind}.default", endpoint=bucket.server.url, region="us-east-1", **keys)
    service.outputs(f"{kind}.default {bucket.name}/out")

    done = check(service)

    assert done.code == 0, done.stdout
    assert f"{kind}.default {bucket.name}/out can be written, read and cleared" in lines(done, "ok")
    assert bucket.objects() == {}


def test_a_wrong_secret_and_a_forbidden_folder_are_found(service, bucket):
    stranger, reader = bucket.server.stranger, bucket.server.reader
    service.provider(
        "minio.stranger", endpoint=stranger.url, access_key=stranger.access_key, secret_key=stranger.secret_key
    )
    service.provider("minio.reader", endpoint=reader.url, access_key=reader.access_key, secret_key=reader.secret_key)
    service.outputs(f"minio.reader {bucket.name}/out")

    done = check(service)

    assert done.code == 114
    found = lines(done, "FAIL")
    assert any("authentication failed: minio.stranger" in line for line in found), done.stdout
    assert any(f"permission denied: minio.reader {bucket.name}/out" in line for line in found), done.stdout
    assert stranger.secret_key not in done.stdout.decode() + done.stderr


def test_a_server_that_is_down_is_found(service):
    service.provider("minio.default", endpoint="http://127.0.0.1:9", access_key="a" * 8, secret_key="b" * 8)

    done = check(service, FAAS_SUPERVISOR_TRANSFER_DEADLINE="100ms")

    assert done.code == 116
    assert any("minio.default" in line and "refused" in line for line in lines(done, "FAIL"))


def test_all_that_is_wrong_is_told_and_the_first_decides_about_the_exit_code(service):
    service.provider("file.nowhere", root="/nowhere/at/all")
    service.provider("minoi.default")
    config, script = service.write()
    script.unlink()

    done = service.cli("check", "--config", str(config))

    found = "\n".join(lines(done, "FAIL"))
    assert done.code == 111
    for text in (
        "/nowhere/at/all is no folder",
        "no plugin is installed for the provider type 'minoi'",
        "there is no script",
    ):
        assert text in found
    assert "Traceback" not in done.stderr


def test_faults_of_the_configuration_end_it(service):
    service.config["log_level"] = "LOUD"

    done = check(service)

    assert done.code == 111
    assert len([line for line in lines(done, "FAIL") if "log_level" in line]) == 1, done.stdout


def test_no_configuration_is_told(service):
    done = service.cli("check")

    assert done.code == 111
    assert "no configuration" in done.stdout.decode()


@pytest.mark.parametrize("path", ["in", "in/results"])
def test_an_output_inside_an_input_is_warned_of(service, path):
    service.outputs(f"file.store {path}")

    done = check(service)

    assert done.code == 0
    assert any(f"the output file.store {path} lies in the input in" in line for line in lines(done, "warn"))


@pytest.mark.parametrize("path", ["in-results", "out"])
def test_an_output_beside_an_input_is_none(service, path):
    service.outputs(f"file.store {path}")

    assert not any("lies in the input" in line for line in lines(check(service), "warn"))


def test_a_broken_plugin_that_is_not_needed_is_a_warning(service, tmp_path):
    path = install(tmp_path, "broken", "raise RuntimeError('no licence file')")

    done = check(service, PYTHONPATH=path)

    assert done.code == 0
    assert any("no licence file" in line for line in lines(done, "warn"))
