"""SIGTERM and SIGINT: the script is ended, transfers are broken off, everything is cleared, and the result says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from faas_supervisor.testing import FaultProxy, Toxics
from tests.e2e.support import Service, alive, fails, notification

PART = 8 * 1024 * 1024
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]

# Far above what ending takes, far below the minute that we are patient with a silent server.
_SOON = 20.0


def wait_for(happened, what: str):
    """Wait until `happened()` is true, and return what it returned."""
    deadline = time.monotonic() + _SOON
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.02)
    pytest.fail(f"in vain waited for {what}")


def ended_by(service: Service, number: signal.Signals, happened, what: str, *, event: bytes = b"x"):
    """Start a job on `event`, send it a signal once `happened()`, and return how it ended."""
    process = service.start([], service.job_environment())
    killer = threading.Timer(3 * _SOON, process.kill)
    killer.start()
    try:
        process.stdin.write(event)
        process.stdin.close()
        process.stdin = None
        wait_for(happened, what)
        begun = time.monotonic()
        process.send_signal(number)
        done = service.done(process, None)
        assert time.monotonic() - begun < _SOON, "it took too long to end"
    finally:
        killer.cancel()
    return done


@pytest.mark.parametrize("number", SIGNALS)
class TestDuringTheScript:
    def test_the_script_is_told_and_may_say_goodbye(self, service, number):
        started = service.home / "started"
        service.script = f"trap 'echo goodbye; exit 9' TERM INT HUP QUIT; touch {started}; while :; do sleep 0.05; done"

        done = ended_by(service, number, started.exists, "the script")

        fails(done, service, 143, "terminated", number.name)
        assert b"goodbye" in done.stdout + done.stderr.encode()

    def test_nothing_of_it_goes_on(self, service, number):
        pids = service.home / "pids"
        service.script = f"sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"

        done = ended_by(service, number, pids.exists, "the script")

        fails(done, service, 143, "terminated", number.name)
        wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()), "its processes to end")

    def test_its_outputs_are_not_uploaded_and_further_records_not_begun(self, service, number):
        service.provider("file.store", root=str(service.storage))
        service.outputs("file.store out")
        started = service.home / "started"
        service.script = f'echo half > "$TMP_OUTPUT_DIR/half"; touch {started}; sleep 600'

        done = ended_by(service, number, started.exists, "the script")

        fails(done, service, 143, "terminated", number.name)
        assert list(service.storage.rglob("*")) == []


def test_a_second_signal_changes_nothing(service):
    started, told = service.home / "started", service.home / "told"
    service.script = f"trap 'touch {told}; sleep 0.5; exit 0' TERM; touch {started}; while :; do sleep 0.05; done"
    process = service.start([], service.job_environment())
    process.stdin.close()
    process.stdin = None
    wait_for(started.exists, "the script")
    process.send_signal(signal.SIGTERM)
    wait_for(told.exists, "the script to be told")
    process.send_signal(signal.SIGTERM)

    fails(service.done(process, None), service, 143, "terminated", "SIGTERM")


@pytest.fixture(params=["obstore", "sdk"])
def proxy(request, service, bucket):
    """A way to the real server that can be made slow or silent; the function's provider leads through it."""
    keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
    with FaultProxy(bucket.server.url) as proxy:
        # A library may be deaf to signals while it waits for the server, but no longer than we let it wait.
        service.provider("minio.default", endpoint=proxy.url, engine=request.param, read_timeout=3.0, **keys)
        service.outputs(f"minio.default {bucket.name}/out")
        yield proxy


@pytest.mark.parametrize("toxics", [Toxics(bandwidth=500_000), Toxics(timeout=True)], ids=["slow", "silent"])
class TestDuringTransfers:
    def test_a_download_is_broken_off(self, service, bucket, proxy, toxics):
        event = notification(bucket.put("in/a", bytes(3 * PART)))
        proxy.down = toxics

        done = ended_by(service, signal.SIGTERM, lambda: proxy.connections, "the download", event=event)

        fails(done, service, 143, "terminated")
        assert bucket.objects().keys() == {"in/a"}

    def test_an_upload_is_broken_off(self, service, bucket, proxy, toxics):
        event = notification(bucket.put("in/a"))
        service.script = f'head -c {5 * PART} /dev/zero > "$TMP_OUTPUT_DIR/large"'
        proxy.up = Toxics(bandwidth=5_000_000)

        def uploading():
            if not bucket.unfinished():
                return False
            proxy.up = toxics
            return True

        done = ended_by(service, signal.SIGTERM, uploading, "the upload", event=event)

        fails(done, service, 143, "terminated")
        assert bucket.objects().keys() == {"in/a"}


def test_an_upload_that_is_broken_off_leaves_no_parts(service, bucket, proxy):
    event = notification(bucket.put("in/a"))
    service.script = f'head -c {5 * PART} /dev/zero > "$TMP_OUTPUT_DIR/large"'
    proxy.up = Toxics(bandwidth=5_000_000)

    done = ended_by(service, signal.SIGTERM, bucket.unfinished, "the upload", event=event)

    fails(done, service, 143, "terminated")
    assert bucket.objects().keys() == {"in/a"}
    assert bucket.unfinished() == []


def test_a_retry_is_not_waited_for(service, bucket):
    service.provider("minio.default", endpoint="http://127.0.0.1:9", access_key="a" * 8, secret_key="b" * 8)
    event = notification(bucket.put("in/a"))
    process = service.start([], service.job_environment())
    process.stdin.write(event)
    process.stdin.close()
    process.stdin = None
    for line in process.stderr:
        if b"trying again in" in line:
            break
    process.send_signal(signal.SIGTERM)

    done = service.done(process, None)

    fails(done, service, 143, "terminated")


def test_the_container_of_oscar_ends_its_shell_only_and_the_result_is_told_anyway(service):
    """PID 1 of a Job is a shell that ignores SIGTERM; whoever signals the group reaches us."""
    started = service.home / "started"
    service.script = f"touch {started}; sleep 600"
    process = subprocess.Popen(
        ["sh", "-c", "echo $EVENT | supervisor"],
        env=service.job_environment(EVENT="some text"),
        cwd=service.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for(started.exists, "the script")
    os.killpg(process.pid, signal.SIGTERM)

    def told():
        try:
            return json.loads(service.termination.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    message = wait_for(told, "the termination message")
    with process:
        process.communicate(timeout=_SOON)
    assert (message["failure"], message["exit_code"]) == ("terminated", 143)
    assert list(service.workspace.iterdir()) == []
