"""What the tests of the kit stand on: the provider under test, a folder, and short ways to use both."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

import pytest

from faas_supervisor.errors import Cancelled, StorageError
from faas_supervisor.storage import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faas_supervisor.storage import ObjectInfo, Progress, StorageProvider

__all__ = ["Recorder", "Rig", "content", "expect", "finish_within", "have_ended", "require"]

T = TypeVar("T")

_END_OF_THREADS: Final = 5.0


def require(holds: object, rule: str, seen: object = None) -> None:
    """Fail the test with the broken `rule`, and with what was `seen`, unless `holds`."""
    __tracebackhide__ = True
    if not holds:
        pytest.fail(rule if seen is None else f"{rule}\nSeen: {seen!r}")


@contextlib.contextmanager
def expect(rule: str) -> Iterator[None]:
    """Fail the test with `rule` when a storage operation in the block raises."""
    __tracebackhide__ = True
    try:
        yield
    except StorageError as error:
        pytest.fail(f"{rule}\nSeen: {error!r}")


def content(size: int, seed: int = 0) -> bytes:
    """Return `size` bytes that look random and are the same every time."""
    return random.Random(seed).randbytes(size)  # noqa: S311  # test data


def finish_within(seconds: float, action: Callable[[], T], rule: str) -> T:
    """Return what `action` returns, or raise what it raises; fail with `rule` if it takes too long."""
    __tracebackhide__ = True
    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(action())
        except BaseException as error:  # noqa: BLE001  # handed to the test's own thread
            raised.append(error)

    thread = threading.Thread(target=run, name="contract-action", daemon=True)
    thread.start()
    thread.join(seconds)
    require(not thread.is_alive(), f"{rule} (it was still busy after {seconds:g} s)")
    if raised:
        raise raised[0]
    return returned[0]


def have_ended(threads: set[threading.Thread]) -> bool:
    """Wait a moment for `threads` to end, and return whether all did."""
    deadline = time.monotonic() + _END_OF_THREADS
    # A thread without `ident` is about to start, and can't be joined yet.
    while busy := {thread for thread in threads if thread.ident is None or thread.is_alive()}:
        if time.monotonic() > deadline:
            return False
        for thread in busy:
            if thread.ident is not None:
                thread.join(0.01)
    return True


class Recorder:
    """A `Progress` that remembers what it was told, and may end the transfer after `cancel_after` bytes."""

    def __init__(self, *, cancel_after: int | None = None) -> None:
        self.totals: list[int | None] = []
        self.moved = 0
        self.moved_before_start = 0
        self.cancelled = threading.Event()
        self._cancel_after = cancel_after
        self._lock = threading.Lock()

    def start(self, total: int | None) -> None:
        """Remember the total."""
        self.totals.append(total)

    def advance(self, n: int) -> None:
        """Count, and raise `Cancelled` from the chosen byte on."""
        with self._lock:
            self.moved += n
            if not self.totals:
                self.moved_before_start += n
            if self._cancel_after is not None and self.moved > self._cancel_after:
                self.cancelled.set()
                raise Cancelled


class Rig:
    """A provider whose objects all lie below `root`, and a local folder for what moves."""

    def __init__(self, provider: StorageProvider, root: str, folder: Path) -> None:
        self.provider: Final = provider
        self.root: Final = root.strip("/")
        self.folder: Final = folder
        self.arrivals: Final = folder / "arrivals"
        self.arrivals.mkdir(parents=True, exist_ok=True)
        self._count = 0
        self._lock = threading.Lock()

    def path(self, name: str) -> str:
        """Return the remote path of the object `name`."""
        return "/".join(part for part in (self.root, name) if part)

    def upload(self, name: str, data: bytes, progress: Progress | None = None) -> ObjectInfo:
        """Upload `data` from a file of its own."""
        source = self.local("source")
        source.write_bytes(data)
        try:
            return self.provider.upload(source, self.path(name), progress or Recorder())
        finally:
            source.unlink()

    def download(
        self, name: str, progress: Progress | None = None, *, etag: str | None = None
    ) -> tuple[bytes, ObjectInfo]:
        """Download to a new name in `arrivals`, and return the bytes and what the provider said."""
        destination = self.arrivals / self.local("arrival").name
        try:
            info = self.provider.download(ObjectRef(self.path(name), etag=etag), destination, progress or Recorder())
            return destination.read_bytes(), info
        finally:
            destination.unlink(missing_ok=True)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names below `prefix`, relative to the root and sorted."""
        return sorted(info.path.removeprefix(f"{self.root}/") for info in self.provider.list(self.path(prefix)))

    def exists(self, name: str) -> bool:
        """Return whether a listing shows the object."""
        return name in self.names(name)

    def local(self, kind: str) -> Path:
        """Return a local path that nothing else uses."""
        with self._lock:
            self._count += 1
            return self.folder / f"{kind}-{self._count}"

    def leftovers(self) -> list[str]:
        """Return the files in `arrivals`, where a finished test has none."""
        return sorted(path.name for path in self.arrivals.iterdir())
