"""The invocation's private folder: one input and one output folder for each run, gone at the end."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from faas_supervisor.errors import NoSpace
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

__all__ = ["Folders", "Workspace"]


@dataclass(frozen=True, slots=True)
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


class Workspace:
    """A folder that only this user can enter; a context manager that removes it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.root = _make(environment)

    @contextlib.contextmanager
    def folders(self, number: int) -> Iterator[Folders]:
        """Make the folders of run `number`, and remove them when it is done: the next one needs the room."""
        run = self.root / str(number)
        made = Folders(run / "input", run / "output", run / "private")
        for folder in (run, made.input, made.output, made.private):
            folder.mkdir(mode=0o700)
        try:
            yield made
        finally:
            _remove(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _remove(self.root)


def _make(environment: Mapping[str, str]) -> Path:
    """Make the folder in the first place that takes one: `$TMPDIR`, then where images usually let anyone write."""
    tried: list[str] = []
    for base in (environment.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm", str(Path.cwd())):  # noqa: S108
        if not base:
            continue
        root = Path(base) / f"supervisor-{os.urandom(8).hex()}"
        try:
            root.mkdir(mode=0o700)
        except OSError as error:
            tried.append(f"{base} ({error.strerror})")
            continue
        if tried:
            log.warning("the workspace is %s: could not write to %s", root, ", ".join(tried))
        return root
    raise NoSpace(
        f"no folder for the workspace: {', '.join(tried)}", hint="mount a writable volume and set TMPDIR to it"
    )


def _remove(root: Path) -> None:
    import shutil  # noqa: PLC0415  # only now, after the script

    shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        # A script may have taken our rights on its folders away; they are its user's, so we can take them back.
        for folder, _, _ in os.walk(root):
            _open_up(folder)
        shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        log.warning("the workspace %s could not be removed", root)


def _open_up(folder: str) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)  # noqa: PTH101  # scandir speaks in strings
