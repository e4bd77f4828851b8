"""The invocation's private folder: one input and one output folder for each run, gone at the end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from faas_supervisor.errors import NoSpace, printable
from faas_supervisor.logs import log
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

__all__ = ["Folders", "Workspace", "remove"]

_PLACES: Final = ("/tmp", "/var/tmp", "/dev/shm", ".")  # noqa: S108  # a folder of our own is made there


@value
class Folders:
    """The folders of one run, all on one file system.

    Attributes:
        input: `TMP_INPUT_DIR`: holds whole files only.
        output: `TMP_OUTPUT_DIR`.
        private: For what the script need not see: partial downloads, its recorded output, archives.
    """

    input: Path
    output: Path
    private: Path

    @property
    def response(self) -> Path:
        """`RESPONSE_META`: what the script may write about the HTTP response; beside the output folder."""
        return self.output.with_name("response.json")


class Workspace:
    """A folder that only this user can enter; a context manager that removes it, unless it is a front's `folder`.

    A front that gives one removes it when the client has its answer, so that nobody waits for that.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path | None = None) -> None:
        self._is_ours: Final = folder is None
        self.root: Final = folder or _make((environment.get("TMPDIR", ""), *_PLACES))
        self._done: Path | None = None

    @contextlib.contextmanager
    def folders(self, number: int) -> Iterator[Folders]:
        """Make the folders of run `number`, and remove them when it is done: the next one needs the room."""
        self.clear()
        run = self.root / str(number)
        made = Folders(run / "input", run / "output", run / "private")
        for folder in (run, made.input, made.output, made.private):
            folder.mkdir(mode=0o700)
        self._done = run
        try:
            yield made
        finally:
            if self._is_ours:
                self.clear()

    def clear(self) -> None:
        """Remove the folders of the last run, if they are still there."""
        if self._done is not None:
            remove(self._done)
            self._done = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_ours:
            remove(self.root)


def _make(places: tuple[str, ...]) -> Path:
    """Make the folder in the first place that takes one: usually `$TMPDIR`, then where images let anyone write."""
    tried: list[str] = []
    for base in places:
        if not base:
            continue
        try:
            # Absolute, since the script may go elsewhere.
            root = Path(base).absolute() / f"supervisor-{os.urandom(8).hex()}"
            root.mkdir(mode=0o700)
        except OSError as error:
            tried.append(f"{printable(base)} ({error.strerror})")
            continue
        if tried:
            log.warning("the workspace is %s: could not write to %s", root, ", ".join(tried))
        return root
    raise NoSpace(
        f"no folder for the workspace: {', '.join(tried)}", hint="mount a writable volume and set TMPDIR to it"
    )


def remove(root: Path) -> None:
    """Remove a tree of any depth. The script is our own user: the folders that it shut can be opened again."""
    folders: list[str] = []
    pending = [] if os.path.islink(root) else [str(root)]  # noqa: PTH114  # Path.is_symlink raises in a shut folder
    while pending:
        folder = pending.pop()
        folders.append(folder)
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)  # noqa: PTH101  # scandir speaks in strings
        pending.extend(_emptied(folder))
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106  # as above
    if os.path.lexists(root):
        log.warning("the workspace %s could not be removed", root)


def _emptied(folder: str) -> Iterator[str]:
    """Remove the files of one folder, and yield the folders in it."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.path
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108  # as above
