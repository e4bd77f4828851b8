"""A running watchdog, and a client that can say what no library would."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.support import BIN, SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FWATCHDOG = BIN / "fwatchdog"
PROBE = Path(__file__).parent / "probe.sh"
PATIENCE = 30.0

_KEPT = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "COV_"))}
_CONFIG = "name: probe\nlog_level: INFO\n"


@dataclass(frozen=True)
class Response:
    """An answer; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def variables(self) -> dict[str, str]:
        """The environment that a script printed."""
        lines = self.body.decode("utf-8", "surrogateescape").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@dataclass
class Client:
    """Speaks to a watchdog."""

    host: str
    port: int

    def request(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Response:
        """Send a request as a library would, on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, target, body, dict(headers or {}), **options)
            return read(connection.getresponse())

    def get(self, target: str, **headers: str) -> Response:
        """Send a GET."""
        return self.request("GET", target, headers=headers)

    @contextlib.contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection to say anything on."""
        with socket.create_connection((self.host, self.port), timeout=PATIENCE) as connection:
            yield connection

    def raw(self, data: bytes) -> Response:
        """Send bytes as they are, and read one answer."""
        with self.connected() as connection:
            with contextlib.suppress(ConnectionError):  # it may have answered already
                connection.sendall(data)
            return answer(connection)


def answer(connection: socket.socket, method: str = "GET") -> Response:
    """Read one answer from a connection."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return read(response)


def read(response: http.client.HTTPResponse) -> Response:
    """Read an answer to its end."""
    with response:
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, headers, response.read())


@dataclass
class Watchdog(Client):
    """A watchdog of ours, in a folder of its own."""

    process: subprocess.Popen[bytes]
    metrics_port: int
    folder: Path
    log: list[str] = field(default_factory=list)
    news: queue.Queue[str] = field(default_factory=queue.Queue)

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.folder / "tmp" / ".lock"

    @property
    def stdout(self) -> bytes:
        """What it has written to its standard output."""
        return (self.folder / "stdout").read_bytes()

    @property
    def leftovers(self) -> list[str]:
        """What there is in its workspace."""
        return sorted(str(path.relative_to(self.folder)) for path in (self.folder / "tmp").glob("*/*"))

    def said(self, text: str) -> str:
        """Wait for a line of the log that has this text."""
        for line in list(self.log):
            if text in line:
                return line
        while True:
            line = self.news.get(timeout=PATIENCE)
            if text in line:
                return line

    def scrape(self) -> dict[str, float]:
        """What the metrics say."""
        text = Client(self.host, self.metrics_port).get("/metrics").body.decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(number) for name, _, number in lines}

    def end(self, *signals: int) -> int:
        """Send signals, and return the exit code."""
        for number in signals:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def started(
    folder: Path,
    *,
    in_process: bool = False,
    script: str | None = None,
    descriptors: int | None = None,
    stdout: int | None = None,
    **environment: str,
) -> Iterator[Watchdog]:
    """Run `fwatchdog`; its script or program is the probe unless there is another one.

    `descriptors` is how many it may open. `stdout` is its standard output, else a file in its folder.
    """
    tmp = folder / "tmp"
    tmp.mkdir(parents=True, exist_ok=True)
    program = PROBE
    if script is not None:
        program = folder / "script.sh"
        program.write_text(script)
        program.chmod(0o755)
    given = {
        **_KEPT,
        "PATH": f"{BIN}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp),
        "port": "0",
        "read_timeout": "30",
        "write_timeout": "30",
        "healthcheck_interval": "0",
        "FAAS_SUPERVISOR_HOST": "127.0.0.1",
        "FAAS_SUPERVISOR_METRICS_PORT": str(free_port()),
        "FAAS_SUPERVISOR_TERMINATION_LOG": str(folder / "termination-log"),
        "FAAS_SUPERVISOR_SECRETS_DIR": str(folder / "secrets"),
        "fprocess": "/oscar/bin/supervisor" if in_process else str(program),
    }
    if in_process:
        given["FUNCTION_CONFIG"] = base64.b64encode(_CONFIG.encode()).decode()
        given["SCRIPT"] = base64.b64encode(program.read_bytes()).decode()
    given |= environment
    silent = given.get("LOG_LEVEL") == "ERROR"  # then no line tells the port
    if silent:
        given["port"] = str(free_port())
    limited = [] if descriptors is None else ["sh", "-c", f'ulimit -n {descriptors}; exec "$0"']
    with (folder / "stdout").open("wb") as file:
        process = subprocess.Popen(
            [*limited, FWATCHDOG],
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=file if stdout is None else stdout,
            stderr=subprocess.PIPE,
        )
    watchdog = Watchdog("127.0.0.1", 0, process, int(given["FAAS_SUPERVISOR_METRICS_PORT"]), folder)
    reader = threading.Thread(target=_follow, args=(watchdog,), daemon=True)
    reader.start()
    try:
        if silent:
            watchdog.port = int(given["port"])
            eventually(watchdog.lock.exists, "the start")
        else:
            watchdog.port = int(watchdog.said("listening on port").rpartition(" ")[2])
        yield watchdog
    finally:
        if process.poll() is None:
            process.terminate()
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(PATIENCE)
        sys.stderr.write("".join(watchdog.log))


def _follow(watchdog: Watchdog) -> None:
    assert watchdog.process.stderr is not None
    with watchdog.process.stderr as stream:
        for line in stream:
            text = line.decode("utf-8", "backslashreplace").rstrip("\n")
            watchdog.log.append(text)
            watchdog.news.put(text)
    watchdog.news.put("listening on port -1")  # whoever waits for the start waits no longer


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` holds, and return what it says."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
    return found


def pid_in(file: Path) -> int:
    """Wait until a script has written its process number, and return that."""
    return int(eventually(lambda: file.exists() and file.read_text().strip(), "the start of the script"))


__all__ = [
    "FWATCHDOG",
    "PROBE",
    "SUPERVISOR",
    "Client",
    "Response",
    "Watchdog",
    "answer",
    "eventually",
    "free_port",
    "pid_in",
    "read",
    "started",
]
