"""Watches over the limits that neither the kernel nor a cgroup keeps for us."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Final

from faas_supervisor.script._exceeded import exceeded, killed_by_kernel
from faas_supervisor.script._guard import largest
from faas_supervisor.script._pace import Growth, Pace
from faas_supervisor.script._processes import Members, anonymous, open_files, proportional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faas_supervisor.config import Limits
    from faas_supervisor.errors import LimitExceeded, SupervisorError
    from faas_supervisor.script._processes import Process

__all__ = ["GroupWatch", "KernelWatch", "OutputWatch", "TimeWatch"]

_FOREVER: Final = 3600.0


class TimeWatch:
    """Ends the script when its time is up."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        self._begun = time.monotonic()

    def started(self, pid: int) -> None:  # noqa: ARG002  # the clock is all it needs
        """Begin to count."""
        self._begun = time.monotonic()

    def look(self) -> float | SupervisorError:
        """Return the seconds that are left, or the error that ends the script."""
        spent = time.monotonic() - self._begun
        return self._seconds - spent if spent < self._seconds else exceeded("time", spent, self._seconds)


# What a script may grow by before the next look: memory is written by some 2 GiB a second where a single page is
# given out at a time; the container's guard takes care of what is faster.
_GROWTH: Final = 2 << 30


class GroupWatch:
    """Adds up what the processes of the script use, from `/proc`, and ends it when that is too much.

    Attributes:
        peak: The most bytes that they were seen to hold together.
        files: The most files that one of them was seen to have open.
    """

    def __init__(self, limits: Limits, kept: frozenset[str]) -> None:
        """Watch over `limits`, but for those that something else has `kept`."""
        self._cpu_time: Final = limits.cpu_time
        self._memory: Final = None if "memory" in kept else limits.memory
        self._processes: Final = None if "processes" in kept else limits.processes
        self._open_files: Final = limits.open_files
        tight = (self._cpu_time, self._memory, self._processes, self._open_files) != (None, None, None, None)
        # Without a limit it is only about the peak, and the kernel tells that of a script that is done at once.
        self._wait = 0.0 if tight else 0.2
        self._pace: Final = Pace(shortest=0.005, longest=1.0) if tight else Pace(shortest=0.2, longest=5.0, share=0.001)
        self._cpu = 0.0
        self._cpu_before = 0.0
        self._members = Members(0)
        self._used = 0
        self._growth: Final = Growth()
        self.peak = 0
        self.files = 0

    def started(self, pid: int) -> None:
        """Note which script it is about; a warm one has used CPU time before."""
        self._members = Members(pid)
        if self._cpu_time is not None:
            self._cpu_before = sum(process.cpu for process in self._members.now())

    def look(self) -> float | SupervisorError:
        """Return when to look again, or the error that ends the script."""
        if self._wait:
            wait, self._wait = self._wait, 0.0
            return wait
        with self._pace.counted():
            processes = self._members.now()
            found = self._over(processes)
        if not isinstance(found, float):
            return found
        memory = self._memory
        return self._pace.wait(found, math.inf if memory is None else self._growth.urgent(self._used, memory))

    def _over(self, processes: list[Process]) -> float | SupervisorError:
        """Return the error that is due, or for how long none can be."""
        wait = _FOREVER
        used = self._memory_of(processes)
        self._used = used
        self.peak = max(self.peak, used)
        if self._memory is not None:
            if used > self._memory:
                return exceeded("memory", used, self._memory, detail=largest(processes))
            wait = min(wait, (self._memory - used) / _GROWTH)
        if self._processes is not None:
            count = sum(process.threads for process in processes)
            if count > self._processes:
                return exceeded("processes", count, self._processes)
            wait = min(wait, 0.05)
        if self._cpu_time is not None:
            # A process that ended without its parent's notice takes its time with it, so the sum may shrink.
            self._cpu = max(self._cpu, sum(process.cpu for process in processes) - self._cpu_before)
            if self._cpu >= self._cpu_time:
                return exceeded("cpu_time", self._cpu, self._cpu_time)
            wait = min(wait, (self._cpu_time - self._cpu) / (os.cpu_count() or 1))
        if self._open_files is not None:
            self.files = max(self.files, open_files(processes))
            wait = min(wait, 0.1)
        return wait

    def _memory_of(self, processes: list[Process]) -> int:
        """Return the bytes that they use together: as cheaply as it can be told apart from the limit.

        The resident sizes are never too small, but count files that are mapped and what is shared. Where that is too
        much, those without files are asked for, and where that is, too, what is shared is divided.
        """
        used = sum(process.resident for process in processes)
        for measure in (anonymous, proportional):
            if self._memory is None or used <= self._memory:
                break
            used = measure(processes)
        return used


class KernelWatch:
    """Ends the script when the kernel has killed one of its processes to keep the memory limit of its cgroup."""

    def __init__(self, kills: Callable[[], int], maximum: int) -> None:
        self._kills: Final = kills
        self._maximum: Final = maximum
        self._pace: Final = Pace(shortest=0.05, longest=0.1)

    def started(self, pid: int) -> None:
        """Nothing to note: the group has only the script."""

    def look(self) -> float | SupervisorError:
        """Return when to look again, or the error that ends the script."""
        with self._pace.counted():
            killed = self._kills()
        return killed_by_kernel(self._maximum) if killed else self._pace.wait(_FOREVER)


# Files that one look takes on, so that a folder of millions keeps nobody waiting.
_FILES_A_LOOK: Final = 500


class OutputWatch:
    """Ends the script when the files in its output folder are too large together.

    The folder is gone through a piece at a time; files that change meanwhile are counted in the next round.
    """

    def __init__(self, folder: Path, maximum: int) -> None:
        self._folder: Final = folder
        self._maximum: Final = maximum
        self._pace: Final = Pace(shortest=0.1, longest=1.0)
        self._sizes = _sizes(folder)
        self._sum = 0

    def started(self, pid: int) -> None:
        """Nothing to note: whoever writes there, it counts."""

    def look(self) -> float | SupervisorError:
        """Return when to look again, or the error that ends the script."""
        with self._pace.counted():
            taken = 0
            for size in self._sizes:
                self._sum += size
                taken += 1
                if taken == _FILES_A_LOOK:
                    break
        if self._sum > self._maximum:
            return exceeded("output_size", self._sum, self._maximum)
        if taken < _FILES_A_LOOK:
            self._sizes, self._sum = _sizes(self._folder), 0
            return self._pace.wait(0.25)
        return self._pace.wait(0.0)

    def whole(self) -> LimitExceeded | None:
        """Go through the whole folder, and return the error that is due now that the script has ended."""
        total = sum(_sizes(self._folder))
        return exceeded("output_size", total, self._maximum) if total > self._maximum else None


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the size of each file below `folder`; links lead nowhere, and what vanishes meanwhile has no size."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            yield entry.stat(follow_symlinks=False).st_size
                    except OSError:  # it is gone
                        continue
        except OSError:  # likewise, or it can't be read, and then it can't be uploaded either
            continue
