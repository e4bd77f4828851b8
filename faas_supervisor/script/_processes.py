"""The processes of a script, as `/proc` shows them (proc(5))."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from faas_supervisor.cgroup import bytes_of
from faas_supervisor.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Members", "Process", "anonymous", "can_be_read", "open_files", "proportional"]

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One process at one moment.

    Attributes:
        pid: Its number.
        name: Its command's, at most 15 bytes.
        parent: The number of its parent.
        group: The number of its process group.
        session: The number of its session.
        cpu: Seconds of processor time, with those of the children that it has waited for.
        threads: How many it has.
        started: Clock ticks since the machine's start, which tells it from a later one of the same number.
        resident: Bytes in memory, those that it shares with others included.
    """

    pid: int
    name: str
    parent: int
    group: int
    session: int
    cpu: float
    threads: int
    started: int
    resident: int


class Members:
    """Keeps track of the processes that come from one: also of those that left its session or lost their parent."""

    def __init__(self, pid: int) -> None:
        self._pid: Final = pid
        self._known: set[tuple[int, int]] = set()

    def now(self) -> list[Process]:
        """Return those that are there."""
        there = list(_all())
        found = {process.pid: process for process in there if self._belongs(process)}
        # In the order of their start parents come before their children, but for numbers that were used again.
        rest = [process for process in there if process.pid not in found]
        grown = True
        while grown:
            children = [process for process in rest if process.parent in found]
            found.update((process.pid, process) for process in children)
            rest = [process for process in rest if process.pid not in found] if children else rest
            grown = bool(children)
        self._known = {(process.pid, process.started) for process in found.values()}
        return list(found.values())

    def _belongs(self, process: Process) -> bool:
        return (
            self._pid in {process.pid, process.group, process.session} or (process.pid, process.started) in self._known
        )


def can_be_read() -> bool:
    """Whether `/proc` is there, and of our own namespace of processes."""
    return os.path.exists(f"/proc/{os.getpid()}/stat")  # noqa: PTH110  # asked at each start of a script


def anonymous(processes: Sequence[Process]) -> int:
    """Return the bytes of the processes that no file holds; what two of them share counts twice."""
    return sum(_field_sum(process.pid, "status", (b"RssAnon:", b"RssShmem:")) or 0 for process in processes)


def proportional(processes: Sequence[Process]) -> int:
    """Return the same, but what several share is divided among them. Slow: the kernel goes through all their pages."""
    total = 0
    for process in processes:
        size = _field_sum(process.pid, "smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:"))
        # Another user's process, such as one of a set-uid program, doesn't show its pages.
        total += anonymous([process]) if size is None else size
    return total


def open_files(processes: Sequence[Process]) -> int:
    """Return the most files that one of the processes has open."""
    most = 0
    for process in processes:
        with contextlib.suppress(OSError):
            most = max(most, len(os.listdir(f"/proc/{process.pid}/fd")))  # noqa: PTH208  # names are all we want
    return most


def _all() -> Iterator[Process]:
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208  # as above
            if name.isdecimal() and (process := _process(name)) is not None:
                yield process


def _process(pid: str) -> Process | None:
    # The name is in brackets and may hold brackets itself.
    head, _, tail = _read(f"/proc/{pid}/stat").rpartition(b") ")
    fields = tail.split()
    if not fields:
        return None
    name = head.partition(b" (")[2].decode("utf-8", "replace")
    ticks = sum(map(int, fields[11:15]))
    return Process(
        pid=int(pid),
        name=printable(name),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        cpu=ticks / _TICKS,
        threads=int(fields[17]),
        started=int(fields[19]),
        resident=int(fields[21]) * _PAGE,
    )


def _field_sum(pid: int, file: str, names: Sequence[bytes]) -> int | None:
    """Return the sum of some fields in KiB, as bytes; None when the file can't be read or has none of them."""
    values = [line.split()[1] for line in _read(f"/proc/{pid}/{file}").splitlines() if line.startswith(tuple(names))]
    return sum(map(int, values)) * 1024 if values else None


def _read(file: str) -> bytes:
    with contextlib.suppress(OSError):  # it ended just now
        return bytes_of(file)
    return b""
