"""Moves one large object in a process of its own and prints by how many bytes its memory grew."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from faas_supervisor.storage import StorageProvider


class _Quiet:
    def start(self, total: int | None) -> None:
        """Be told the total."""

    def advance(self, n: int) -> None:
        """Be told of bytes."""


def _peak() -> int:
    """Return the most memory that this process ever had; `ru_maxrss` would count that of its parent too."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _measure(direction: str, factory: Callable[[], StorageProvider], large: str, small: str, local: Path) -> int:
    """Return the growth of the peak between a first, small transfer and the end of the large one."""
    from faas_supervisor.storage import ObjectRef  # noqa: PLC0415  # `sys.path` has to be set before

    provider, quiet, arrival = factory(), _Quiet(), local.with_suffix(".arrival")
    provider.download(ObjectRef(small), arrival, quiet)
    if direction == "upload":
        provider.upload(arrival, small, quiet)
        before = _peak()
        provider.upload(local, large, quiet)
    else:
        before = _peak()
        provider.download(ObjectRef(large), arrival, quiet)
    grown = _peak() - before
    provider.close()
    return grown


if __name__ == "__main__":
    sys.path[:], task = pickle.load(sys.stdin.buffer)  # noqa: S301  # from our own parent process
    print(_measure(*pickle.loads(task)))  # noqa: S301, T201
