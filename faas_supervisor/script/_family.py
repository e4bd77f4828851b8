"""The script's descendants, also those that left its group and session: finding, ending and burying them.

This process is a child subreaper: whoever loses its parent below us becomes our child. `docs/adr/0012-descendants.md`
tells how such a child is traced back to the script that it came from.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Final

from faas_supervisor.logs import log
from faas_supervisor.script._table import PROC, children, listing, send

if TYPE_CHECKING:
    import resource
    from collections.abc import Mapping
    from pathlib import Path

    from faas_supervisor.script._table import Process, Table

__all__ = ["Family", "forward"]

# Between two looks at who is left; the first ones come sooner, since most leave at once.
_LOOK: Final = 0.05
_FIRST_LOOK: Final = 0.002

# How often the processes are listed anew when some were missed; more would be a script that forks without end.
_LISTINGS: Final = 10


class _Scripts:
    """The scripts that run in this process, and how many are just being started."""

    def __init__(self) -> None:
        # Reentrant, for signal handlers.
        self.lock = threading.RLock()
        self.leaders: dict[int, Family] = {}
        self.starting = 0
        # Processes that were killed, and hung in the kernel.
        self.hanging: set[int] = set()

    def bury_hanging(self) -> None:
        """Bury those that have got loose."""
        with self.lock:
            for pid in tuple(self.hanging):
                with contextlib.suppress(ChildProcessError):  # it was taken for a stray child, and buried
                    if not os.waitpid(pid, os.WNOHANG)[0]:
                        continue
                self.hanging.discard(pid)


_scripts: Final = _Scripts()


class Family:
    """One script and its descendants. Made before its start; `led_by` follows, and in any case `leave`.

    Args:
        environment: The script's; its `TMP_OUTPUT_DIR`, which is different for each run, marks who inherited it.
        cgroup: The `cgroup.procs` files of groups that nobody but this script is in.
    """

    def __init__(self, environment: Mapping[str, str], cgroup: tuple[Path, ...] = ()) -> None:
        folder = environment.get("TMP_OUTPUT_DIR", "")
        self._mark = f"TMP_OUTPUT_DIR={folder}\0".encode("utf-8", "surrogateescape") if folder else b""
        self._cgroup = cgroup
        self._before = children()
        self._leader = 0
        self._left = False
        self._sessions: set[int] = set()
        self.user = 0.0
        self.system = 0.0
        _scripts.bury_hanging()
        with _scripts.lock:
            _scripts.starting += 1

    def led_by(self, leader: int) -> None:
        """Note the process that was started; it leads its session and its group."""
        with _scripts.lock:
            _scripts.starting -= 1
            _scripts.leaders[leader] = self
            self._leader = leader
            self._sessions.add(leader)

    def bury_leader(self) -> tuple[int, resource.struct_rusage] | None:
        """Return the status of the script's process, as `wait4` tells it, and what it used; None if it has not ended.

        It is forgotten at the same moment: in between, another script could take it for a stray child, and bury it.
        """
        with _scripts.lock:
            buried, status, usage = os.wait4(self._leader, os.WNOHANG)
            if not buried:
                _scripts.hanging.add(self._leader)
            self.leave()
        return (status, usage) if buried else None

    def leave(self) -> None:
        """Forget it; from now on its number may be another's."""
        with _scripts.lock:
            if not self._left:
                _scripts.leaders.pop(self._leader, None)
                _scripts.starting -= not self._leader
                self._left = True

    @property
    def is_seen(self) -> bool:
        """Whether the kernel shows who descends from the script."""
        return self._before is not None or _has_proc()

    def signal(self, number: int) -> None:
        """Send a signal to the script's group."""
        with _scripts.lock:
            # Not reaped yet, so the number can't be another's.
            if self._leader in _scripts.leaders:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or a set-uid program
                    os.killpg(self._leader, number)

    def signal_others(self, number: int) -> bool:
        """Send a signal to every descendant outside the script's group, and return whether there was any."""
        found = [one for one in self.descendants() if one.group != self._leader]
        for one in found:
            send(one, number)
        return bool(found)

    def ended(self, until: float) -> bool:
        """Wait until every descendant has ended, the script itself not counted, at most until then."""
        pause = _FIRST_LOOK
        while any(True for _ in self.descendants()):
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LOOK)
        return True

    def kill(self, until: float) -> bool:
        """Kill every descendant, again and again as long as new ones appear, and return whether all have ended."""
        for file in self._cgroup:
            if os.getpid() not in _members(file):
                with contextlib.suppress(OSError):  # cgroup v2 since Linux 5.14
                    (file.parent / "cgroup.kill").write_text("1")
        while True:
            self.signal(signal.SIGKILL)
            self.signal_others(signal.SIGKILL)
            if self.ended(time.monotonic() + _LOOK):
                return True
            if time.monotonic() > until:
                return False

    def descendants(self) -> list[Process]:
        """Return the descendants that still run, after burying those that don't."""
        if not self._leader or not self._may_have_any():
            return []
        running: list[Process] = []
        for _ in range(_LISTINGS):
            # In this order: a script that begins after the listing isn't in it.
            table = listing()
            with _scripts.lock:
                leaders, starting = set(_scripts.leaders), _scripts.starting
            found = self._trace(table, leaders, alone=len(leaders) + starting == 1)
            running = [one for one in found if not one.is_dead]
            self._bury_all(table)
            # While processes were listed one by one, a parent may have died after its child was passed by, or was
            # seen below it. Then the child has become ours.
            others = table.keys() - {one.pid for one in found}
            if running or not self._strangers() - others:
                break
        return running

    def _strangers(self) -> set[int]:
        """Return those of our children that we did not start, or not knowingly."""
        found = children() or set()
        with _scripts.lock:
            return found - _scripts.leaders.keys() - (self._before or set())

    def _may_have_any(self) -> bool:
        """Whether the costly look at all processes is needed: the script runs, or we have got children from it."""
        if self._cgroup or children() is None:
            return _has_proc()
        return bool(self._strangers()) or self._leader_runs()

    def _leader_runs(self) -> bool:
        try:
            return os.waitid(os.P_PID, self._leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:  # it is buried
            return False

    def _trace(self, table: Table, leaders: set[int], *, alone: bool) -> list[Process]:
        """Return everyone in `table` who comes from this script, the script itself not counted."""
        members = {pid for file in self._cgroup for pid in _members(file)}
        if os.getpid() in members:  # then the group is not the script's alone
            members = set()
        mine = {self._leader}
        for one in table.values():
            known = one.session in self._sessions or one.pid in members
            if known or (
                self._is_adopted(one, leaders) and ((alone and self._is_new(one)) or self._is_marked(one.pid))
            ):
                mine.add(one.pid)
        grown = True
        while grown:
            grown = False
            for one in table.values():
                if one.parent in mine and one.pid not in mine:
                    mine.add(one.pid)
                    grown = True
        found = [table[pid] for pid in mine if pid in table and pid != self._leader]
        self._sessions.update(one.session for one in found if not one.is_dead)
        return found

    def _is_adopted(self, one: Process, leaders: set[int]) -> bool:
        """Whether somebody is our child that we did not start; all that comes from scripts is in other sessions."""
        return one.parent == os.getpid() and one.pid not in leaders and one.session != os.getsid(0)

    def _is_new(self, one: Process) -> bool:
        """Whether it is known not to have been our child already when the script began."""
        return self._before is not None and one.pid not in self._before

    def _is_marked(self, pid: int) -> bool:
        if not self._mark:
            return False
        try:
            return self._mark in (PROC / str(pid) / "environ").read_bytes()
        except OSError:  # it has gone, or is another user's
            return False

    def _bury_all(self, table: Table) -> None:
        """Bury the dead that became our children; those of others are buried by their own parents.

        Of the dead only the session is left to tell whose they were. Without a script that is just being started, whose
        end somebody else will ask for, it is enough that they are in none of ours.
        """
        for one in table.values():
            if one.is_dead and one.parent == os.getpid():
                # The listing may be older than a script that began, or ended, since.
                with _scripts.lock:
                    stray = not _scripts.starting and self._is_new(one) and one.session != os.getsid(0)
                    if one.pid not in _scripts.leaders and (stray or one.session in self._sessions):
                        self._bury(one.pid)

    def _bury(self, pid: int) -> None:
        with contextlib.suppress(ChildProcessError):  # another script has
            buried, _, usage = os.wait4(pid, os.WNOHANG)
            if buried:
                self.user += usage.ru_utime
                self.system += usage.ru_stime


def forward(number: int) -> None:
    """Send a signal to the groups of all scripts that run in this process; safe in a signal handler."""
    with _scripts.lock:
        running = list(_scripts.leaders.values())
    for family in running:
        family.signal(number)


def _members(group: Path) -> set[int]:
    """Return who is in a cgroup, by its `cgroup.procs`."""
    with contextlib.suppress(OSError):
        return set(map(int, group.read_text().split()))
    return set()


_told: list[bool] = []


def _has_proc() -> bool:
    if (PROC / "self" / "stat").exists():
        return True
    if not _told:
        _told.append(True)
        log.warning("there is no /proc: processes that leave the script's group can't be ended with it")
    return False
