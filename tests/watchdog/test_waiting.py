"""Requests that wait for their turn, when there are more of them than may run at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from faas_supervisor.fronts._service import Answer
from faas_supervisor.fronts.watchdog import _calls
from faas_supervisor.fronts.watchdog._lock import LockFile
from faas_supervisor.fronts.watchdog._metrics import Metrics
from faas_supervisor.fronts.watchdog._server import Server
from faas_supervisor.fronts.watchdog._settings import Settings
from tests.watchdog.support import PATIENCE, eventually

LIMIT = 3600


class Turns:
    """A program whose first answer has to be let go; the next one comes at once, or only when it is told to stop."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def answer(self, request, folder):
        self.stop = request.stop
        self.begun.set()
        if request.environment["Http_Path"] == "/first":
            assert self.go.wait(PATIENCE)
        if request.environment["Http_Path"] == "/endless":
            assert request.stop.wait(PATIENCE)
            raise request.stop.reason
        output = folder / "output"
        output.write_bytes(b"done")
        return Answer(200, {}, output)

    def close(self):
        pass


class Place:
    """A server that has one place, and the clock that it goes by."""

    def __init__(self, folder, clock):
        self.clock, self.program, self.metrics = clock, Turns(), Metrics()
        settings = Settings(host="127.0.0.1", read_timeout=0, write_timeout=0)
        lock = LockFile({"TMPDIR": str(folder)})
        self.calls = _calls.Calls(self.program, settings, {}, folder=folder, lock=lock, metrics=self.metrics)
        self.server = Server(self.calls, settings, port=0, largest=8)

    async def __aenter__(self):
        self.server.start()
        return self

    async def __aexit__(self, *_):
        self.program.go.set()
        self.server.stop()
        assert await self.server.drained(PATIENCE)
        self.calls.close()

    def ask(self, path, *headers):
        """Begin a request; the task returns the status of its answer."""

        async def answered():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
            writer.write("\r\n".join(lines).encode())
            status = int((await reader.read()).split()[1])
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            return status

        return asyncio.create_task(answered())

    async def holds(self, count):
        """Wait until so many requests run, or wait for their turn."""
        held = self.metrics.running._value.get
        await asyncio.to_thread(eventually, lambda: held() == count, "the start of the requests")

    async def begins(self):
        """Wait until the program is at work."""
        assert await asyncio.to_thread(self.program.begun.wait, PATIENCE)
        self.program.begun.clear()

    async def pass_by(self, seconds):
        """Put the clock forward, and let everything happen that is due by then."""
        due = asyncio.create_task(asyncio.sleep(seconds))
        await asyncio.sleep(0)
        self.clock.ahead += seconds
        await due


class Clock:
    """The system's, and how far it is ahead of that."""

    def __init__(self):
        self.ahead, self._now = 0.0, time.monotonic

    def __call__(self):
        return self._now() + self.ahead


@pytest.fixture
def place(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(_calls, "UNLIMITED", 1)
    return lambda: Place(tmp_path, clock)


def test_the_time_that_a_request_waits_for_its_turn_does_not_count(place):
    async def check():
        async with place() as one:
            first = one.ask("/first")
            await one.begins()
            second = one.ask("/", f"X-Timeout: {LIMIT}")
            await one.holds(2)
            await one.pass_by(3 * LIMIT)
            one.program.go.set()
            assert (await first, await second) == (200, 200)

    asyncio.run(check())


def test_from_its_turn_on_it_has_all_of_its_time_and_no_more(place):
    async def check():
        async with place() as one:
            first = one.ask("/first")
            await one.begins()
            second = one.ask("/endless", f"X-Timeout: {LIMIT}")
            await one.holds(2)
            await one.pass_by(LIMIT / 2)
            one.program.go.set()
            assert await first == 200
            await one.begins()
            await one.pass_by(LIMIT * 3 / 4)
            assert not one.program.stop.is_set()
            await one.pass_by(LIMIT / 2)
            assert await second == 408

    asyncio.run(check())
