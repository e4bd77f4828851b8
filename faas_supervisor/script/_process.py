"""Runs the script: starts it, drains its output while it runs, and tells how it ended.

The process is what we wait for. Its pipes may outlive it, held by a background process, so they are
drained while it runs and emptied once more when it has ended, and never waited for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Final, Protocol

from faas_supervisor.errors import Failure, ScriptError
from faas_supervisor.logs import log
from faas_supervisor.values import value

if TYPE_CHECKING:
    import resource
    from collections.abc import Mapping, Sequence

__all__ = ["Outcome", "Sink", "run"]

_PIECE: Final = 64 * 1024

# A kernel without pidfd_open (before 5.3, or a seccomp filter that hides it) is asked this often instead.
_POLL_MS: Final = 50

# /proc/sys/fs/pipe-max-size as kernels ship it.
_LARGEST_PIPE: Final = 1024 * 1024


class Sink(Protocol):
    """Takes what the script writes, piece by piece."""

    def write(self, data: bytes, /) -> object:
        """Take `data`; must not fail, since nobody else drains the pipe."""


@value
class Outcome:
    """How the script ended.

    Attributes:
        status: Its exit status; 128 + n when signal n ended it.
        signal: That signal, or None.
        wall: Seconds.
        user: CPU seconds in user mode, of the script and the children it waited for.
        system: CPU seconds in the kernel, likewise.
        peak_memory: The largest resident size of any of these processes, in bytes.
        voluntary_switches: How often they gave up the processor to wait for something.
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


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: Sink,
    stderr: Sink,
    grace: float = 10.0,
) -> Outcome:
    """Run `argv` to its end in a session of its own, its output going to the sinks as it comes.

    What is left of its process group at the end is killed. When an exception (a signal handler's) breaks
    the wait, the group gets SIGTERM, up to `grace` seconds, then SIGKILL, and the exception goes on.

    Raises:
        ScriptError: It can't be started.
    """
    begun = time.monotonic()
    child = _Child(argv, environment, stdout, stderr)
    try:
        child.drain_until_exit()
    except BaseException:
        child.terminate(grace)
        raise
    finally:
        status, usage = child.reap()
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    return Outcome(
        status=128 + ended_by if ended_by is not None else os.WEXITSTATUS(status),
        signal=ended_by,
        wall=time.monotonic() - begun,
        user=usage.ru_utime,
        system=usage.ru_stime,
        peak_memory=usage.ru_maxrss * 1024,  # Linux counts it in KiB
        voluntary_switches=usage.ru_nvcsw,
        involuntary_switches=usage.ru_nivcsw,
    )


class _Child:
    """The running script: its process group, its two pipes, and a handle that tells when it ends."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], stdout: Sink, stderr: Sink) -> None:
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self._sinks = {out: stdout, err: stderr}
        try:
            self._pid = _spawn(argv, environment, out_end, err_end)
        except BaseException:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(out_end)
            os.close(err_end)
        self._poll = select.poll()
        for pipe in self._sinks:
            os.set_blocking(pipe, False)
            self._poll.register(pipe, select.POLLIN)
        self._handle = _pidfd(self._pid)
        if self._handle is not None:
            self._poll.register(self._handle, select.POLLIN)

    def drain_until_exit(self, timeout: float | None = None) -> bool:
        """Pass output on until the process has ended (True), or `timeout` seconds have passed (False)."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._ended():
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return False
            wait = _POLL_MS if self._handle is None or left is not None else None
            for pipe, _ in self._poll.poll(wait):
                if pipe in self._sinks and self._pass_on(pipe) == 0:
                    self._poll.unregister(pipe)
        for pipe in self._sinks:
            # What it wrote before it ended is in the pipe; what a background process still writes is
            # endless, so at most a pipe full is taken.
            taken = 0
            while taken < _LARGEST_PIPE and (size := self._pass_on(pipe)):
                taken += size
        return True

    def terminate(self, grace: float) -> None:
        """Ask the group to end, and leave it `grace` seconds for it."""
        self._signal(signal.SIGTERM)
        self.drain_until_exit(grace)

    def reap(self) -> tuple[int, resource.struct_rusage]:
        """Kill what is left of the group, free everything, and return the exit status and the usage."""
        # The process is not reaped yet, so its number, which names the group, can't be another's.
        self._signal(signal.SIGKILL)
        _, status, usage = os.wait4(self._pid, 0)
        for handle in (*self._sinks, self._handle):
            if handle is not None:
                os.close(handle)
        return status, usage

    def _ended(self) -> bool:
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _pass_on(self, pipe: int) -> int | None:
        """Move what is in the pipe, and return how much: 0 at its end, None when there is nothing yet."""
        try:
            data = os.read(pipe, _PIECE)
        except BlockingIOError:
            return None
        if data:
            self._sinks[pipe].write(data)
        return len(data)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or a set-uid program of the image
            os.killpg(self._pid, number)


def _spawn(argv: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int) -> int:
    try:
        return os.posix_spawn(
            argv[0],
            list(argv),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, stdout, 1),
                (os.POSIX_SPAWN_DUP2, stderr, 2),
                *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable()),
            ],
            setsid=True,
            setsigmask=(),
            # Python ignores SIGPIPE and SIGXFSZ, and ignored signals are inherited: `yes | head` would never end.
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    except OSError as error:
        missing = error.errno == errno.ENOENT
        hint = "the environment is too large for the system" if error.errno == errno.E2BIG else ""
        raise ScriptError(
            f"{argv[0]} can't be started: {error.strerror}",
            failure=Failure.INTERPRETER_MISSING if missing else Failure.NOT_EXECUTABLE,
            hint=hint,
        ) from error


def _inheritable() -> list[int]:
    """Return the open descriptors that are not the script's business: what we were started with, and libraries left."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  # names are all we want
    except OSError:  # no /proc; Python's own descriptors aren't inherited anyway
        return []
    found = []
    for number in numbers:
        with contextlib.suppress(OSError):  # that of the listing is closed by now
            if number > 2 and os.get_inheritable(number):  # noqa: PLR2004  # standard error
                found.append(number)
    return found


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        log.debug("no process handle (%s); the script is asked every %d ms", error, _POLL_MS)
        return None
