"""The table of processes, as `/proc` shows it (proc(5)): who is there, whose child it is, whether it is dead."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faas_supervisor.cgroup import bytes_of
from faas_supervisor.values import value

if TYPE_CHECKING:
    from typing import TypeAlias

    Table: TypeAlias = dict[int, "Process"]

__all__ = ["PROC", "Process", "children", "listing", "read", "send"]

PROC: Final = Path("/proc")


@value
class Process:
    """One line of /proc/<pid>/stat; `begun` tells it from a later process of the same number."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    begun: str

    @property
    def is_dead(self) -> bool:
        """Whether it has ended, and is not buried yet."""
        return self.state in "ZX"


def children() -> set[int] | None:
    """Return the children of our first thread; None where the kernel doesn't list them (CONFIG_PROC_CHILDREN).

    Whoever loses its parent below us becomes a child of that thread (find_new_reaper in the kernel's exit.c), also
    when another thread started the script. So this one file tells of all of them, and of no script of other threads.
    """
    try:
        return set(map(int, bytes_of(f"/proc/self/task/{os.getpid()}/children").split()))
    except OSError:
        return None


def listing() -> Table:
    """Return all processes that can be seen."""
    try:
        names = [name for name in os.listdir(PROC) if name.isdecimal()]  # noqa: PTH208  # as above
    except OSError:
        return {}
    return {one.pid: one for one in map(read, map(int, names)) if one is not None}


def read(pid: int) -> Process | None:
    """Return a process, or None when there is none of this number."""
    try:
        text = bytes_of(f"/proc/{pid}/stat")
    except OSError:
        return None
    # The name, in brackets, may hold anything. Fields: proc_pid_stat(5).
    rest = text[text.rfind(b")") + 2 :].decode("ascii").split()
    state, parent, group, session = rest[:4]
    return Process(pid, state, int(parent), int(group), int(session), rest[19])


def send(one: Process, number: int) -> None:
    """Send a signal to a process that is no child of ours, so that its number may be another's by now."""
    with contextlib.suppress(OSError):
        try:
            handle = os.pidfd_open(one.pid)
        except ProcessLookupError:
            return
        except OSError:  # a kernel without it; the listing is a moment old
            os.kill(one.pid, number)
            return
        try:
            now = read(one.pid)
            if now is not None and now.begun == one.begun:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
