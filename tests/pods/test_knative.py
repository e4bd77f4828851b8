"""The watchdog front as a container of Knative's: PORT, a probe, SIGTERM; nobody's rights, a root that is read-only."""

from __future__ import annotations

import base64
import socket

import pytest

from tests.watchdog.support import PATIENCE, Client, answer, eventually, free_port

CONFIG = base64.b64encode(b"name: function\n").decode()


def serve(containers, supervisor, script):
    """Start the front in a container, and return that and a client."""
    port = free_port()
    environment = {
        "PORT": str(port),
        "K_SERVICE": "function",
        "K_REVISION": "function-1",
        "FUNCTION_CONFIG": CONFIG,
        "SCRIPT": base64.b64encode(script).decode(),
        "FAAS_SUPERVISOR_HOST": "127.0.0.1",
        "FAAS_SUPERVISOR_METRICS_PORT": "0",
        "_SUP_NAME": "fwatchdog",
        "healthcheck_interval": "0",
        "write_timeout": "30",
    }
    container = containers.start(
        supervisor.command, mounts=supervisor.mounts, environment=environment, memory=256, pids=64
    )
    container.wait_for(b"listening on port")
    return container, Client("127.0.0.1", port)


@pytest.fixture
def supervisor(unfrozen):
    return unfrozen


def test_a_probe_of_the_port_and_then_requests(containers, supervisor):
    script = b'echo "$K_SERVICE $(cat "$INPUT_FILE_PATH")"; id -u; touch /x 2>/dev/null && echo written; exit 0\n'
    container, client = serve(containers, supervisor, script)
    with client.connected():
        pass
    assert client.get("/_/health").body == b"OK"
    for _ in range(3):
        assert client.request("POST", "/", b"hello").body == b"function hello\n65532\n"
    container.kill("TERM")
    assert container.wait(PATIENCE).code == 0


def test_sigterm_while_idle(containers, supervisor):
    container, _ = serve(containers, supervisor, b"exit 0\n")
    container.kill("TERM")
    assert container.wait(PATIENCE).code == 0


def test_sigterm_while_busy_lets_the_request_end(containers, supervisor):
    script = b"touch /tmp/begun; until [ -e /tmp/go ]; do sleep 0.05; done; echo done\n"
    container, client = serve(containers, supervisor, script)
    with client.connected() as busy:
        busy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: "begun" in container.run("ls", "/tmp"), "the start of the script")
        container.kill("TERM")
        eventually(lambda: refused(client), "the end of the port")
        container.run("touch", "/tmp/go")
        response = answer(busy)
    assert (response.status, response.body) == (200, b"done\n")
    assert container.wait(PATIENCE).code == 0


def refused(client):
    try:
        socket.create_connection((client.host, client.port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False
