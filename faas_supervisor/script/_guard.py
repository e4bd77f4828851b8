"""The memory guard: ends the script before the container is full and the kernel ends everyone.

Since Kubernetes 1.28 the kernel kills a whole container that is out of memory, supervisor, logs and outputs included
(`memory.oom.group`). `docs/adr/0015-memory-guard.md` says what is counted, and how the guard keeps up.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Final

from faas_supervisor.script._exceeded import amount_of, memory_exceeded
from faas_supervisor.script._gauge import Gauge
from faas_supervisor.script._pace import Growth, Pace
from faas_supervisor.script._processes import Members, proportional

if TYPE_CHECKING:
    from faas_supervisor.cgroup import LimitedMemory
    from faas_supervisor.errors import SupervisorError
    from faas_supervisor.script._processes import Process

__all__ = ["MemoryGuard", "largest"]

# What memory is written to at best, in bytes a second: huge pages, on several processors. Measured: see the ADR.
_FASTEST: Final = 8 << 30

_SHORTEST: Final = 0.001
_LONGEST: Final = 0.5

# Cache can vanish without our asking only where the kernel wants memory back; elsewhere a look now and then is enough.
_CACHE_SECONDS: Final = 1.0

# The kernel begins to take cache back when the group is full, and a little before that we have to know what is left.
_NEARLY_FULL: Final = 0.99


class MemoryGuard:
    """A watch over the memory of the container's group.

    Args:
        group: The group whose limit counts.
        threshold: Bytes in use, reclaimable cache not counted, at which the script is ended.

    Raises:
        OSError: The group can't be read.
    """

    def __init__(self, group: LimitedMemory, threshold: int) -> None:
        self._limit: Final = group.limit
        self._threshold: Final = threshold
        self._gauge: Final = Gauge(group.own.version, group.folder)
        self._pace: Final = Pace(shortest=_SHORTEST, longest=_LONGEST)
        self._growth: Final = Growth()
        self._cache = 0
        self._cache_read = 0.0
        self._script = 0

    def close(self) -> None:
        """Free what it holds."""
        self._gauge.close()

    @property
    def peak(self) -> int:
        """The most memory that the container has held, cache included."""
        return self._gauge.peak()

    def started(self, pid: int) -> None:
        """Note which script it is about."""
        self._script = pid

    def look(self) -> float | SupervisorError:
        """Return when to look again, or the error that ends the script."""
        with self._pace.counted():
            used = self._used()
        if used >= self._threshold:
            return self._ended(used)
        return self._pace.wait((self._threshold - used) / _FASTEST, self._growth.urgent(used, self._threshold))

    def _used(self) -> int:
        """Return the bytes that can't be taken back; what was cache a moment ago is asked for only where it matters."""
        current = self._gauge.current()
        if current < self._threshold / 2:
            return current
        old = time.monotonic() - self._cache_read > _CACHE_SECONDS
        if old or current >= self._limit * _NEARLY_FULL or current - self._cache >= self._threshold:
            self._cache = self._gauge.reclaimable()
            self._cache_read = time.monotonic()
        return current - self._cache

    def _ended(self, used: int) -> SupervisorError:
        """Stop the script, so that it can't grow while we look for its largest process, and say that it must end."""
        with contextlib.suppress(OSError):  # gone, or a set-uid program
            os.killpg(self._script, signal.SIGSTOP)
        return memory_exceeded(used, self._limit, largest(Members(self._script).now()))


def largest(processes: list[Process]) -> str:
    """Return a sentence about the process that has the most memory; empty when there is none."""
    if not processes:
        return ""
    # What all have resident tells well enough which one it is, and little enough of it has to be read.
    process = max(processes, key=lambda one: one.resident)
    size = proportional([process])
    return f"largest process {process.name} (pid {process.pid}) {amount_of('memory', size)}"
