"""Starts a process by a fork of this one, which then does what the program `starter` does elsewhere; see `_start`."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import warnings
from functools import cache
from typing import TYPE_CHECKING, Final, NoReturn

from faas_supervisor.script._start import INT, STATUS, inheritable, signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faas_supervisor.script._start import Setup

__all__ = ["become_subreaper", "fork"]

# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def fork(argv: Sequence[str], environment: Mapping[str, str], given: Mapping[int, int], setup: Setup) -> int:
    """Start `argv`, `given` descriptors of ours by the numbers that they get there; return its process number."""
    child = _Child(argv, environment, given, setup)
    # A signal that came right after the fork would be taken for one of this process, and handled there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals())
    try:
        # The child does what is listed in `_Child` and nothing else, so no lock of another thread concerns it.
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning, module=__name__)
        pid = os.fork()
        if pid == 0:
            child.run()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


class _Child:
    """What a forked child does; everything that can be made ready is, before the fork."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], given: Mapping[int, int], setup: Setup
    ) -> None:
        self._argv = list(argv)
        self._environment = dict(environment)
        self._status = given[STATUS]
        self._given = {number: ours for number, ours in given.items() if number != STATUS}
        self._setup = setup
        self._parent = os.getpid()
        self._prctl = _prctl()
        self._signals = signals()
        self._inheritable = [number for number in inheritable() if number not in given]
        if setup.rlimits:
            import resource  # noqa: F401, PLC0415  # so that the child finds it loaded

    def run(self) -> NoReturn:
        try:
            self._run()
        finally:
            os._exit(127)  # nothing may come back from here: there would be two of us

    def _run(self) -> None:
        step = 0
        try:
            for act in (self._arrange, self._cgroup, self._oom, self._nice, self._limit, self._exec):
                act()
                step += 1
        except OSError as error:
            number = error.errno or errno.EINVAL
        except (ValueError, OverflowError):
            number = errno.EINVAL
        else:
            number = errno.ENOEXEC
        told = b"".join(part.to_bytes(INT, sys.byteorder) for part in (step, number))
        os.write(self._status, told)

    def _arrange(self) -> None:
        os.setsid()
        if self._prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if os.getppid() != self._parent:  # it died before we asked; then no signal comes any more
            os.kill(os.getpid(), signal.SIGKILL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for number, ours in self._given.items():
            os.dup2(ours, number)
        for number in self._inheritable:
            with contextlib.suppress(OSError):
                os.close(number)
        for one in self._signals:
            signal.signal(one, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _cgroup(self) -> None:
        for file in self._setup.cgroup:
            _put(str(file), b"0")  # the writing process

    def _oom(self) -> None:
        if self._setup.oom_score_adj is not None:
            _put("/proc/self/oom_score_adj", str(self._setup.oom_score_adj).encode())

    def _nice(self) -> None:
        if self._setup.nice:
            os.nice(self._setup.nice)

    def _limit(self) -> None:
        if self._setup.rlimits:
            import resource  # noqa: PLC0415  # see above

            for number, soft in self._setup.rlimits.items():
                _, hard = resource.getrlimit(number)
                capped = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
                resource.setrlimit(number, (capped, hard))

    def _exec(self) -> None:
        os.execve(self._argv[0], self._argv, self._environment)  # noqa: S606  # what this is for


def _put(file: str, text: bytes) -> None:
    handle = os.open(file, os.O_WRONLY)
    os.write(handle, text)
    os.close(handle)


def become_subreaper() -> None:
    """Become the new parent of those below us that lose theirs."""
    _prctl()(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@cache
def _prctl() -> Callable[..., int]:
    import ctypes  # noqa: PLC0415  # slow, and only for a start

    call: Callable[..., int] = ctypes.CDLL(None).prctl
    return call
