"""How much memory a cgroup uses that can't be taken back, read often and at little cost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from faas_supervisor.cgroup import read_number, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Gauge", "oom_kills", "swap_free"]

_PIECE: Final = 16 * 1024


class _Names(NamedTuple):
    """What is called how in one version of cgroups (admin-guide/cgroup-v1/memory.rst, admin-guide/cgroup-v2.rst)."""

    current: str
    peak: str
    events: str
    cache: Sequence[bytes]
    swap_limit: str
    swap_current: str


# The lists of file pages hold no tmpfs and no shared memory: only swap can take those, as anonymous pages.
_NAMES: Final = {
    1: _Names(
        "memory.usage_in_bytes",
        "memory.max_usage_in_bytes",
        "memory.oom_control",
        (b"total_inactive_file", b"total_active_file"),
        "memory.memsw.limit_in_bytes",
        "memory.memsw.usage_in_bytes",
    ),
    2: _Names(
        "memory.current",
        "memory.peak",
        "memory.events",
        (b"inactive_file", b"active_file"),
        "memory.swap.max",
        "memory.swap.current",
    ),
}


def oom_kills(version: int, folder: str) -> int:
    """Return how many processes the kernel has killed in a group for want of memory; 0 where it doesn't tell."""
    for line in text_of(f"{folder}/{_NAMES[version].events}").splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.isdecimal():
            return int(count)
    return 0


def swap_free() -> int:
    """Return how many bytes of swap the machine has left."""
    for line in text_of("/proc/meminfo").splitlines():
        if line.startswith("SwapFree:"):
            return int(line.split()[1]) * 1024
    return 0


class Gauge:
    """Reads one memory cgroup; its files stay open until it is closed.

    Attributes:
        highest: The most that `current` has returned.
    """

    def __init__(self, version: int, folder: str) -> None:
        self._version: Final = version
        self._folder: Final = folder
        self._names: Final = _NAMES[version]
        self.highest = 0
        self._swaps: Final = swap_free() > 0
        self._stat = -1
        self._current: Final = os.open(f"{folder}/{self._names.current}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._stat = os.open(f"{folder}/memory.stat", os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        for number in (self._current, self._stat):
            if number >= 0:
                os.close(number)

    def current(self) -> int:
        """Return the bytes that are charged to the group, cache included."""
        value = int(os.pread(self._current, 32, 0))
        self.highest = max(self.highest, value)
        return value

    def peak(self) -> int:
        """Return the most bytes that were ever charged, or that we saw, where the kernel does not keep it."""
        return max(self.highest, read_number(f"{self._folder}/{self._names.peak}") or 0)

    def reclaimable(self) -> int:
        """Return the bytes that the kernel can take back, or move to swap.

        Cache that is still to be written belongs to it: for that the kernel waits rather than to kill. In version 1,
        memory of the kernel itself is taken for reclaimable, since most of it is caches, and nothing tells how much.
        """
        words = os.pread(self._stat, _PIECE, 0).split()
        counters = dict(zip(words[::2], words[1::2], strict=False))
        file = sum(int(counters.get(name, 0)) for name in self._names.cache)
        if self._version == 1:
            kernel = read_number(f"{self._folder}/memory.kmem.usage_in_bytes") or 0
        else:
            kernel = int(counters.get(b"slab_reclaimable", 0))
        return file + kernel + self._swap()

    def _swap(self) -> int:
        """Return how much the group may still move to swap: nothing in Kubernetes, as it is usually set up."""
        free = swap_free() if self._swaps else 0
        used = read_number(f"{self._folder}/{self._names.swap_current}")
        if not free or used is None:
            return 0
        limit = read_number(f"{self._folder}/{self._names.swap_limit}")
        if limit is None:
            return free
        room = limit - used
        if self._version == 1:  # which counts memory and swap together
            room -= max(0, (read_number(f"{self._folder}/memory.limit_in_bytes") or 0) - self.current())
        return max(0, min(free, room))
