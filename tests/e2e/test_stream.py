"""Outputs while the script runs, on real servers: an evicted Job keeps them, and its second run sends them no more."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from tests.e2e.support import notification, succeeds

_SOON = 20.0
_PART = 8 * 1024 * 1024

WRITES = """\
mkdir -p "$TMP_OUTPUT_DIR/tmp"
head -c {size} /dev/zero > "$TMP_OUTPUT_DIR/tmp/first" && mv "$TMP_OUTPUT_DIR/tmp/first" "$TMP_OUTPUT_DIR/stream/first"
rmdir "$TMP_OUTPUT_DIR/tmp"
{then}
"""


@pytest.fixture(params=["minio", "s3"])
def function(request, service, bucket):
    """A function with a stream folder, whose outputs go to a bucket."""
    keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
    for kind in ("minio", "s3"):
        service.provider(f"{kind}.default", endpoint=bucket.server.url, **keys)
    service.outputs(f"{request.param}.default {bucket.name}/out")
    service.config["stream"] = True
    return service


def wait_until(happened):
    deadline = time.monotonic() + _SOON
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("size", [5, _PART, 3 * _PART + 1], ids=["small", "one request", "parts"])
def test_a_job_that_is_evicted_keeps_what_it_had_and_sends_it_once(function, bucket, size):
    event = notification(bucket.put("in/a"))
    pid = function.home / "pid"
    function.script = WRITES.format(size=size, then=f"echo $$ > {pid}; exec sleep 600")
    process = function.start([], function.job_environment())
    process.stdin.write(event)
    process.stdin.close()
    process.stdin = None
    wait_until(lambda: "out/stream/first" in bucket.objects())
    wait_until(lambda: pid.exists() and pid.read_text().strip())
    process.send_signal(signal.SIGKILL)
    with process:
        process.communicate(timeout=_SOON)
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIGKILL)
    # What SIGKILL left behind is no longer ours to see after an eviction.
    for left in function.workspace.iterdir():
        with contextlib.suppress(OSError):
            left.rename(function.home / left.name)

    function.script = WRITES.format(size=size, then='echo second > "$TMP_OUTPUT_DIR/second"')
    done = function.job(event)

    succeeds(done, function)
    sent = {entry["path"].partition("/out/")[2]: entry for entry in done.result["outputs"]}
    assert (sent["stream/first"]["skipped"], sent["stream/first"]["attempts"]) == (True, 0)
    assert (sent["second"]["skipped"], sent["second"]["attempts"]) == (False, 1)
    assert (done.result["usage"]["output_files"], done.result["usage"]["output_bytes"]) == (2, len("second\n"))
    assert "are there already" in done.stderr
    assert bucket.objects()["out/stream/first"] == bytes(size)
