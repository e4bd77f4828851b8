"""From a request to its answer: the body to a file, a place among those that run, the script, the file back."""

from __future__ import annotations

import asyncio
import errno
import itertools
import re
import shutil
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, closing
from typing import TYPE_CHECKING, Final, Protocol

from faas_supervisor.errors import SupervisorError, Terminated, printable
from faas_supervisor.fronts._numbers import seconds
from faas_supervisor.fronts._service import Request
from faas_supervisor.fronts._streams import Descriptor
from faas_supervisor.fronts.watchdog._connection import Reply, overlaid
from faas_supervisor.fronts.watchdog._deadline import ClientLeft, Deadline, TimedOut
from faas_supervisor.fronts.watchdog._head import BadRequest, cgi_variables
from faas_supervisor.logs import log
from faas_supervisor.script import unsettable
from faas_supervisor.secrets import mask
from faas_supervisor.sinks import write_all
from faas_supervisor.stop import Stop
from faas_supervisor.workspace import remove

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from faas_supervisor.fronts._service import Answer
    from faas_supervisor.fronts.watchdog._connection import Connection
    from faas_supervisor.fronts.watchdog._head import Head
    from faas_supervisor.fronts.watchdog._lock import LockFile
    from faas_supervisor.fronts.watchdog._metrics import Metrics
    from faas_supervisor.fronts.watchdog._settings import Settings

__all__ = ["UNLIMITED", "Calls", "Program"]

UNLIMITED: Final = 32
"""How many run at once when `max_inflight` sets no limit; the others wait."""

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}

_SECRET: Final = re.compile("auth|cookie|token|key|secret|signature", re.IGNORECASE)

# Smaller pieces go to the page cache at once; larger ones might have to wait for the disk, and all clients with them.
_SMALL: Final = 64 * 1024

# Folders of requests that are answered, to be removed; with more of them clients wait.
_REMOVALS: Final = 64


class Program(Protocol):
    """What runs for each request: an invocation in this process, or a program."""

    def answer(self, request: Request, folder: Path) -> Answer:
        """Return the answer to `request`; called in a thread.

        Raises:
            SupervisorError: There is none; `request.stop.reason` when it was told to stop.
        """

    def close(self) -> None:
        """Free what is held."""


class _Refused(Exception):
    """A request that nothing runs for."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Calls:
    """Answers requests, at most `max_inflight` at the same time.

    Args:
        folder: Each request gets a folder of its own in it.

    Attributes:
        accepting: Whether the health check says so.
    """

    def __init__(
        self,
        program: Program,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        folder: Path,
        lock: LockFile,
        metrics: Metrics,
    ) -> None:
        self._program = program
        self._settings = settings
        self._environment = environment
        self._root = folder
        self._lock = lock
        self._metrics = metrics
        self._places = settings.max_inflight or UNLIMITED
        self._workers = ThreadPoolExecutor(min(self._places, 512), "call")
        self._disk = ThreadPoolExecutor(4, "disk")
        self._remover = ThreadPoolExecutor(1, "remover")
        self._numbers = itertools.count(1)
        self._stops: set[Stop] = set()
        self._removals: deque[Future[None]] = deque()
        self.accepting = False

    @asynccontextmanager
    async def answering(self, head: Head, connection: Connection) -> AsyncIterator[Reply | None]:
        """See `Handler`."""
        if head.path == "/_/health":
            yield self._health(head)
            return
        self._show("in", head.headers)
        with self._metrics.request(head.method) as count:
            try:
                limit = self._admit(head)
                async with self._folder() as folder:
                    await self._spool(connection, folder)
                    self._admit(head)  # others may have been quicker
                    reply = await self._call(head, connection, folder, limit)
                    if reply is not None:
                        count.code = reply.status
                        self._show("out", reply.headers)
                    yield reply
            except _Refused as refused:
                count.code = refused.reply.status
                yield refused.reply

    def close(self) -> None:
        """Free what is held; nothing runs any more."""
        self._remover.shutdown()
        self._program.close()

    def stop_all(self) -> None:
        """End what still runs."""
        for stop in self._stops:
            stop.set(Terminated("the supervisor is stopping"))

    def _health(self, head: Head) -> Reply:
        if head.method != "GET":
            return Reply(405)
        return Reply(200, _TEXT, b"OK") if self.accepting and self._lock.exists() else Reply(503)

    def _show(self, way: str, headers: Mapping[str, str]) -> None:
        """Log headers (`debug_headers`), but for what nobody else may know."""
        if self._settings.debug_headers:
            for name, text in headers.items():
                log.info("[%s] %s=%s", way, name, "***" if _SECRET.search(name) else printable(text))

    def _admit(self, head: Head) -> float | None:
        """Return how long the script may take: `exec_timeout` seconds, or less if the client says so.

        Raises:
            _Refused: There is no place for this request, or never will be.
        """
        if head.method not in _METHODS:
            raise _Refused(Reply(405))
        if 0 < self._settings.max_inflight <= len(self._stops):
            text = f"Concurrent request limit exceeded. Max concurrent requests: {self._settings.max_inflight}\n"
            headers = {"Content-Type": "text/plain", "X-OpenFaaS-Internal": "faas-middleware"}
            raise _Refused(Reply(429, headers, text.encode()))
        largest = self._settings.max_body_size
        if 0 < largest < head.length:
            raise _Refused(_text(413, f"the body has more than {largest} bytes"))
        most = self._settings.exec_timeout or None
        if "x-timeout" not in head.headers:
            return most
        asked = seconds(head.headers["x-timeout"])
        if not asked:
            raise _Refused(_text(400, "X-Timeout must be seconds, or a duration like 1m30s, of more than 0"))
        return asked if most is None else min(asked, most)

    @asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        """Give a folder of its own to a request."""
        folder = self._root / str(next(self._numbers))
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise _unkept(error) from error
        try:
            yield folder
        finally:
            # The client's next request need not wait for it, unless removing falls behind.
            self._removals.append(self._remover.submit(remove, folder))
            while self._removals and self._removals[0].done():
                self._removals.popleft()
            if len(self._removals) > _REMOVALS:
                await asyncio.wrap_future(self._removals[0])

    async def _spool(self, connection: Connection, folder: Path) -> None:
        """Write the request's body into a file of its folder as it comes.

        Raises:
            _Refused: It does not come whole, or there is no room for it.
        """
        loop = asyncio.get_running_loop()
        try:
            with open(folder / "body", "xb", buffering=0) as stream:  # noqa: ASYNC230, PTH123  # makes an empty file
                async with aclosing(connection.body(self._settings.max_body_size)) as pieces:
                    async for piece in pieces:
                        if len(piece) < _SMALL:
                            write_all(stream.write, piece)
                        else:
                            await loop.run_in_executor(self._disk, write_all, stream.write, piece)
        except BadRequest as error:
            raise _Refused(_text(error.status, str(error))) from error
        except ConnectionError:
            raise
        except OSError as error:
            raise _unkept(error) from error

    async def _call(self, head: Head, connection: Connection, folder: Path, limit: float | None) -> Reply | None:
        """Let the program answer, and end it when its client leaves or its time is over."""
        begun = time.monotonic()
        stop = Stop()
        deadline = Deadline(stop, limit)
        self._stops.add(stop)
        try:
            with self._metrics.running.track_inprogress():
                request = self._request(head, folder, stop, limit)
                async with connection.watched(head, lambda: stop.set(ClientLeft("the client left"))):
                    answer = await asyncio.get_running_loop().run_in_executor(
                        self._workers, self._work, request, folder, deadline
                    )
        except SupervisorError as error:
            return self._failed(error)
        except Exception:  # noqa: BLE001  # the border of one request: a defect of ours is answered, too
            log.exception("a request could not be answered")
            return _text(500, "internal error")
        finally:
            deadline.cancel()
            self._stops.discard(stop)
            stop.close()
        return self._answered(head, answer, time.monotonic() - begun)

    def _request(self, head: Head, folder: Path, stop: Stop, timeout: float | None) -> Request:
        body = folder / "body"
        variables = cgi_variables(head) if self._settings.cgi_headers else {}
        for name in [name for name, value in variables.items() if unsettable(name, value)]:
            log.warning("%s is not set for the script: %s", name, unsettable(name, variables.pop(name)))
        return Request(
            body=body,
            method=head.method,
            headers=head.headers,
            environment={**self._environment, **variables},
            raw=head.raw,
            stop=stop,
            timeout=timeout,
        )

    def _work(self, request: Request, folder: Path, deadline: Deadline) -> Answer:
        """Run in a thread."""
        deadline.begun = time.monotonic()
        if request.stop.is_set():
            raise request.stop.reason or Terminated("stopped before it began")
        answer = self._program.answer(request, folder)
        if self._settings.write_debug:
            with answer.body.open("rb") as source, closing(Descriptor(1, request.stop)) as shown:
                shutil.copyfileobj(source, shown)  # the container's log
        return answer

    def _failed(self, error: SupervisorError) -> Reply | None:
        log.warning("a request failed: %s", error)
        if isinstance(error, ClientLeft):
            return None
        if isinstance(error, TimedOut):
            return _text(408, "Killed process.")
        if isinstance(error, Terminated):
            return _text(503, "the service is stopping")
        return _text(500, mask(str(error)))

    def _answered(self, head: Head, answer: Answer, wall: float) -> Reply:
        headers = dict(answer.headers)
        if answer.status < 500:  # noqa: PLR2004  # the first of the server's failures
            kind = self._settings.content_type or head.headers.get("content-type", "")
            given = any(name.lower() == "content-type" for name in headers)
            if kind and (self._settings.content_type or not given):
                headers = overlaid(headers, {"Content-Type": kind})
            headers = overlaid(headers, {"X-Duration-Seconds": f"{wall:f}"})
        return Reply(answer.status, headers, answer.body)


def _text(status: int, message: str) -> Reply:
    return Reply(status, _TEXT, f"{message}\n".encode("utf-8", "backslashreplace"))


def _unkept(error: OSError) -> _Refused:
    log.error("a request's body can't be kept: %s", error)
    return _Refused(_text(507 if error.errno in {errno.ENOSPC, errno.EDQUOT} else 500, "the body can't be kept"))
