"""Runs the script: starts it, passes its output on while it runs, ends all that comes from it, and tells how it ended.

Three parts: `_start` makes the process what it has to be, `_output` takes what it writes, `_family` knows who
descends from it. What is left for here is the order of things, and what may end the script before its time.
"""

from __future__ import annotations

import os
import select
import signal
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from faas_supervisor.errors import Failure, ScriptError, SupervisorError
from faas_supervisor.logs import log
from faas_supervisor.script._family import Family
from faas_supervisor.script._output import Output
from faas_supervisor.script._start import Setup, adopt_orphans, start
from faas_supervisor.values import value

if TYPE_CHECKING:
    import resource
    from collections.abc import Mapping, Sequence

    from faas_supervisor.script._output import Sink
    from faas_supervisor.stop import Stop

__all__ = ["Outcome", "Run", "Watch", "run"]

# A kernel without pidfd_open (before 5.3, or a seccomp filter that hides it) is asked this often instead.
_POLL: Final = 0.05

# How often those who lost their parent, and then died, are buried while the script runs.
_TICK: Final = 1.0

# How long what was killed may take to be gone: a process in the middle of a disk's or a network's answer isn't at once.
_KILLED: Final = 10.0


@value
class Outcome:
    """How the script ended.

    Attributes:
        status: Its exit status; 128 + n when signal n ended it.
        signal: That signal, or None.
        wall: Seconds.
        user: CPU seconds in user mode, of the script and of its descendants that were waited for.
        system: CPU seconds in the kernel, likewise.
        peak_memory: The largest resident size of the script, or of a child that it waited for, in bytes.
        voluntary_switches: How often these gave up the processor to wait for something.
        involuntary_switches: How often it was taken from them.
        group_memory: The most that all of them held at a time, in bytes; None where nobody watched.
    """

    status: int
    signal: int | None
    wall: float
    user: float
    system: float
    peak_memory: int
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    group_memory: int | None = None


class Watch(Protocol):
    """Looks after the script while it runs, and may end it: a limit, the memory guard."""

    def started(self, pid: int, /) -> None:
        """Take note of the script's process, which leads its group and session."""

    def look(self) -> float | SupervisorError:
        """Return in how many seconds to be asked again, or why the script has to end.

        An error with a true attribute `at_once` leaves the script no time for it.
        """


class Run(Protocol):
    """Runs a script: `run`, which starts it, or a warm script that has been started."""

    def __call__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdout: Sink,
        stderr: Sink,
        stop: Stop,
        setup: Setup = ...,
        watches: Sequence[Watch] = ...,
        grace: float = ...,
    ) -> Outcome:
        """See `run`."""


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: Sink,
    stderr: Sink,
    stop: Stop,
    stdin: int | None = None,
    setup: Setup = Setup(),  # noqa: B008  # a constant
    watches: Sequence[Watch] = (),
    grace: float = 10.0,
    streams: Mapping[int, int] = MappingProxyType({}),  # a constant
) -> Outcome:
    """Run `argv` to its end in a session of its own, its output going to the sinks as it comes.

    # Behavior
    - It reads from the descriptor `stdin`, or there is nothing to read. Two sinks that are one get what it writes in
      the order of writing.
    - Called from any thread, several at a time; the thread has to stay, since the script dies with it.
    - Once `stop` is set, or a watch says so, the script's group gets a signal: the one that `stop` is about, else
      SIGTERM. After `grace` seconds whoever is left gets SIGKILL.
    - `streams` are descriptors of ours, above 9, that it gets by their numbers, instead of its usual ones.
    - Whatever way it ends, its descendants end with it: SIGTERM, up to `grace` seconds, SIGKILL.

    Raises:
        ScriptError: It can't be started.
        SupervisorError: What `stop` or a watch gave as the reason; its attribute `outcome` tells how the script ended.
    """
    if stop.is_set():
        raise stop.error()
    adopt_orphans()
    begun = time.monotonic()
    family = Family(environment, setup.cgroup)
    try:
        with Output(stdout, stderr) as output:
            given = {**({} if stdin is None else {0: stdin}), 1: output.stdout, 2: output.stderr, **streams}
            pid = start(argv, environment, given, setup)
            family.led_by(pid)
            output.started()
            error, buried = _Leader(pid, family).supervise(stop, watches, grace)
            output.finish(hurry=error is not None)
    finally:
        family.leave()
    if buried is None:
        log.error("process %d of the script hangs in the kernel, and is left behind", pid)
        raise error or ScriptError("the script can't be ended", failure=Failure.SCRIPT)
    status, usage = buried
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    outcome = Outcome(
        status=128 + ended_by if ended_by is not None else os.WEXITSTATUS(status),
        signal=ended_by,
        wall=time.monotonic() - begun,
        user=usage.ru_utime + family.user,
        system=usage.ru_stime + family.system,
        peak_memory=usage.ru_maxrss * 1024,  # Linux counts it in KiB
        voluntary_switches=usage.ru_nvcsw,
        involuntary_switches=usage.ru_nivcsw,
    )
    if error is not None:
        error.outcome = outcome
        raise error
    return outcome


class _Leader:
    """The script's own process, from its start until it is buried."""

    def __init__(self, pid: int, family: Family) -> None:
        self._pid = pid
        self._family = family
        self._handle = _pidfd(pid)

    def supervise(
        self, stop: Stop, watches: Sequence[Watch], grace: float
    ) -> tuple[SupervisorError | None, tuple[int, resource.struct_rusage] | None]:
        """Wait for the script's end, bring it about where it has to be, and bury it.

        Returns why it was ended, and its status as `wait4` tells it with what it used; None for these if not even
        SIGKILL could end it.
        """
        gone = False
        try:
            error = self._wait(stop, watches)
            number = signal.SIGTERM if error is None else error.signal or signal.SIGTERM
            gone = self._end(number, 0.0 if getattr(error, "at_once", False) else grace)
        finally:
            if not gone:  # also when something unforeseen broke the wait
                self._kill()
            if self._handle is not None:
                os.close(self._handle)
            buried = self._family.bury_leader()
        return error, buried

    def _wait(self, stop: Stop, watches: Sequence[Watch]) -> SupervisorError | None:
        """Wait until the script has ended, and return None, or until it has to, and return why."""
        for watch in watches:
            watch.started(self._pid)
        due = dict.fromkeys(watches, 0.0)
        bury = time.monotonic() + _TICK
        while not self._has_ended():
            if stop.is_set():
                return stop.error()
            now = time.monotonic()
            for watch, at in due.items():
                if at <= now:
                    answer = watch.look()
                    if isinstance(answer, SupervisorError):
                        return answer
                    due[watch] = now + answer
            if bury <= now:
                self._family.descendants()
                bury = now + _TICK
            self._sleep(min(bury, *due.values()) - time.monotonic() if due else bury - time.monotonic(), stop)
        return None

    def _end(self, number: int, grace: float) -> bool:
        """Ask the script, and everyone who comes from it, to end, and leave them `grace` seconds for it.

        Returns whether all are known to have ended on their own.
        """
        running = not self._has_ended()
        if running:
            self._family.signal(number)
        if not self._family.descendants() and not running:
            return self._family.is_seen
        if not running:
            self._family.signal(number)
        self._family.signal_others(number)
        until = time.monotonic() + grace
        if self._has_ended_within(grace):
            self._family.ended(until)
        return False

    def _kill(self) -> None:
        """Kill everyone who comes from the script, and bury those who became our children."""
        if not self._family.kill(time.monotonic() + _KILLED):
            log.warning("processes of the script could not be ended")
        if self._has_ended_within(_KILLED):
            self._family.descendants()

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _has_ended_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not self._has_ended():
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._sleep(left)
        return True

    def _sleep(self, seconds: float, stop: Stop | None = None) -> None:
        """Wait at most so long; the script's end, or `stop`, ends it."""
        poll = select.poll()
        for handle in (self._handle, stop.fileno() if stop is not None else None):
            if handle is not None:
                poll.register(handle, select.POLLIN)
        if self._handle is None:
            seconds = min(seconds, _POLL)
        poll.poll(max(0.0, 1000 * seconds))


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        log.debug("no process handle (%s); the script is asked every %d ms", error, 1000 * _POLL)
        return None
