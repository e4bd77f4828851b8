"""Many requests and huge ones: `make test-load`. Nothing may grow with their number or their size."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import shutil
import sys
from pathlib import Path

import pytest

from faas_supervisor.fronts.watchdog._calls import UNLIMITED
from tests.watchdog.support import PATIENCE, eventually, started

GIB = 1 << 30
MIB = 1 << 20
PIECE = bytes(MIB)

# The main one, four for the disk, one that removes folders, and some to spare.
OWN_THREADS = 12


@pytest.fixture(params=["a program", "in process"])
def in_process(request):
    return request.param == "in process"


def state(pid):
    """What a process holds: resident bytes, the most it ever held, descriptors, threads, children."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    tasks = Path(f"/proc/{pid}/task")
    children = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    kib = {name: int(status[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")}
    return kib["VmRSS"], kib["VmHWM"], len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(tasks)), children


def tell(text):
    """Show a figure of a test that passes, too; `make test-load` does not capture."""
    sys.stderr.write(f"\n{text}\n")


def settled(watchdog):
    """Wait until nothing is under way, and return what the process holds."""
    eventually(lambda: watchdog.leftovers == [], "the end of all folders")
    eventually(lambda: state(watchdog.process.pid)[4] == [], "the end of all children")
    return state(watchdog.process.pid)


def ask(connection, number):
    body = b"%d" % number
    connection.request("POST", "/", body)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, body)


def test_ten_thousand_requests_one_after_the_other_leave_nothing(tmp_path, in_process):
    with started(tmp_path, in_process=in_process, max_inflight="1", LOG_LEVEL="ERROR") as watchdog:

        def run(first, last):
            for start in range(first, last, 500):
                connection = http.client.HTTPConnection("127.0.0.1", watchdog.port, timeout=PATIENCE)
                with contextlib.closing(connection):
                    for number in range(start, start + 500):
                        ask(connection, number)
            return settled(watchdog)

        before = run(0, 2000)
        after = run(2000, 10_000)
    tell(f"resident {before[0] / MIB:.1f} -> {after[0] / MIB:.1f} MiB, descriptors {before[2]} -> {after[2]}")
    assert after[0] - before[0] < 6 * MIB
    assert after[2] <= before[2]
    assert after[3] <= before[3]


def test_five_hundred_at_once_are_all_answered_and_leave_nothing(tmp_path, in_process):
    async def one(watchdog, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", watchdog.port)
        body = b"%d" % number
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n" + body)

    async def all_at_once(watchdog):
        return await asyncio.gather(*(one(watchdog, number) for number in range(500)))

    with started(tmp_path, in_process=in_process, LOG_LEVEL="ERROR", read_timeout="300") as watchdog:
        for _ in range(2):  # threads are made once
            assert all(asyncio.run(all_at_once(watchdog)))
        before = settled(watchdog)
        assert all(asyncio.run(all_at_once(watchdog)))
        after = settled(watchdog)
    tell(f"resident {before[0] / MIB:.1f} -> {after[0] / MIB:.1f} MiB, descriptors {before[2]} -> {after[2]}")
    assert after[0] - before[0] < 6 * MIB
    assert after[2] <= before[2]
    # One for each script that runs at a time and one for its output, which waits a while for the next; the loop's own.
    assert max(before[3], after[3]) <= 2 * UNLIMITED + OWN_THREADS


@pytest.mark.parametrize("size", [0, GIB, 2 * GIB], ids=["0", "1 GiB", "2 GiB"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_of_any_size_takes_no_memory(tmp_path, in_process, size, chunked):
    if shutil.disk_usage(tmp_path).free < 2 * size + GIB:
        pytest.fail("too little room on the disk for this test")
    script = '#!/bin/sh\nwc -c < "${INPUT_FILE_PATH:-/dev/stdin}"\n'
    with started(tmp_path, in_process=in_process, script=script, read_timeout="300") as watchdog:
        body = (PIECE for _ in range(size // MIB))
        headers = {} if chunked else {"Content-Length": str(size)}
        response = watchdog.request("POST", "/", body, headers, encode_chunked=chunked)
        assert (response.status, int(response.body)) == (200, size)
        peak = state(watchdog.process.pid)[1]
    tell(f"at most {peak / MIB:.1f} MiB")
    assert peak < 100 * MIB


def test_an_answer_of_two_gib_takes_no_memory(tmp_path, in_process):
    # An invocation shows its script's output in the log as well; a file it does not.
    target = '> "$TMP_OUTPUT_DIR/zeros"' if in_process else ""
    script = f"#!/bin/sh\nhead -c {2 * GIB} /dev/zero {target}\n"
    with started(tmp_path, in_process=in_process, script=script, write_timeout="300") as watchdog:
        connection = http.client.HTTPConnection("127.0.0.1", watchdog.port, timeout=300)
        with contextlib.closing(connection):
            connection.request("GET", "/?raw")
            response = connection.getresponse()
            assert response.getheader("Content-Length") == str(2 * GIB)
            size = 0
            while piece := response.read(MIB):
                size += len(piece)
        peak = state(watchdog.process.pid)[1]
    assert size == 2 * GIB
    tell(f"at most {peak / MIB:.1f} MiB")
    assert peak < 100 * MIB
