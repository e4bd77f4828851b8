"""The script's output: drained by a thread of its own whatever happens, and passed on in whole lines.

Whoever takes it may be slow, fail, or hang; that must hold up neither the script's end nor its signals.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Protocol, Self

from faas_supervisor.errors import Failure, ScriptError
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import TypeAlias

    _Work: TypeAlias = tuple[Callable[[], None], threading.Lock]

__all__ = ["Output", "Sink"]

# /proc/sys/fs/pipe-max-size as kernels ship it: fewer switches between the script and us.
_PIPE: Final = 1024 * 1024
_PIECE: Final = 64 * 1024

# A line up to this long is passed on in one piece, unless it takes longer than this to be written: a prompt.
_LINE: Final = 64 * 1024
_PROMPT: Final = 0.1

# How long whoever takes the output may take nothing at all, once the script has ended.
_PATIENCE: Final = 30.0
_HURRIED: Final = 2.0

# Seconds that a thread waits for another script: to start one takes longer than an empty script.
_IDLE: Final = 10.0


class Sink(Protocol):
    """Takes what the script writes, piece by piece."""

    def write(self, data: bytes, /) -> object:
        """Take `data`. After an exception it gets no more; while it blocks, the script may have to wait."""


class _Stream:
    """One pipe, and where it leads."""

    def __init__(self, sink: Sink) -> None:
        self.pipe, self.end = os.pipe()
        os.set_blocking(self.pipe, False)
        _enlarge(self.end)
        self._sink = sink
        self._held = b""
        self._since = 0.0
        self._piece = _PIECE
        self._failed = False
        self.moved = 0

    def move(self) -> int | None:
        """Take what is in the pipe, and return how much: 0 at its end, None when there is nothing yet."""
        try:
            data = os.read(self.pipe, self._piece)
        except BlockingIOError:
            return None
        if len(data) == self._piece:
            self._piece = _PIPE
        if data:
            self._take(data)
        return len(data)

    def _take(self, data: bytes) -> None:
        whole = data.rfind(b"\n") + 1
        rest = len(data) - whole + (0 if whole else len(self._held))
        if rest > _LINE:
            whole = len(data)
        if whole:
            self._pass_on(self._held + data[:whole] if self._held else data[:whole])
            self._held = b""
        if whole < len(data):
            if not self._held:
                self._since = time.monotonic()
            self._held += data[whole:]

    def due(self) -> float | None:
        """Return in how many seconds what is held has to go; None when there is nothing."""
        return max(0.0, self._since + _PROMPT - time.monotonic()) if self._held else None

    def empty(self) -> None:
        """Take what the script wrote before it ended; what others still write is endless, so no more than a pipe."""
        taken = 0
        while taken < _PIPE and (size := self.move()):
            taken += size
        self.flush()

    def flush(self) -> None:
        """Pass on what has no line break yet."""
        if self._held:
            self._pass_on(self._held)
            self._held = b""

    def _pass_on(self, data: bytes) -> None:
        if not self._failed:
            try:
                self._sink.write(data)
            except Exception as error:  # noqa: BLE001  # the border to whoever takes it: the pipe is drained anyway
                self._failed = True
                log.warning("the script's output is lost from here on: %s: %s", type(error).__name__, error)
        self.moved += len(data)


class Output:
    """The script's pipes, and the thread that empties them; a context manager that ends it.

    Attributes:
        stdout: The descriptor that is the script's standard output.
        stderr: The descriptor that is its standard error.

    Raises:
        ScriptError: There is no room for a thread.
    """

    def __init__(self, stdout: Sink, stderr: Sink) -> None:
        # One pipe where both lead to one place: what was written first arrives first.
        self._streams = [_Stream(sink) for sink in ((stdout,) if stdout is stderr else (stdout, stderr))]
        self._ends = [stream.end for stream in self._streams]
        self.stdout, self.stderr = self._ends[0], self._ends[-1]
        wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._wake: int | None = wake
        try:
            self._drained = _in_a_thread(lambda: self._drain(wake))
        except RuntimeError as error:
            self._close_ends()
            self._close_pipes()
            os.close(wake)
            raise ScriptError(
                f"the script can't be started: there is no room for a thread: {error}",
                failure=Failure.NOT_EXECUTABLE,
                hint="the container has no room for another process; see its limits of processes and memory",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(hurry=error is not None)

    def started(self) -> None:
        """Leave the ends to the script, whose end then is the end of the pipes."""
        self._close_ends()

    def finish(self, *, hurry: bool = False) -> None:
        """Wait until everything has been passed on: for as long as something moves, and then a while.

        What processes that could not be ended still write is not waited for.
        """
        self._close_ends()
        wake, self._wake = self._wake, None
        if wake is None:
            return
        os.eventfd_write(wake, 1)
        before = self._moved()
        while not self._drained.acquire(timeout=_HURRIED if hurry else _PATIENCE):
            if before == self._moved():
                log.warning("the script's last output is lost: nobody takes it")
                return  # the thread still uses its descriptors
            before = self._moved()
        os.close(wake)

    def _drain(self, wake: int) -> None:
        poll = select.poll()
        streams = {stream.pipe: stream for stream in self._streams}
        for number in (*streams, wake):
            poll.register(number, select.POLLIN)
        while streams:
            for number, _ in poll.poll(_until_due(streams.values())):
                if number == wake:
                    for stream in streams.values():
                        stream.empty()
                    streams.clear()
                elif number in streams and streams[number].move() == 0:
                    streams.pop(number).flush()
                    poll.unregister(number)
            for stream in streams.values():
                if stream.due() == 0:
                    stream.flush()
        self._close_pipes()

    def _moved(self) -> int:
        return sum(stream.moved for stream in self._streams)

    def _close_ends(self) -> None:
        while self._ends:
            os.close(self._ends.pop())

    def _close_pipes(self) -> None:
        for stream in self._streams:
            os.close(stream.pipe)


class _Threads:
    """Threads that have emptied the pipes of a script, and wait a while for those of another."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[SimpleQueue[_Work]] = []


_threads: Final = _Threads()


def _in_a_thread(act: Callable[[], None]) -> threading.Lock:
    """Let a thread do `act`, and return a lock that can be had when it is done.

    Raises:
        RuntimeError: There is no room for a thread.
    """
    done = threading.Lock()
    done.acquire()
    with _threads.lock:
        queue = _threads.waiting.pop() if _threads.waiting else None
    if queue is None:
        queue = SimpleQueue()
        # A daemon, since a sink that never returns must not keep the process.
        threading.Thread(target=_work, args=(queue,), name="script-output", daemon=True).start()
    queue.put((act, done))
    return done


def _work(queue: SimpleQueue[_Work]) -> None:
    """Do what comes through `queue`, until nothing has come for a while."""
    while True:
        try:
            act, done = queue.get(timeout=_IDLE)
        except Empty:
            with _threads.lock:
                if queue not in _threads.waiting:
                    continue  # something comes just now
                _threads.waiting.remove(queue)
            return
        try:
            act()
            with _threads.lock:
                _threads.waiting.append(queue)
        finally:
            del act  # and with it the sinks
            done.release()


def _until_due(streams: Iterable[_Stream]) -> float | None:
    """Return the milliseconds until something that is held has to go, or None."""
    left = [due for stream in streams if (due := stream.due()) is not None]
    return 1000 * min(left) if left else None


def _enlarge(pipe: int) -> None:
    with contextlib.suppress(OSError):  # the user has many such pipes already; smaller ones do
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
