"""`supervisor listen`: an upload to a bucket runs the function, with nothing between the two."""

from __future__ import annotations

import json
import signal
import time

import pytest

from plugins.minio.tests.fake_notifications import FakeMinio
from tests.e2e.support import encoded

_PATIENCE = 20.0


@pytest.fixture
def stream():
    """MinIO's notifications of one bucket."""
    with FakeMinio("bucket") as fake:
        yield fake


@pytest.fixture
def service(service, stream):
    """A function whose events come from the stream and whose files it leaves where they are."""
    service.provider("minio.default", endpoint=stream.url, access_key="access-key", secret_key="secret-key-1")
    service.config |= {"file_stage_in": True}
    service.script = (
        f'echo "$STORAGE_OBJECT_KEY" >> {service.home}/seen; case "$STORAGE_OBJECT_KEY" in *bad) exit 3;; esac'
    )
    return service


def listen(service, *arguments):
    config, _ = service.write()
    return service.start(["listen", *arguments, "--config", str(config)], service.environment)


def seen(service, count):
    """Wait until the function has run `count` times, and return on what."""
    deadline = time.monotonic() + _PATIENCE
    file = service.home / "seen"
    while time.monotonic() < deadline:
        found = file.read_text().splitlines() if file.exists() else []
        if len(found) >= count:
            return found
        time.sleep(0.02)
    pytest.fail(f"the function did not run {count} times")


def end(service, process, number=signal.SIGTERM):
    process.send_signal(number)
    return service.done(process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_upload_runs_the_function_until_somebody_ends_it(service, stream, number):
    process = listen(service, "minio.default", "bucket/in")
    stream.wait_for_subscriber()
    for key in ("in/a b+ü.txt", "elsewhere/x", "in/bad", "in/c"):
        stream.publish("bucket", key)

    assert seen(service, 3) == ["in/a b+ü.txt", "in/bad", "in/c"]
    done = end(service, process, number)

    assert done.code == 0, done.stderr
    results = [
        json.loads(line.partition(" - result ")[2]) for line in done.stderr.splitlines() if " - result {" in line
    ]
    assert [result["exit_code"] for result in results][:2] == [0, 3]
    assert "listening to minio.default bucket/in" in done.stderr
    assert "no longer listening" in done.stderr
    assert list(service.workspace.iterdir()) == []


def test_a_lost_connection_is_made_anew_and_said_so(service, stream):
    process = listen(service, "minio.default", "bucket/in/")
    stream.wait_for_subscriber()
    stream.publish("bucket", "in/before")
    seen(service, 1)
    stream.cut()
    stream.wait_for_subscriber()
    stream.publish("bucket", "in/after")

    assert seen(service, 2) == ["in/before", "in/after"]
    done = end(service, process)
    assert done.code == 0
    assert any("were not told" in line for line in done.warnings)


def test_a_signal_during_a_run_ends_the_script_too(service, stream):
    service.script = f"echo started >> {service.home}/seen; sleep 600"
    process = listen(service, "minio.default", "bucket/in")
    stream.wait_for_subscriber()
    stream.publish("bucket", "in/a")
    seen(service, 1)

    done = end(service, process)

    assert done.code == 0
    assert list(service.workspace.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["minio.default", "no-such-bucket/in"], 115, "no-such-bucket"),
        (["minio.other", "bucket/in"], 111, "minio.other"),
        (["file.store", "in"], 113, "no notification stream"),
    ],
    ids=["missing bucket", "unknown provider", "no stream"],
)
def test_what_cannot_be_listened_to_is_said_so(service, arguments, code, text):
    service.provider("file.store", root=str(service.storage))

    done = service.done(listen(service, *arguments))

    assert done.code == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_listener_ends_with_the_reason(service, stream):
    stream.refusal = (403, {}, "AccessDenied")

    done = service.done(listen(service, "minio.default", "bucket/in"))

    assert done.code == 114, done.stderr
    assert "minio.default" in done.stderr
    assert "secret-key-1" not in done.stderr
    assert encoded("secret-key-1") not in done.stderr
