"""The cgroups that this container is in, as far as they can be seen from inside.

`/proc/self/cgroup` names our group in each hierarchy, `/proc/self/mountinfo` tells where which part of a hierarchy is
mounted (proc(5), cgroups(7)). Only both together find the folder: a container may have a namespace of cgroups or none,
version 1, version 2, or some controllers in each.
"""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    _Mount: TypeAlias = tuple[str, str, str, list[str]]

__all__ = [
    "Group",
    "LimitedMemory",
    "bytes_of",
    "limited_memory",
    "memory_limit",
    "memory_peak",
    "own_group",
    "read_number",
    "text_of",
]

_SELF: Final = "/proc/self"

_PIECE: Final = 64 * 1024

# Version 1 shows "no limit" as a number near 2^63.
_NO_LIMIT: Final = 1 << 60

_LIMIT_FILES: Final = {1: "memory.limit_in_bytes", 2: "memory.max"}

# Version 2 has it since Linux 5.19.
_PEAK_FILES: Final = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}


class Group(NamedTuple):
    """Our cgroup in one hierarchy.

    Attributes:
        version: Of cgroups, 1 or 2.
        folder: The group's folder.
        top: The topmost folder of its hierarchy that can be seen: the mount point.
    """

    version: int
    folder: str
    top: str

    def upwards(self) -> Iterator[str]:
        """Yield the folders of this group and of those that hold it, as far as they can be seen."""
        folder = self.folder
        while True:
            yield folder
            if folder == self.top or not folder.startswith(self.top):
                return
            folder = folder.rpartition("/")[0]


class LimitedMemory(NamedTuple):
    """The group whose memory limit counts for us.

    Attributes:
        own: The group that we are in.
        folder: That of the group that has the limit: the same, or one above.
        limit: Bytes.
    """

    own: Group
    folder: str
    limit: int


def memory_limit() -> int | None:
    """Return the memory limit of the container in bytes, or None when there is none, or none to be seen."""
    found = limited_memory()
    return found.limit if found else None


def memory_peak(limited: LimitedMemory | None, proc: str = _SELF) -> int | None:
    """Return the most that the container ever held in bytes, caches included, or None where nothing tells.

    That is of the group whose limit counts, which `limited_memory` found, or, without a limit, of our own.
    """
    own = limited.own if limited else own_group("memory", proc)
    if own is None:
        return None
    return read_number(f"{limited.folder if limited else own.folder}/{_PEAK_FILES[own.version]}")


def limited_memory(proc: str = _SELF) -> LimitedMemory | None:
    """Return the group with the smallest memory limit among ours and those above, or None when there is no limit."""
    own = own_group("memory", proc)
    if own is None:
        return None
    found: LimitedMemory | None = None
    for folder in own.upwards():
        limit = read_number(f"{folder}/{_LIMIT_FILES[own.version]}")
        if limit is not None and limit < (found.limit if found else _NO_LIMIT):
            found = LimitedMemory(own, folder, limit)
    return found


def own_group(controller: str, proc: str = _SELF) -> Group | None:
    """Return the group in which `controller` would limit us, or None when there is none to be seen.

    For ourselves it is that of our start: nobody moves us but we, into a group below it and back.
    """
    return _our_group(controller) if proc == _SELF else _read_group(controller, proc)


@cache
def _our_group(controller: str) -> Group | None:
    return _read_group(controller, _SELF)


def _read_group(controller: str, proc: str) -> Group | None:
    paths = dict(_paths(proc))
    # A controller is in one hierarchy at a time, and those of version 1 name theirs.
    name = controller if controller in paths else ""
    if name not in paths:
        return None
    for root, point, kind, options in _read_mounts(proc):
        if kind == ("cgroup" if name else "cgroup2") and (not name or name in options):
            return Group(1 if name else 2, point + _below(root.rstrip("/"), paths[name].rstrip("/")), point)
    return None


def _below(root: str, path: str) -> str:
    """Return where `path` is below `root`; nothing where it lies outside, as "/.." does in a namespace of cgroups."""
    inside = path.startswith(f"{root}/") and "/.." not in path
    return path[len(root) :] if inside else ""


def read_number(file: str) -> int | None:
    """Return the number in a file of the kernel; None when it says `max`, or is not there."""
    text = text_of(file).strip()
    return int(text) if text.isdecimal() else None


def text_of(file: str) -> str:
    """Return the text of a file of the kernel, empty when it can't be read."""
    with contextlib.suppress(OSError):
        return bytes_of(file).decode("utf-8", "surrogateescape")
    return ""


def bytes_of(file: str) -> bytes:
    """Return what is in a file of the kernel; a third of the time that `open` would take, for what is read so often.

    Raises:
        OSError: It can't be read.
    """
    number = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(number, _PIECE):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(number)


def _paths(proc: str) -> Iterator[tuple[str, str]]:
    """Yield controller and path of our groups; version 2 has one path for all controllers, called by no name."""
    for line in text_of(f"{proc}/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            yield controller, path


def _read_mounts(proc: str) -> Iterator[_Mount]:
    """Yield root, mount point, type and options of each."""
    for line in text_of(f"{proc}/mountinfo").splitlines():
        if " - cgroup" in line:
            mount, _, source = line.partition(" - ")
            _, _, _, root, point, *_ = mount.split(" ")
            kind, _, options = source.split(" ", 2)
            yield _unescaped(root), _unescaped(point), kind, options.split(",")


def _unescaped(path: str) -> str:
    """Return a path as it is; the kernel writes a blank as a backslash and 040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path) if "\\" in path else path
