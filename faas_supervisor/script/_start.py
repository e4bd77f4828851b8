"""Starts a process that is set up between its start and the script's: session, streams, signals, limits, parent.

Two ways with one meaning. The frozen supervisor brings the program `starter` (packaging/starter.c), which needs
neither a copy of this process nor ctypes. Where there is none, a fork of this process does the same (`_fork`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import sys
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.errors import Failure, ScriptError
from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    _Begin: TypeAlias = Callable[[Sequence[str], Mapping[str, str], Mapping[int, int], "Setup"], int]

__all__ = ["INT", "STATUS", "STEPS", "Setup", "adopt_orphans", "inheritable", "signals", "start"]

# `enum step` of packaging/starter.c, in this order: what can fail, as a person is told.
STEPS: Final = (
    "it can't be tied to the supervisor",
    "it can't join its cgroup",
    "its oom_score_adj can't be set",
    "its nice value can't be set",
    "its limits can't be set",
    "",
)
_EXEC: Final = len(STEPS) - 1
INT: Final = 4
STATUS: Final = 3

# The container may be at its limit of processes for a moment only.
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)


@value
class Setup:
    """What the script's process is given before the script begins.

    Attributes:
        rlimits: Soft limits by resource (`resource.RLIMIT_*`); the hard limit stays, and caps them.
        nice: Added to our nice value.
        oom_score_adj: -1000 to 1000, what the kernel adds when it looks for somebody to kill; None leaves ours.
        cgroup: The `cgroup.procs` files of the groups that it joins.
    """

    rlimits: Mapping[int, int] = field(default_factory=dict)
    nice: int = 0
    oom_score_adj: int | None = None
    cgroup: tuple[Path, ...] = ()

    def options(self) -> Iterator[str]:
        """Yield the arguments that tell `starter` the same."""
        yield from (f"c{file}" for file in self.cgroup)
        if self.oom_score_adj is not None:
            yield f"o{self.oom_score_adj}"
        if self.nice:
            yield f"n{self.nice}"
        yield from (f"r{number}={soft}" for number, soft in self.rlimits.items())


def start(argv: Sequence[str], environment: Mapping[str, str], streams: Mapping[int, int], setup: Setup) -> int:
    """Start `argv` in a session of its own and return its process number.

    `streams` are descriptors of ours by the numbers that they get there; without 0 there is nothing to read. Those for
    other numbers than 0, 1, 2 must be above all of them.

    It gets SIGKILL when the thread that calls this ends: PR_SET_PDEATHSIG means the thread, not the process
    (prctl(2)). So whoever calls this has to stay, and wait for it.

    Raises:
        ScriptError: It can't be started.
    """
    begin = _way()
    told, status = os.pipe()
    if status <= max(streams):  # or what gets its number there would take its place
        spare, status = status, fcntl.fcntl(status, fcntl.F_DUPFD_CLOEXEC, 1 + max(streams))
        os.close(spare)
    try:
        try:
            pid = _patiently(lambda: begin(argv, environment, {**streams, STATUS: status}, setup))
        finally:
            os.close(status)
        failed = os.read(told, 2 * INT)
    except OSError as error:
        raise _refused(argv[0], _EXEC, error) from error
    finally:
        os.close(told)
    if failed:
        os.waitpid(pid, 0)
        step, number = (int.from_bytes(failed[at : at + INT], sys.byteorder) for at in (0, INT))
        cause = OSError(number, os.strerror(number))
        raise _refused(argv[0], step, cause) from cause
    return pid


def adopt_orphans() -> None:
    """Let descendants that lose their parent become children of this process (PR_SET_CHILD_SUBREAPER).

    The launcher of the frozen supervisor has done so.
    """
    if _starter() is None:
        from faas_supervisor.script._fork import become_subreaper  # noqa: PLC0415  # as in `_way`

        become_subreaper()


def _way() -> _Begin:
    """Return what starts a process."""
    starter = _starter()
    if starter is not None:
        return partial(_spawn, starter)
    from faas_supervisor.script._fork import fork  # noqa: PLC0415  # the frozen supervisor never needs it

    return fork


@cache
def _starter() -> str | None:
    folder = getattr(sys, "_MEIPASS", None)  # PyInstaller's: where the frozen program's parts are
    return None if folder is None else str(Path(folder) / "starter")


def _spawn(
    starter: str, argv: Sequence[str], environment: Mapping[str, str], given: Mapping[int, int], setup: Setup
) -> int:
    return os.posix_spawn(
        starter,
        [starter, str(os.getpid()), str(max(given)), *setup.options(), "--", *argv],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_DUP2, ours, number) for number, ours in given.items()),
            # The starter closes what is above all of them; there is nothing below but for a warm script.
            *((os.POSIX_SPAWN_CLOSE, number) for number in inheritable(below=max(given)) if number not in given),
        ],
        setsid=True,
        setsigmask=(),
        # Python ignores SIGPIPE and SIGXFSZ, and ignored signals are inherited: `yes | head` would never end.
        setsigdef=signals(),
    )


def _patiently(begin: Callable[[], int]) -> int:
    """Start a process, and try again for a second and a half where the system has no room for one."""
    for pause in _PAUSES:
        try:
            return begin()
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.ENOMEM}:
                raise
        time.sleep(pause)
    return begin()


def _refused(program: str, step: int, error: OSError) -> ScriptError:
    hint = ""
    if error.errno == errno.E2BIG:
        hint = "the environment is too large for the system"
    elif error.errno in {errno.EAGAIN, errno.ENOMEM}:
        hint = "the container has no room for another process; see its limits of processes and memory"
    what = f"{STEPS[step]}: " if STEPS[step] else ""
    missing = step == _EXEC and error.errno == errno.ENOENT
    return ScriptError(
        f"{program} can't be started: {what}{error.strerror}",
        failure=Failure.INTERPRETER_MISSING if missing else Failure.NOT_EXECUTABLE,
        hint=hint,
    )


@cache
def signals() -> frozenset[signal.Signals]:
    """Return the signals whose handling can be changed."""
    known: Any = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    return frozenset(known)


def inheritable(below: int = sys.maxsize) -> list[int]:
    """Return the open descriptors that are not the script's business: what we were started with, and libraries left."""
    if below <= STATUS:
        return []
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  # names are all we want
    except OSError:  # no /proc; Python's own descriptors aren't inherited anyway
        return []
    found = []
    for number in numbers:
        with contextlib.suppress(OSError):  # that of the listing is closed by now
            if 2 < number < below and os.get_inheritable(number):  # noqa: PLR2004  # standard error
                found.append(number)
    return found
