"""What only a terminal sees: help instead of an endless wait, and how far a long transfer is."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from faas_supervisor.testing import FaultProxy, Toxics
from tests.e2e.support import SUPERVISOR, notification


def on_a_terminal(arguments, environment, *, stdin=None):
    """Run `supervisor` with a terminal as its standard error, and as its standard input unless that is given."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SUPERVISOR, *arguments],
        stdin=theirs if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**environment, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the last of them has closed the terminal
            pass
        finally:
            os.close(ours)
        return process.wait(60), process.stdout.read().decode(), shown.decode()


def test_without_arguments_it_shows_its_help(service):
    code, out, shown = on_a_terminal([], service.environment)

    assert "Usage: supervisor" in out + shown
    assert "listen" in out + shown
    assert code in {0, 2}


@pytest.fixture
def slow(service, bucket):
    """A function whose download takes two seconds."""
    keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
    with FaultProxy(bucket.server.url) as proxy:
        service.provider("minio.default", endpoint=proxy.url, **keys)
        proxy.down = Toxics(bandwidth=1_000_000)
        service.home.joinpath("event").write_bytes(notification(bucket.put("in/large", bytes(2_000_000))))
        config, _ = service.write()
        yield ["run", "-c", str(config), "-e", str(service.home / "event")]


def test_a_long_transfer_is_drawn_on_a_terminal_and_wiped_off(service, slow):
    code, _, shown = on_a_terminal(slow, service.environment, stdin=subprocess.DEVNULL)

    assert code == 0, shown
    drawn = [part for part in shown.split("\r\x1b[K") if "MiB" in part and "[" in part]
    assert drawn, shown
    assert "in/large: [#" in drawn[-1]
    assert " of 1.9 MiB" in drawn[-1]
    assert shown.rindex("\r\x1b[K") > shown.rindex("MiB")


def test_nothing_is_drawn_elsewhere(service, slow):
    done = service.cli(*slow)

    assert done.code == 0, done.stderr
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_an_event_that_has_to_be_typed_is_asked_for(service):
    config, _ = service.write()
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SUPERVISOR, "run", "-c", str(config)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=service.environment,
    ) as process:
        os.close(theirs)
        assert b"Ctrl-D" in process.stderr.readline()
        os.write(ours, b"typed\n\x04")
        process.stderr.read()
        assert process.wait(60) == 0
        assert process.stdout.read() == b"dHlwZWQK"
    os.close(ours)
