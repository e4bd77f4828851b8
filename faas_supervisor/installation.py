"""Copies the frozen folder to another place, so that whoever looks sees the old version or the new one, whole."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import Failure, NoSpace, SupervisorError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["InstallationError", "install"]

# The programs come last: until they are there, the old ones start the old version.
_PROGRAMS: Final = ("fwatchdog", "supervisor")

# The folder of a version is called after a digest of its content (packaging/launcher.c).
_INSIDE: Final = "_internal-"
_TEMPORARY: Final = ".supervisor-install-"


class InstallationError(SupervisorError):
    """The folder can't be installed into."""

    failure = Failure.OUTPUT


def install(source: Path, destination: Path) -> list[Path]:
    """Copy the frozen folder `source` into `destination`, which is made if it isn't there.

    - What is complete appears under its name by a rename, the programs last; after any failure `destination` is as
      usable as before.
    - The folders of other versions stay, since supervisors may be running from them; they are returned.
    - Files of others, and a folder `plugins`, stay as they are; `plugins` of `source` is copied if there is none.

    Raises:
        NoSpace: There is no room.
        InstallationError: `destination` can't be written, or is `source`.
    """
    entries = sorted(source.iterdir(), key=lambda entry: (entry.name in _PROGRAMS, entry.name))
    with _failures_told(destination):
        destination.mkdir(parents=True, exist_ok=True)
        if destination.samefile(source):
            raise InstallationError(f"{destination} is where this supervisor runs from")
        # On the same file system as what it is to replace, and gone in any case.
        with tempfile.TemporaryDirectory(dir=destination, prefix=_TEMPORARY) as temporary:
            for entry in entries:
                if not _is_there(destination / entry.name):
                    _copy(entry, Path(temporary) / entry.name)
                    _put(Path(temporary) / entry.name, destination / entry.name)
    names = {entry.name for entry in entries}
    return sorted(path for path in destination.glob(f"{_INSIDE}*") if path.name not in names)


def _is_there(path: Path) -> bool:
    """Whether `path` is a folder: that of a version is complete whenever it is seen, and others are not ours."""
    return path.is_dir() and not path.is_symlink()


def _copy(source: Path, destination: Path) -> None:
    """Copy a file or a folder, with modes and times, whatever the umask."""
    if not source.is_dir():
        shutil.copy2(source, destination)
        return
    destination.mkdir()
    for entry in source.iterdir():
        _copy(entry, destination / entry.name)
    shutil.copystat(source, destination)


def _put(source: Path, destination: Path) -> None:
    try:
        source.replace(destination)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST} or not _is_there(destination):
            raise
        # Another installation was faster, with the same.


@contextlib.contextmanager
def _failures_told(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(f"there is no room for the supervisor in {destination}") from error
        raise InstallationError(f"the supervisor can't be installed in {destination}: {error.strerror}") from error
