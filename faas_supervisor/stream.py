"""Outputs while the script runs: a file that is finished in the stream folder goes up at once.

So a Job that is evicted keeps what it had. The folder is looked through again and again; why, and what counts as
finished, is in docs/adr/0016-stream.md.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from faas_supervisor.errors import SupervisorError, printable
from faas_supervisor.logs import log
from faas_supervisor.outputs import matches
from faas_supervisor.storage._names import join
from faas_supervisor.storage._parallel import in_parallel
from faas_supervisor.storage._transfer import Transfer
from faas_supervisor.values import replace, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from faas_supervisor.config import Output
    from faas_supervisor.report import RunReport
    from faas_supervisor.storage._store import Stores
    from faas_supervisor.storage._transfer import Transferred

__all__ = ["Stream"]

# A file is uploaded when two looks have found the same, so this is what "at once" means.
_PAUSE: Final = 0.2

# Looking through a large folder takes long; it must not take more than a fiftieth of a processor.
_REST: Final = 50

# Seconds.
_NEVER: Final = 86_400.0

# What is remembered about a file takes some 400 bytes. Further files wait for stage out.
_MOST: Final = 20_000

# An upload that failed is tried again here, and once more at stage out, so neither has to be patient.
_DEADLINE: Final = 30.0
_AGAIN: Final = 60.0


class _Mark(NamedTuple):
    """What changes when a file's content does."""

    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@value
class _Ready:
    """A file that looks finished, and one output that wants it."""

    file: Path
    name: str
    number: int
    output: Output
    mark: _Mark


class Stream:
    """Uploads what is finished in the stream folder of one run while its script runs: a context manager, and a `Watch`.

    Its thread begins with `started`, and has ended when the context is left. It never fails: what can't be
    uploaded is warned about, and left for stage out.

    Args:
        name: That of the folder, which is made in `root`.
        root: `TMP_OUTPUT_DIR`.
        outputs: What is wanted where.
        stores: The stores that the outputs name.
        transfer: The engine, whose settings apply.
        report: Gets every upload, and a warning for each that failed.
    """

    def __init__(
        self,
        name: str,
        *,
        root: Path,
        outputs: Sequence[Output],
        stores: Stores,
        transfer: Transfer,
        report: RunReport,
    ) -> None:
        self._name = name
        self._root = root
        self._outputs = outputs
        self._stores = stores
        self._transfer = transfer
        self._report = report
        self._seen: dict[str, _Mark] = {}
        self._done: dict[tuple[int, str], _Mark] = {}
        self._failed: dict[tuple[int, str], float] = {}
        self._full = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="stream", daemon=True)

    def __enter__(self) -> Self:
        (self._root / self._name).mkdir(mode=0o700)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            # No more begin; those under way have their own time-outs, and end at once when the invocation must.
            self._thread.join()

    def started(self, pid: int) -> None:  # noqa: ARG002  # we look at files, whoever writes them
        """Begin to look; called when the script runs."""
        self._thread.start()

    def look(self) -> float:
        """Return when to be asked again: there is nothing to say, since the thread does the work."""
        return _NEVER

    def covers(self, name: str) -> bool:
        """Whether the file `name`, relative to the output folder, lies in the stream folder."""
        return name.startswith(f"{self._name}/")

    def has_uploaded(self, file: Path, name: str, number: int) -> bool:
        """Whether the file `name`, as it is now, went to output `number` already. To be asked after the context."""
        mark = self._done.get((number, name))
        if mark is None:
            return False
        with contextlib.suppress(OSError):
            return _Mark.of(file.lstat()) == mark
        return False

    def uploaded(self, number: int) -> int:
        """Return how many files went to output `number`."""
        return sum(1 for done, _ in self._done if done == number)

    def _work(self) -> None:
        pause = _PAUSE
        while not self._ended.wait(pause):
            begun = time.monotonic()
            ready = list(self._look())
            pause = max(_PAUSE, _REST * (time.monotonic() - begun))
            try:
                self._upload(ready)
            except Exception as error:  # noqa: BLE001  # the thread's border: stage out will tell what is wrong
                if not self._transfer.stop.is_set():
                    log.warning("outputs are no longer uploaded while the script runs: %s", error)
                return

    def _look(self) -> Iterator[_Ready]:
        """Yield what is the same as at the last look, and not uploaded yet."""
        before, self._seen = self._seen, {}
        now = time.monotonic()
        for name, entry in self._files():
            wanting = [number for number, output in enumerate(self._outputs) if matches(name, output)]
            try:
                mark = _Mark.of(entry.stat(follow_symlinks=False)) if wanting else None
            except OSError:  # gone, or shut meanwhile
                continue
            missing = [number for number in wanting if self._done.get((number, name)) != mark]
            due = [number for number in missing if self._failed.get((number, name), now) <= now]
            if mark is None or not due:
                continue
            if len(self._seen) + len(self._done) + len(self._failed) >= _MOST:
                if not self._full:
                    log.info("further files in the stream folder are uploaded when the script has ended")
                self._full = True
                return
            self._seen[name] = mark
            if before.get(name) == mark:
                for number in due:
                    yield _Ready(Path(entry.path), name, number, self._outputs[number], mark)

    def _files(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield every regular file of the folder with its name below the output folder; links wait for stage out.

        Not by `files_below`: for thousands of files, again and again, paths as objects are too slow.
        """
        top = f"{self._root}/{self._name}"
        pending = [] if os.path.islink(top) else [self._name]  # noqa: PTH114  # as above
        while pending:
            folder = pending.pop()
            # The script may remove a folder, and make it again.
            with contextlib.suppress(OSError), os.scandir(f"{self._root}/{folder}") as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{folder}/{entry.name}")
                    elif entry.is_file(follow_symlinks=False):
                        yield f"{folder}/{entry.name}", entry

    def _upload(self, ready: list[_Ready]) -> None:
        # Of its own: a store that is down now need not be down at stage out.
        engine = Transfer(
            replace(self._transfer.retry, deadline=min(_DEADLINE, self._transfer.retry.deadline)),
            self._transfer.files,
            self._transfer.stop,
            self._transfer.watch,
        )

        def move(file: _Ready) -> Transferred | None:
            with _finished(file, self._root) as source:
                if source is None:
                    return None
                path = join(file.output.path, file.name)
                return engine.upload(self._stores.open(file.output.provider), source, path, unless_there=True)

        # Once the script has ended, what has not begun is left for stage out.
        jobs = (file for file in ready if not self._ended.is_set())
        for file, outcome in in_parallel(move, jobs, width=self._transfer.files, stop=self._transfer.stop):
            if isinstance(outcome, SupervisorError):
                if self._transfer.stop.is_set():
                    raise outcome
                self._note(file, outcome)
            elif outcome is not None:
                self._report.outputs.add(outcome)
                self._failed.pop((file.number, file.name), None)
                self._done[file.number, file.name] = file.mark

    def _note(self, file: _Ready, error: SupervisorError) -> None:
        key = (file.number, file.name)
        if key not in self._failed:
            self._report.warn(f"{printable(file.name)} is not uploaded yet, and will be tried again: {error}")
        self._failed[key] = time.monotonic() + _AGAIN


@contextlib.contextmanager
def _finished(file: _Ready, root: Path) -> Iterator[Path | None]:
    """Give a path to the very file that was seen, whatever the script does with its name; None if it isn't finished.

    The script still runs, and could put a link to another place there after any look at the name.
    """
    try:
        descriptor = os.open(file.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        opened = Path(f"/proc/self/fd/{descriptor}")
        inside = Path(os.path.realpath(opened)).is_relative_to(os.path.realpath(root))
        same = _Mark.of(os.fstat(descriptor)) == file.mark
        yield opened if inside and same and _is_closed(descriptor) else None
    finally:
        os.close(descriptor)


def _is_closed(descriptor: int) -> bool:
    """Whether no process has the file open for writing: the kernel leases it for reading only then (fcntl(2)).

    A file system without leases says so; there, that two looks found the same has to do.
    """
    try:
        # Whoever opens it for writing meanwhile waits until we give the lease back, a moment later. The signal that
        # tells us would be SIGIO, which ends a process; SIGURG is ignored unless somebody wants it.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno != errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True
