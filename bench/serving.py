"""Synchronous calls: a resident process beside a supervisor for each request, measured with `hey`."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import tools
from bench.measure import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
FROZEN = tools.ROOT / "dist" / "supervisor" / "supervisor"
CONFIG = "name: bench\nlog_level: CRITICAL\n"
SCRIPT = "#!/bin/sh\n"
CONNECTIONS = (1, 8)
MEMORY = "/dev/shm"
PATIENCE = 30.0
LATENCY_AIM = 0.006
CPU_AIM = 50


@dataclass(frozen=True, slots=True)
class Served:
    """What one contestant did: seconds of a single request, requests per second by connections, CPU of a request."""

    name: str
    median: float
    p99: float
    rates: tuple[float, ...]
    cpu: float


def measure_serving(runs: int, folder: Path) -> str:
    """Measure everything, and return the section."""
    bare = _bare(folder, 100 * runs)
    unfrozen, frozen = BIN / "fwatchdog", FROZEN.with_name("fwatchdog")
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        memory = Path(name)
        contestants = [
            ("`supervisor serve`", unfrozen, "", 200 * runs, memory),
            ("a supervisor for each request", unfrozen, f"env {BIN}/supervisor", 10 * runs, memory),
        ]
        if FROZEN.exists():
            # First what operators run, beside what they ran before.
            contestants[:0] = [
                ("`supervisor serve`, frozen", frozen, "", 200 * runs, memory),
                ("a frozen supervisor for each request", unfrozen, f"env {FROZEN}", 10 * runs, memory),
                ("`supervisor serve`, frozen, temporary files on disk", frozen, "", 200 * runs, folder),
            ]
        return _section(bare, [_measured(*one) for one in contestants])


def _bare(folder: Path, count: int) -> Served:
    script = folder / "bare.sh"
    script.write_text(SCRIPT)
    seconds, before = [], time.process_time() + sum(os.times()[2:4])
    for _ in range(count):
        begun = time.perf_counter()
        os.waitpid(os.posix_spawn("/bin/sh", ["sh", str(script)], {}), 0)
        seconds.append(time.perf_counter() - begun)
    cpu = (time.process_time() + sum(os.times()[2:4]) - before) / count
    return Served("`sh script`, no HTTP", statistics.median(seconds), _p99(seconds), (), cpu)


def _measured(name: str, program: Path, process: str, count: int, folder: Path) -> Served:
    with _running(program, process, folder) as (url, pid):
        _hey(url, max(CONNECTIONS), max(CONNECTIONS))  # warms up
        rates, single, cpu = [], [0.0], 0.0
        for connections in CONNECTIONS:
            before, begun = _cpu(pid), time.monotonic()
            seconds = _hey(url, count, connections)
            rates.append(len(seconds) / (time.monotonic() - begun))
            if connections == 1:
                single, cpu = seconds, (_cpu(pid) - before) / len(seconds)
        return Served(name, statistics.median(single), _p99(single), tuple(rates), cpu)


@contextlib.contextmanager
def _running(program: Path, process: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Run `program`, our watchdog; `process` is what it starts for each request, as the classic one does."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(folder),
        "FUNCTION_CONFIG": base64.b64encode(CONFIG.encode()).decode(),
        "SCRIPT": base64.b64encode(SCRIPT.encode()).decode(),
        "port": str(port),
        "write_timeout": "60",
        "healthcheck_interval": "0",
        "FAAS_SUPERVISOR_METRICS_PORT": "0",
        **({"fprocess": process} if process else {}),
    }
    log = (folder / "serving.log").open("wb")
    server = subprocess.Popen([program], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait(f"{url}_/health", server)
        yield url, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)
        log.close()


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.05)
    raise Failed("the watchdog does not start")


def _hey(url: str, count: int, connections: int) -> list[float]:
    """Return the seconds of each request, all of which have to succeed."""
    count = max(connections, count - count % connections)
    argv = ["hey", "-n", str(count), "-c", str(connections), "-m", "POST", "-d", "x", "-o", "csv", url]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=600)
    rows = [line.split(",") for line in done.stdout.splitlines()[1:] if line]
    if len(rows) < count or any(row[6] != "200" for row in rows):
        raise Failed(f"{url}: not all of {count} requests were answered with 200")
    return [float(row[0]) for row in rows]


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and of the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def _section(bare: Served, served: list[Served]) -> str:
    ours, each = served[0], served[1]
    rows = [
        "| | median, ms | p99, ms | requests/s, 1 connection | 8 connections | CPU of a request, ms |",
        "|---|--:|--:|--:|--:|--:|",
        *(_row(one) for one in (ours, *served[1:], bare)),
    ]
    extra, ratio = ours.median - bare.median, each.cpu / ours.cpu
    verdicts = [
        f"- Aim: median at most 6 ms above the bare script: {_reached(extra < LATENCY_AIM)}, {extra * 1000:.2f} ms.",
        f"- Aim: {CPU_AIM} times less CPU than a process per request: {_reached(ratio >= CPU_AIM)}, {ratio:.0f}.",
    ]
    text = (
        "An empty script, called over HTTP by `hey`. Supervisors for each request run behind our own watchdog, which "
        "starts them as the classic one does. Temporary files are in memory: what a folder costs on a disk is a matter "
        "of its file system (ext4 without a journal looks through all that was removed within five seconds). CPU is "
        "that of the server with all that it starts, the script included. "
        "This table alone: `python -m bench --cases h`."
    )
    return "\n".join(["## Synchronous calls", "", text, "", *rows, "", *verdicts, ""])


def _row(one: Served) -> str:
    rates = [f"{rate:.0f}" for rate in one.rates] or ["", ""]
    cells = [one.name, f"{one.median * 1000:.2f}", f"{one.p99 * 1000:.2f}", *rates, f"{one.cpu * 1000:.2f}"]
    return f"| {' | '.join(cells)} |"


def _reached(reached: bool) -> str:  # noqa: FBT001  # private, and clear where it is called
    return "reached" if reached else "**missed**"
