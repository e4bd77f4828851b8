"""Provider type `file`: a local folder as a storage, also in place of servers in `supervisor run --storage DIR`."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar, Final

from faas_supervisor import hookimpl
from faas_supervisor.errors import (
    AlreadyExists,
    InsufficientStorage,
    IntegrityError,
    InvalidConfiguration,
    InvalidPath,
    NotFound,
    PermissionDenied,
    StorageError,
    Unavailable,
    Unsupported,
)
from faas_supervisor.storage._provider import Capabilities, ObjectInfo, ObjectRef, ProviderSpec, StorageProvider
from faas_supervisor.storage._settings import setting
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableSequence, Sequence

    from faas_supervisor.storage._provider import Progress

__all__ = ["SPEC", "FileProvider", "FileSettings"]

# How much moves between two looks at `Progress`: small enough to stop soon, large enough to cost nothing.
_PIECE: Final = 4 * 1024 * 1024

_PARTIAL: Final = ".faas-supervisor-partial-"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_KINDS: Final[dict[int, tuple[type[StorageError], str]]] = {
    errno.ENOENT: (NotFound, "there is no such file"),
    errno.EISDIR: (NotFound, "this is a folder"),
    errno.ENXIO: (NotFound, "this is no regular file"),
    errno.ENOTDIR: (NotFound, "a part of the path is no folder, or a symbolic link, which is not followed"),
    errno.ELOOP: (InvalidPath, "this is a symbolic link, which is not followed"),
    errno.ENAMETOOLONG: (InvalidPath, "the name is too long for this file system"),
    errno.EACCES: (PermissionDenied, "the file system refuses this"),
    errno.EPERM: (PermissionDenied, "the file system refuses this"),
    errno.EROFS: (PermissionDenied, "the file system is read-only"),
    errno.ENOSPC: (InsufficientStorage, "the file system is full"),
    errno.EDQUOT: (InsufficientStorage, "the disk quota is used up"),
}


@value
class FileSettings:
    """The settings of one `file` provider."""

    root: str = setting("The folder that holds the objects. It is made by the first upload if its parent exists.")


class FileProvider(StorageProvider):
    """Objects are regular files below `root`.

    Every folder is entered by its descriptor and without following links, so nothing outside `root` is ever
    read or written, even while somebody else moves folders about. Links are therefore no objects: `list`
    leaves them out, everything else refuses them.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(atomic_upload=True, pins=True)

    def __init__(self, settings: FileSettings) -> None:
        self._root = Path(settings.root).absolute()

    def download(self, source: ObjectRef, destination: Path, progress: Progress) -> ObjectInfo:
        """Copy the file to `destination`; `source.etag` must still be its etag."""
        if source.version is not None:
            raise Unsupported("a folder keeps no versions", path=source.path, hint="leave the version out")
        with self._opened(source.path) as (file, info):
            if source.etag not in (None, info.etag):
                message = f"the object changed: its etag is {info.etag}, not {source.etag}"
                raise NotFound(message, path=source.path)
            with destination.open("wb", buffering=0) as target:
                try:
                    _copy(file, target, info.size, progress)
                except OSError as error:
                    if error.errno in _FULL:  # here it is the local disk that is full, which is the core's matter
                        raise
                    raise _translated(error, source.path) from error
            if _info(source.path, os.fstat(file.fileno())) != info:
                raise IntegrityError("the file changed while it was read", path=source.path)
        return info

    def upload(self, source: Path, path: str, progress: Progress) -> ObjectInfo:
        """Copy `source` to a hidden name in the right folder, then move it over `path` in one step."""
        *folders, name = _segments(path)
        partial = _PARTIAL + os.urandom(8).hex()
        with source.open("rb", buffering=0) as file, _errors(path, uploading=True):
            with suppress(FileExistsError):
                self._root.mkdir()
            with self._folder(folders, make=True) as folder:
                try:
                    with _open(partial, "wb", os.O_WRONLY | os.O_CREAT | os.O_EXCL, folder) as target:
                        _copy(file, target, os.fstat(file.fileno()).st_size, progress)
                        # The clock of kernels before 6.13 ticks every few milliseconds; two uploads within one
                        # tick must still have two etags.
                        os.utime(target.fileno(), ns=(time.time_ns(), time.time_ns()))
                        os.fsync(target.fileno())
                        info = _info(path, os.fstat(target.fileno()))
                    os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(partial, dir_fd=folder)
        return info

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the regular files below `prefix`, folder by folder, or the one file of that name."""
        prefix = prefix.rstrip("/")
        if prefix:
            with suppress(NotFound):
                yield self.stat(prefix)
                return
        waiting = [prefix]
        while waiting:
            yield from self._list_folder(waiting.pop(), waiting)

    def _list_folder(self, path: str, waiting: MutableSequence[str]) -> Iterator[ObjectInfo]:
        """Yield the files of one folder, and add the folders in it to those `waiting`."""
        # A folder that is missing, or went away since it was seen, is an empty one.
        segments = _segments(path) if path else []
        with suppress(NotFound), _errors(path), self._folder(segments) as folder, os.scandir(folder) as entries:
            for entry in entries:
                inside = f"{path}/{entry.name}" if path else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(inside)
                elif entry.is_file(follow_symlinks=False) and not entry.name.startswith(_PARTIAL):
                    with suppress(FileNotFoundError):
                        yield _info(inside, entry.stat(follow_symlinks=False))

    def stat(self, path: str) -> ObjectInfo:
        """Return the size, time and etag of one regular file."""
        *folders, name = _segments(path)
        with _errors(path), self._folder(folders) as folder:
            return _info(path, os.stat(name, dir_fd=folder, follow_symlinks=False))

    def delete(self, path: str) -> None:
        """Remove one file. Folders stay, also empty ones."""
        with suppress(NotFound):
            self.stat(path)
            *folders, name = _segments(path)
            with _errors(path), self._folder(folders) as folder:
                os.unlink(name, dir_fd=folder)

    def check(self) -> None:
        """Raise if `root` is no folder that can be read and written."""
        if not self._root.is_dir():
            raise InvalidConfiguration(f"{self._root} is no folder", hint="make it, or correct `root`")
        if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise InvalidConfiguration(f"{self._root} can't be read and written", hint="correct its permissions")

    @contextmanager
    def _opened(self, path: str) -> Iterator[tuple[IO[bytes], ObjectInfo]]:
        *folders, name = _segments(path)
        with _errors(path), self._folder(folders) as folder:
            # Without O_NONBLOCK, opening a named pipe would wait for a writer.
            file = _open(name, "rb", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, folder)
        with file:
            yield file, _info(path, os.fstat(file.fileno()))

    @contextmanager
    def _folder(self, segments: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Open the folder that `segments` lead to, one by one from `root`, following no link below it."""
        current = os.open(self._root, _FOLDER)
        try:
            for name in segments:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=current)
                deeper = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
                os.close(current)
                current = deeper
            yield current
        finally:
            os.close(current)


def _segments(path: str) -> list[str]:
    segments = path.split("/")
    if "\0" in path or any(name in {"", ".", ".."} for name in segments):
        raise InvalidPath("a folder holds no such name", path=path, hint="no empty, `.` or `..` part, no NUL")
    if segments[-1].startswith(_PARTIAL):
        raise InvalidPath(f"names that begin with {_PARTIAL} are those of unfinished uploads", path=path)
    return segments


def _open(name: str, mode: str, flags: int, folder: int) -> IO[bytes]:
    def opener(path: str, _flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o666, dir_fd=folder)

    return open(name, mode, buffering=0, opener=opener)  # a Path has no opener


def _info(path: str, status: os.stat_result) -> ObjectInfo:
    if stat.S_ISLNK(status.st_mode):
        raise InvalidPath("this is a symbolic link, which is not followed", path=path)
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("this is no regular file", path=path)
    return ObjectInfo(
        path=path,
        size=status.st_size,
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
        etag=f"{status.st_mtime_ns:x}-{status.st_size:x}",
    )


def _copy(source: IO[bytes], target: IO[bytes], size: int, progress: Progress) -> None:
    """Let the kernel copy, piece by piece; `size` is what has to arrive."""
    progress.start(size)
    copied = 0
    while copied < size and (moved := os.sendfile(target.fileno(), source.fileno(), None, _PIECE)):
        copied += moved
        progress.advance(moved)
    now = os.fstat(source.fileno()).st_size
    if copied != size or now != size:
        raise IntegrityError(f"the file was {size} bytes long, and {now} when {copied} had been copied")


@contextmanager
def _errors(path: str, *, uploading: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if uploading and error.errno in {errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY}:
            message = "a folder is where the file, or a file or link where a folder, has to be"
            raise AlreadyExists(message, path=path) from error
        raise _translated(error, path) from error


def _translated(error: OSError, path: str) -> StorageError:
    kind, message = _KINDS.get(error.errno or 0, (Unavailable, f"the file system reports: {error.strerror}"))
    return kind(message, path=path)


SPEC: Final = ProviderSpec(
    type="file", settings=FileSettings, factory=FileProvider, summary="A local folder as a storage."
)


@hookimpl
def faas_supervisor_storage_providers() -> list[ProviderSpec]:
    """Offer the provider, as any plugin does."""
    return [SPEC]
