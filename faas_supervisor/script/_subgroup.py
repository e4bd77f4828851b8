"""Cgroups of our own for the script, where the container lets us make them.

In version 1 each controller has a hierarchy of its own, and a folder made in ours is enough. In version 2 a group that
shares out controllers must not hold processes itself (cgroup-v2.rst, "No Internal Process Constraint"): so we move
into a group beside the script's, hand the controllers down, and undo both when the last script has ended. Other
processes than ours are never moved; where there are any, nothing is done.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faas_supervisor.cgroup import own_group, read_number, text_of
from faas_supervisor.logs import log
from faas_supervisor.script._gauge import oom_kills

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faas_supervisor.cgroup import Group
    from faas_supervisor.config import Limits

__all__ = ["Refused", "Subgroup", "make"]

# Which controller has which limit, and what its file is called in each version.
_FILES: Final[Mapping[str, Mapping[int, tuple[str, str]]]] = {
    "memory": {1: ("memory", "memory.limit_in_bytes"), 2: ("memory", "memory.max")},
    "processes": {1: ("pids", "pids.max"), 2: ("pids", "pids.max")},
}

# A process that was killed is a member of its group until the kernel has cleaned up after it.
_PATIENCE: Final = 5.0

_numbers: Final = itertools.count(1)


class Refused(Exception):
    """This container doesn't let us make a group; the text says why. Never leaves this package."""


class Subgroup:
    """The groups of one script, one for each limit that a cgroup keeps.

    Attributes:
        limits: The limits that are kept by it.
        folders: The group of each.
        version: Of cgroups.
    """

    def __init__(self) -> None:
        self.limits: dict[str, int] = {}
        self.folders: dict[str, Path] = {}
        self.version = 0

    @property
    def members(self) -> tuple[Path, ...]:
        """The files that a process writes itself into to join."""
        return tuple(dict.fromkeys(folder / "cgroup.procs" for folder in self.folders.values()))

    def kills(self) -> int:
        """Return how many of its processes the kernel killed for want of memory."""
        return oom_kills(self.version, str(self.folders["memory"])) if "memory" in self.folders else 0

    def refused(self) -> int:
        """Return how often a process was not made because there were too many."""
        if "processes" not in self.folders:
            return 0
        words = text_of(f"{self.folders['processes']}/pids.events").split()
        return int(words[1]) if len(words) > 1 and words[0] == "max" else 0

    def peak(self) -> int | None:
        """Return the most memory that the group has held, or None where the kernel doesn't keep it."""
        if "memory" not in self.folders:
            return None
        name = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}[self.version]
        return read_number(f"{self.folders['memory']}/{name}")

    def close(self) -> None:
        """End what is left in the groups, and remove them."""
        for folder in dict.fromkeys(self.folders.values()):
            _remove(folder)
        if self.version == 2:  # noqa: PLR2004
            _delegation.leave()


def make(limits: Limits) -> tuple[Subgroup, dict[str, str]]:
    """Make groups for those of `limits` that a group can keep; for the others also return why there is none."""
    made, refusals = Subgroup(), {}
    wanted = {name: getattr(limits, name) for name in _FILES if getattr(limits, name) is not None}
    for name, value in wanted.items():
        try:
            _limit(made, name, value)
        except Refused as refused:
            refusals[name] = str(refused)
    return made, refusals


def _limit(made: Subgroup, name: str, value: int) -> None:
    """Make the group of one limit.

    Raises:
        Refused: It can't be made.
    """
    own = own_group(_FILES[name][1][0])
    if own is None:
        raise Refused("no cgroup is mounted that could keep it")
    controller, file = _FILES[name][own.version]
    if made.version not in {0, own.version}:
        raise Refused("the controllers are in hierarchies of both versions of cgroups")
    with _explained():
        folder = _folder(made, own)
        made.version, made.folders[name] = own.version, folder
        try:
            if own.version == 2:  # noqa: PLR2004
                _delegation.need(controller)
            (folder / file).write_text(str(value))
            if file == "memory.max":
                # All of the script or nothing: half a script that goes on tells no story.
                (folder / "memory.oom.group").write_text("1")
        except (OSError, Refused):
            _give_back(made, name)
            raise
        made.limits[name] = value


def _folder(made: Subgroup, own: Group) -> Path:
    """Return the group for one more limit: in version 1 a new one, in version 2 one for all."""
    if own.version == 1:
        folder = Path(own.folder) / _name()
        folder.mkdir()
        return folder
    return next(iter(made.folders.values()), None) or _delegation.enter(Path(own.folder))


def _name() -> str:
    return f"faas-supervisor-{os.getpid()}-{next(_numbers)}"


def _give_back(made: Subgroup, name: str) -> None:
    folder = made.folders.pop(name)
    if folder not in made.folders.values():
        _remove(folder)
        if made.version == 2:  # noqa: PLR2004
            _delegation.leave()
        made.version = made.version if made.folders else 0


class _Delegation:
    """Our group in version 2, while its controllers are handed down to the groups of scripts.

    Several scripts may run at once: the first that needs a group moves us out of the way, the last moves us back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._top = Path()
        self._handed: list[str] = []

    def enter(self, own: Path) -> Path:
        """Make the group of one script, and return its folder."""
        with self._lock:
            if self._users == 0:
                self._top, self._handed = own, []
            folder = self._top / _name()
            folder.mkdir()
            self._users += 1
            return folder

    def need(self, controller: str) -> None:
        """Hand a controller down.

        Raises:
            Refused: It is not ours, or other processes are in the way.
            OSError: Nothing can be written.
        """
        with self._lock:
            if controller in (self._top / "cgroup.subtree_control").read_text().split():
                return
            if controller not in (self._top / "cgroup.controllers").read_text().split():
                raise Refused(f"the controller {controller} is not handed down to this container")
            self._step_aside()
            (self._top / "cgroup.subtree_control").write_text(f"+{controller}")
            self._handed.append(controller)

    def leave(self) -> None:
        """Undo everything when nobody needs it any more."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            for controller in self._handed:
                with _told("the controllers can't be taken back"):
                    (self._top / "cgroup.subtree_control").write_text(f"-{controller}")
            if self._aside.exists():
                with _told("the supervisor can't move back into its cgroup"):
                    (self._top / "cgroup.procs").write_text(str(os.getpid()))
                _remove(self._aside)

    @property
    def _aside(self) -> Path:
        return self._top / f"faas-supervisor-{os.getpid()}"

    def _step_aside(self) -> None:
        """Move this process into a group of its own, if it is the only one in ours."""
        there = [int(pid) for pid in (self._top / "cgroup.procs").read_text().split()]
        others = [pid for pid in there if pid != os.getpid()]
        if others:
            name = text_of(f"/proc/{others[0]}/comm").strip() or "of another namespace"
            raise Refused(f"other processes are in its cgroup (pid {others[0]}, {name}), and would have to be moved")
        if there:
            self._aside.mkdir()
            try:
                (self._aside / "cgroup.procs").write_text(str(os.getpid()))
            except OSError:
                self._aside.rmdir()
                raise


_delegation: Final = _Delegation()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn an error of the system into the reason why there is no group."""
    try:
        yield
    except OSError as error:
        raise Refused(f"its cgroup can't be used: {error.strerror}") from error


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("%s: %s", what, error)


def _remove(folder: Path) -> None:
    """Remove a group, once the processes in it have ended."""
    until = time.monotonic() + _PATIENCE
    pause = 0.001
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > until:
                log.warning("the cgroup %s can't be removed: %s", folder, error.strerror)
                return
        else:
            return
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
