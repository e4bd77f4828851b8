"""Keeps the limits of one run, each by the best means that this container has.

A cgroup of our own where one can be made, else a limit of the process (setrlimit(2)), else a watch that reads `/proc`
and the container's cgroup. `docs/adr/0014-limits.md` says why which.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from typing import TYPE_CHECKING, Final

from faas_supervisor.cgroup import limited_memory, text_of
from faas_supervisor.errors import Failure, SupervisorError
from faas_supervisor.logs import log
from faas_supervisor.script._exceeded import exceeded, killed_by_kernel
from faas_supervisor.script._gauge import oom_kills
from faas_supervisor.script._guard import MemoryGuard
from faas_supervisor.script._process import run
from faas_supervisor.script._processes import can_be_read
from faas_supervisor.script._start import Setup
from faas_supervisor.script._subgroup import make
from faas_supervisor.script._watches import GroupWatch, KernelWatch, OutputWatch, TimeWatch
from faas_supervisor.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from faas_supervisor.config import Limits, Threshold
    from faas_supervisor.errors import LimitExceeded
    from faas_supervisor.script._output import Sink
    from faas_supervisor.script._process import Outcome, Run, Watch
    from faas_supervisor.stop import Stop

__all__ = ["Kept", "rlimits", "run_limited", "warm_setup"]

_SIGNALLED: Final = 128

# Of the thousandths of its memory that the kernel adds to what a process has, when it looks for one to kill: half of
# everything. So a script that is smaller than the supervisor goes first, but no pod of another class before its turn.
_OOM_SCORE: Final = 500
_HIGHEST_OOM_SCORE: Final = 1000

# Of /proc, for each: without it nothing can be added up.
_NEED_PROC: Final = ("memory", "processes", "cpu_time")

_told: Final[set[str]] = set()


class Kept:
    """The limits of one run: what the script is given, what watches over it, and what its end means.

    A `warm` script outlives the run. So it is in no cgroup of the run, and the kernel does not count its CPU time.
    """

    def __init__(
        self, limits: Limits, guard: Threshold, output: Path, resources: contextlib.ExitStack, *, warm: bool = False
    ) -> None:
        self._limits: Final = limits
        self._subgroup, refusals = make(limits._replace(memory=None, processes=None) if warm else limits)
        resources.callback(self._subgroup.close)
        self._output: Final = OutputWatch(output, limits.output_size) if limits.output_size is not None else None
        self._group: Final = GroupWatch(limits, frozenset(self._subgroup.limits))
        self._container: Final = limited_memory()
        self._kills_before: Final = self._container_kills()
        self._guard: Final = self._guarding(guard, resources)
        self.setup: Final = warm_setup(limits) if warm else _setup(limits, self._subgroup.members)
        for name, reason in refusals.items():
            log.debug("limits.%s is kept by looking at /proc: %s", name, reason)
        self._tell_what_is_not_kept()

    @property
    def watches(self) -> tuple[Watch, ...]:
        """What looks after the script while it runs; the most urgent first."""
        watches: list[Watch] = [] if self._guard is None else [self._guard]
        if "memory" in self._subgroup.limits:
            watches.append(KernelWatch(self._subgroup.kills, self._subgroup.limits["memory"]))
        if can_be_read():
            watches.append(self._group)
        if self._output is not None:
            watches.append(self._output)
        if self._limits.time is not None:
            watches.append(TimeWatch(self._limits.time))
        return tuple(watches)

    def completed(self, outcome: Outcome) -> Outcome:
        """Return the outcome with what was seen of the script's processes together."""
        peak = max(self._group.peak, self._subgroup.peak() or 0, outcome.peak_memory)
        return replace(outcome, group_memory=peak)

    def exceeded(self, outcome: Outcome) -> LimitExceeded | None:
        """Return the limit that explains how the script ended on its own, if one does."""
        error = self._explained(outcome)
        if error is None and self._output is not None and not outcome.status:
            return self._output.whole()
        if error is not None and not outcome.status:
            log.warning("%s, but the script went on, and succeeded", error.message)
            return None
        return error

    def _explained(self, outcome: Outcome) -> LimitExceeded | None:
        return self._killed(outcome) or self._signalled(outcome) or self._met()

    def _killed(self, outcome: Outcome) -> LimitExceeded | None:
        """Return the memory limit that the kernel has kept by killing."""
        if self._limits.memory is not None and self._subgroup.kills():
            return killed_by_kernel(self._limits.memory)
        if self._container is None or self._container_kills() <= self._kills_before:
            return None
        error = killed_by_kernel(self._container.limit)
        if not _ended_by(outcome, signal.SIGKILL):
            # It lost one of its processes, and knows better than we what that means.
            error.failure = Failure.SCRIPT
        return error

    def _signalled(self, outcome: Outcome) -> LimitExceeded | None:
        """Return the limit of the process whose signal has ended it."""
        limits = self._limits
        if limits.cpu_time is not None and _ended_by(outcome, signal.SIGXCPU):
            return exceeded("cpu_time", math.ceil(limits.cpu_time), limits.cpu_time)
        if limits.file_size is not None and _ended_by(outcome, signal.SIGXFSZ):
            return exceeded("file_size", limits.file_size, limits.file_size)
        return None

    def _met(self) -> LimitExceeded | None:
        """Return the limit that the script has met as an error of its own."""
        limits = self._limits
        if limits.processes is not None and self._subgroup.refused():
            return exceeded("processes", limits.processes, limits.processes)
        if limits.open_files is not None and self._group.files >= limits.open_files:
            return exceeded("open_files", self._group.files, limits.open_files)
        return None

    def _container_kills(self) -> int:
        found = self._container
        return oom_kills(found.own.version, found.own.folder) if found else 0

    def _guarding(self, guard: Threshold, resources: contextlib.ExitStack) -> MemoryGuard | None:
        threshold = guard.of(self._container.limit) if self._container else None
        if self._container is None or threshold is None:
            return None
        try:
            made = MemoryGuard(self._container, threshold)
        except OSError as error:
            _once(f"the memory of this container can't be guarded: {error.strerror}")
            return None
        resources.callback(made.close)
        return made

    def _tell_what_is_not_kept(self) -> None:
        if can_be_read():
            return
        for name in _NEED_PROC:
            if getattr(self._limits, name) is not None and name not in self._subgroup.limits:
                _once(f"limits.{name} can't be kept: there is neither a cgroup that can be written nor /proc")


def run_limited(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    limits: Limits,
    guard: Threshold,
    output: Path,
    stdout: Sink,
    stderr: Sink,
    stop: Stop,
    watches: Sequence[Watch] = (),
    grace: float = 10.0,
    by: Run = run,
) -> Outcome:
    """Run the script as `run` does, under limits.

    Args:
        argv: As `run` takes it, like what is not listed here.
        environment: The script's.
        limits: What this run may use.
        guard: How full the container may get.
        output: The folder that `output_size` is about.
        stdout: Takes what it writes there.
        stderr: Likewise.
        stop: Ends it.
        watches: What else looks after it.
        grace: Seconds between SIGTERM and SIGKILL.
        by: What runs it: `run`, or the warm scripts.

    Raises:
        LimitExceeded: The script was ended because of a limit, or ended for one; its attribute `outcome` tells how.
        SupervisorError: As `run`.
    """
    with contextlib.ExitStack() as resources:
        kept = Kept(limits, guard, output, resources, warm=by is not run)
        try:
            outcome = by(
                argv,
                environment,
                stdout=stdout,
                stderr=stderr,
                stop=stop,
                setup=kept.setup,
                watches=(*kept.watches, *watches),
                grace=grace,
            )
        except SupervisorError as error:
            if error.outcome is not None:
                error.outcome = kept.completed(error.outcome)
            raise
        outcome = kept.completed(outcome)
        reached = kept.exceeded(outcome)
        if reached is not None:
            reached.outcome = outcome
            raise reached
        return outcome


def warm_setup(limits: Limits) -> Setup:
    """Return what a warm script is given at its start, which is before any run: see `Kept`."""
    return _setup(limits._replace(cpu_time=None))


def _setup(limits: Limits, cgroup: tuple[Path, ...] = ()) -> Setup:
    return Setup(rlimits=rlimits(limits), nice=limits.nice or 0, oom_score_adj=_oom_score(), cgroup=cgroup)


def rlimits(limits: Limits) -> dict[int, int]:
    """Return the soft limits of the process that go with `limits`.

    There is none for `processes`: RLIMIT_NPROC counts those of the user, in all containers of the machine.
    None for `memory` either: RLIMIT_AS and RLIMIT_DATA are about addresses, which runtimes reserve without using them.
    """
    wanted = {
        "RLIMIT_CPU": ("cpu_time", limits.cpu_time),
        "RLIMIT_NOFILE": ("open_files", limits.open_files),
        "RLIMIT_FSIZE": ("file_size", limits.file_size),
        "RLIMIT_CORE": ("core", limits.core),
    }
    if all(value is None for _, value in wanted.values()):
        return {}
    import resource  # noqa: PLC0415  # only for who sets limits

    found = {}
    for constant, (name, value) in wanted.items():
        if value is not None:
            number = getattr(resource, constant)
            _, hard = resource.getrlimit(number)
            if hard not in {resource.RLIM_INFINITY, -1} and value > hard:
                _once(f"limits.{name} is {value:g}, but this container allows only {hard}")
            # RLIMIT_CPU is in whole seconds, and is about each process alone; the watch adds them up.
            found[number] = math.ceil(value)
    return found


def _oom_score() -> int | None:
    """Return the script's `oom_score_adj`, or None where ours can't be raised."""
    file = "/proc/self/oom_score_adj"
    try:
        own = int(text_of(file))
    except ValueError:
        return None
    if own >= _HIGHEST_OOM_SCORE or not os.access(file, os.W_OK):
        return None
    return min(_HIGHEST_OOM_SCORE, own + _OOM_SCORE)


def _ended_by(outcome: Outcome, number: int) -> bool:
    """Whether a signal ended the script, or a program that its shell ran: a shell exits with 128 + the signal."""
    return outcome.signal == number or outcome.status == _SIGNALLED + number


def _once(message: str) -> None:
    """Log a warning about this container, for the first run only."""
    if message not in _told:
        _told.add(message)
        log.warning("%s", message)
