"""Which plugins there are: built in, installed with Python, or in a plugin folder. Nothing is imported to know."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

from faas_supervisor import frozen
from faas_supervisor.logs import log
from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["BUILT_IN", "GROUP", "HOOKS", "Found", "available", "installed"]

GROUP: Final = "faas_supervisor"

_VARIABLE: Final = "FAAS_SUPERVISOR_PLUGIN_PATH"


@value
class Found:
    """One entry point of our group: what is installed, not imported yet.

    Attributes:
        name: The type that it provides.
        module: Where its hooks are.
        distribution: What was installed.
        version: Of the distribution.
        folder: Where it was found; empty for what is built into the frozen supervisor.
    """

    name: str
    module: str
    distribution: str
    version: str
    folder: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"the plugin {self.name!r} ({self.distribution} {self.version})"


_VERSION: Final = "2.0.0a1"

# What the frozen supervisor holds. There, no metadata are looked at for an event that needs nothing else;
# tests/core/test_installed.py compares this with the metadata.
BUILT_IN: Final = (
    Found("dcache", "faas_supervisor_dcache", "faas-supervisor-dcache", _VERSION),
    Found("file", "faas_supervisor.storage.file", "faas-supervisor", _VERSION),
    Found("minio", "faas_supervisor_minio", "faas-supervisor-minio", _VERSION),
    Found("onedata", "faas_supervisor_onedata", "faas-supervisor-onedata", _VERSION),
    Found("s3", "faas_supervisor_s3", "faas-supervisor-s3", _VERSION),
    Found("webdav", "faas_supervisor_dcache", "faas-supervisor-dcache", _VERSION),
)

HOOKS: Final[Mapping[str, frozenset[str]]] = {
    entry.module: frozenset({"faas_supervisor_storage_providers"}) for entry in BUILT_IN
} | {"faas_supervisor_minio": frozenset({"faas_supervisor_storage_providers", "faas_supervisor_listen"})}
"""The hooks of our own plugins, by module: one that has no part in a hook need not be imported to call it."""


def available(environment: Mapping[str, str]) -> Iterator[Found]:
    """Yield every plugin, in the order in which they go first.

    What is built in, or installed with Python, comes before the plugin folders: a folder adds plugins, and never
    replaces a module that is there already. The folders become part of `sys.path` by this.

    Environment:
        FAAS_SUPERVISOR_PLUGIN_PATH: Folders made by `pip install --target`, separated as in `PATH`.
    """
    folders = _plugin_folders(environment)
    sys.path.extend(folder for folder in folders if folder not in sys.path)
    if frozen.home() is None:
        yield from installed(sys.path)
        return
    yield from BUILT_IN
    ours = {entry.distribution for entry in BUILT_IN}
    yield from (entry for entry in installed(folders) if entry.distribution.lower() not in ours)


def _plugin_folders(environment: Mapping[str, str]) -> list[str]:
    """Return the folders of the environment, and `plugins` beside the frozen program if it is there."""
    named = [folder for folder in environment.get(_VARIABLE, "").split(os.pathsep) if folder]
    for folder in named:
        if not os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir raises where a folder can't be entered
            log.warning("%s names %s, which is no folder", _VARIABLE, folder)
    home = frozen.home()
    beside = [] if home is None else [str(home / "plugins")]
    return [*named, *(folder for folder in beside if os.path.isdir(folder))]  # noqa: PTH112  # as above


def installed(paths: Iterable[str]) -> Iterator[Found]:
    """Yield the entry points of our group in the folders `paths`, as `importlib.metadata` would.

    Reading the few small files ourselves takes 3 ms of a start instead of 45; a test holds the two together.
    """
    seen: set[str] = set()
    for path in paths:
        try:
            names = [entry.name for entry in os.scandir(path or ".") if entry.name.endswith(".dist-info")]
        except OSError:
            continue  # as the import system does: not a folder, or gone
        for name in sorted(names):
            distribution, _, version = name.removesuffix(".dist-info").partition("-")
            normal = re.sub("[-_.]+", "-", distribution).lower()  # as PEP 503 has it
            if normal in seen:
                continue  # an earlier folder of sys.path wins, as for imports
            seen.add(normal)
            yield from _entries(path, name, distribution, version)


def _entries(folder: str, metadata: str, distribution: str, version: str) -> Iterator[Found]:
    try:
        file = os.path.join(folder, metadata, "entry_points.txt")  # noqa: PTH118
        # Runs for every distribution at start-up; one that is not UTF-8 is not ours.
        with open(file, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            lines = stream.read().splitlines()
    except OSError:
        return
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == GROUP and "=" in line and not line.startswith(("#", ";")):
            name, _, module = line.partition("=")
            yield Found(name.strip(), module.strip(), distribution.replace("_", "-"), version, folder or os.curdir)
