"""One run of a warm script: the request is written, output passed on, the answer read; nothing waits for ever."""

from __future__ import annotations

import json
import os
import select
import time
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.errors import Failure, ScriptError, SupervisorError, printable
from faas_supervisor.logs import log
from faas_supervisor.script._keeper import read_ready
from faas_supervisor.script._process import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faas_supervisor.script._keeper import Keeper
    from faas_supervisor.script._output import Sink
    from faas_supervisor.script._process import Watch
    from faas_supervisor.stop import Stop

__all__ = ["Exchange"]

_LONGEST_REPLY: Final = 64 * 1024
# How long a script that ends may take from closing its descriptors to being buried.
_PATIENCE: Final = 2.0

_HIGHEST_STATUS: Final = 255

# What a background process writes is endless; of what the script wrote before its answer a pipe has at most this.
_PIPE: Final = 1024 * 1024

_HINT: Final = (
    """answer each line of input with {"status": 0} on the descriptor $WARM_REPLY_FD, and with nothing else"""
)


class Exchange:
    """A run in a warm script that waits for one.

    Args:
        fresh: The script was started for this run, so that all it wrote is part of it, and `keeper.busy` is held.

    Attributes:
        answered: Whether the script has answered, properly.
    """

    def __init__(
        self, keeper: Keeper, request: Mapping[str, object], stdout: Sink, stderr: Sink, *, fresh: bool
    ) -> None:
        self.answered = False
        self._fresh: Final = fresh
        self._keeper: Final = keeper
        self._sinks: Final = {keeper.stdout: _Guarded(stdout), keeper.stderr: _Guarded(stderr)}
        self._request = memoryview(json.dumps(request).encode("ascii") + b"\n")
        self._reply = b""
        self._poll: Final = select.poll()

    def run(self, stop: Stop, watches: Sequence[Watch]) -> Outcome:
        """Return how it went. Raises as `WarmScripts.run`; unless it returns after an answer, the script is ended."""
        if not self._fresh:
            self._keeper.busy.acquire()
        try:
            return self._run(stop, watches)
        finally:
            self._keeper.busy.release()

    def _run(self, stop: Stop, watches: Sequence[Watch]) -> Outcome:
        begun, before = time.monotonic(), _usage(self._keeper.pid)
        if not self._fresh:
            self._forget_what_came_between()
        for watch in watches:
            watch.started(self._keeper.pid)
        try:
            answer = self._until_answered(stop, watches)
        except SupervisorError as error:
            error.outcome = self._keeper.end(error)
            self._pass_on_rest()
            raise
        self._pass_on_rest()
        if answer is None:
            return self._ended()
        self.answered = True
        if len(self._reply) > 0:
            # Whatever it is about, the next answer would be taken for one that it is not.
            log.warning("the warm script said more than one line, and is ended: %s", _HINT)
            self._keeper.end(ScriptError("it said more than one line", failure=Failure.SCRIPT))
        user, system, peak = _usage(self._keeper.pid)
        return Outcome(answer, None, time.monotonic() - begun, user - before[0], system - before[1], peak)

    def _until_answered(self, stop: Stop, watches: Sequence[Watch]) -> int | None:
        """Return the status that the script answers, or None when it has ended instead.

        Raises:
            SupervisorError: It has to end.
        """
        keeper, due = self._keeper, dict.fromkeys(watches, 0.0)
        for number in (*self._sinks, keeper.replies, keeper.ended, stop.fileno()):
            self._poll.register(number, select.POLLIN)
        self._poll.register(keeper.requests, select.POLLOUT)
        while True:
            now = time.monotonic()
            for watch in [watch for watch, at in due.items() if at <= now]:
                found = watch.look()
                if isinstance(found, SupervisorError):
                    raise found
                due[watch] = now + found
            wait = None if not due else max(0.0, 1000 * (min(due.values()) - time.monotonic()))
            ready = {number for number, _ in self._poll.poll(wait)}
            if stop.is_set():
                raise stop.error()
            for number in ready & self._sinks.keys():
                self._pass_on(number)
            if keeper.requests in ready:
                self._send()
            if {keeper.replies, keeper.ended} & ready:
                answer = self._answer()
                if answer is not None or keeper.has_ended(0.0):
                    return answer

    def _send(self) -> None:
        """Write as much of the request as the pipe takes."""
        try:
            self._request = self._request[os.write(self._keeper.requests, self._request) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it has ended, or reads no more; either will be told
            self._request = self._request[:0]
        if not self._request:
            self._poll.unregister(self._keeper.requests)

    def _answer(self) -> int | None:
        """Return the status that the script answers, as soon as its line is complete.

        Raises:
            ScriptError: It answered something else.
        """
        data = read_ready(self._keeper.replies)
        if data == b"" and not self._keeper.has_ended(_PATIENCE):
            raise ScriptError("the warm script closed $WARM_REPLY_FD", failure=Failure.SCRIPT, hint=_HINT)
        self._reply += data or b""
        line, complete, rest = self._reply.partition(b"\n")
        if not complete and len(line) <= _LONGEST_REPLY:
            return None
        self._reply = rest
        return _status(line)

    def _ended(self) -> Outcome:
        """Return how the script ended instead of an answer."""
        outcome = self._keeper.outcome()
        if outcome is None or not outcome.status:
            error = ScriptError("the warm script ended without an answer", failure=Failure.SCRIPT, hint=_HINT)
            error.outcome = outcome
            raise error
        return outcome

    def _forget_what_came_between(self) -> None:
        """Show in the log what the script wrote since the last run: else one client got what was for another."""
        self._keeper.tell()
        if read_ready(self._keeper.replies):
            log.warning("the warm script answered when nothing was asked: %s", _HINT)

    def _pass_on_rest(self) -> None:
        for number, sink in self._sinks.items():
            self._drain(number, sink)

    def _drain(self, number: int, sink: _Guarded) -> None:
        taken = 0
        while taken < _PIPE and (data := read_ready(number)):
            sink.write(data)
            taken += len(data)

    def _pass_on(self, number: int) -> None:
        data = read_ready(number)
        if data:
            self._sinks[number].write(data)
        elif data == b"":
            self._poll.unregister(number)


class _Guarded:
    """A sink that may fail: the script's pipe is drained all the same."""

    def __init__(self, sink: Sink) -> None:
        self._sink: Sink | None = sink

    def write(self, data: bytes) -> None:
        """Pass `data` on."""
        if self._sink is not None:
            try:
                self._sink.write(data)
            except Exception as error:  # noqa: BLE001  # the border to whoever takes it
                self._sink = None
                log.warning("the script's output is lost from here on: %s: %s", type(error).__name__, error)


def _status(line: bytes) -> int:
    try:
        document: Any = json.loads(line)
        status = document["status"]
    except (ValueError, RecursionError, TypeError, KeyError):
        status = None
    if type(status) is not int or not 0 <= status <= _HIGHEST_STATUS:  # True is an int, too
        shown = printable(line[:80].decode("utf-8", "backslashreplace"))
        raise ScriptError(f"the warm script's answer is no status: {shown}", failure=Failure.SCRIPT, hint=_HINT)
    return status


def _usage(pid: int) -> tuple[float, float, int]:
    """Return the CPU seconds in user mode and in the kernel, and the peak of memory in bytes, of a process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123  # for every run
            fields = stream.read().rpartition(b")")[2].split()
        with open(f"/proc/{pid}/status", "rb") as stream:  # noqa: PTH123  # likewise
            peak = stream.read().partition(b"VmHWM:")[2].split(None, 1)
        ticks = os.sysconf("SC_CLK_TCK")
        # proc_pid_stat(5): utime and stime with the state as the first; proc_pid_status(5): KiB.
        return int(fields[11]) / ticks, int(fields[12]) / ticks, 1024 * int(peak[0])
    except (OSError, IndexError, ValueError):
        return 0.0, 0.0, 0
