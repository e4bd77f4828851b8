"""Scripts run in the test's own process, and what is to be known about processes."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
import time

import pytest

from faas_supervisor.script import run
from faas_supervisor.stop import Stop

TIMEOUT = 30.0
PATH = os.environ["PATH"]


class Collected:
    """A sink that keeps what it gets, and tells when it has got something."""

    def __init__(self):
        self.pieces = []
        self.got = threading.Event()

    def write(self, data):
        self.pieces.append(bytes(data))
        self.got.set()

    @property
    def data(self):
        return b"".join(self.pieces)


class Ran:
    """A finished script: how it ended, and what it wrote."""

    def __init__(self, argv, environment=None, **options):
        self.out, self.err = Collected(), Collected()
        environment = {"PATH": PATH} if environment is None else environment
        given = {"stdout": self.out, "stderr": self.err, "stop": Stop(), **options}
        self.outcome = run(argv, environment, **given)
        self.status = self.outcome.status


def sh(code, *arguments, **options):
    """Run a shell script to its end."""
    return Ran(["/bin/sh", "-c", code, "sh", *arguments], **options)


def python(code, *arguments, **options):
    """Run a program in Python to its end."""
    return Ran([sys.executable, "-I", "-c", textwrap.dedent(code), *arguments], **options)


class Running:
    """A script that runs in a thread; `end` waits for it."""

    def __init__(self, argv, environment=None, **options):
        self.out, self.err, self.stop = Collected(), Collected(), Stop()
        self.outcome = self.error = None
        environment = {"PATH": PATH} if environment is None else environment
        given = {"stdout": self.out, "stderr": self.err, "stop": self.stop, **options}

        def work():
            try:
                self.outcome = run(argv, environment, **given)
            except BaseException as error:  # noqa: BLE001  # looked at by the test
                self.error = error

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def said(self, text):
        """Wait until the script has written `text`."""
        wait_for(lambda: text in self.out.data, text)
        return self.out.data

    def end(self):
        """Wait for its end."""
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive(), "the script did not end"
        return self


def running(code, *arguments, **options):
    """Start a shell script."""
    return Running(["/bin/sh", "-c", code, "sh", *arguments], **options)


def alive(pid):
    """Whether a process is there and no zombie that nobody has buried yet."""
    return state(pid) not in {None, "Z", "X"}


def state(pid):
    """The state of a process, such as "Z"; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_for(happened, what):
    """Wait until `happened()` is true, and return what it returned."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        if found := happened():
            return found
        time.sleep(0.005)
    return pytest.fail(f"in vain waited for {what}")
