"""Warm scripts: started once, and given one event after the other, so that a model is loaded once.

A warm script reads lines of JSON from its standard input, one for each run, and answers each with a line on the
descriptor `$WARM_REPLY_FD`; its standard output and error mean what they mean for every script. `docs/warm.md` tells
its authors more.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from faas_supervisor.errors import Failure, ScriptError
from faas_supervisor.logs import log
from faas_supervisor.script._exchange import Exchange
from faas_supervisor.script._keeper import Keeper
from faas_supervisor.script._start import Setup
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faas_supervisor.script._output import Sink
    from faas_supervisor.script._process import Outcome, Watch
    from faas_supervisor.stop import Stop

__all__ = ["WarmScripts"]

# How long to wait before a script that died without having answered anything is started again.
_FIRST_PAUSE: Final = 0.1

# How often whoever waits for a free one looks whether it has to stop.
_LOOK: Final = 0.1

# Larger files are told apart by what the file system says about them.
_READ: Final = 1024 * 1024


class WarmScripts:
    """The warm scripts of one configuration; a context manager that ends them.

    Args:
        environment: What they are started with; what a run has beyond it is told with the run.
        most: How many there may be; each works on one run at a time, and who finds none free waits.
        outer: Where their folders are made, see `Workspace`.
        longest_pause: Seconds at most before one is started again that never answers.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        outer: Mapping[str, str],
        *,
        most: int = 1,
        longest_pause: float = 10.0,
    ) -> None:
        self._environment: Final = environment
        self._outer: Final = outer
        self._longest_pause: Final = longest_pause
        self._places: Final = threading.BoundedSemaphore(most)
        self._lock: Final = threading.Lock()
        self._idle: list[_Warm] = []
        self._failures = 0
        self._closed = False

    def run(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdout: Sink,
        stderr: Sink,
        stop: Stop,
        setup: Setup = Setup(),  # noqa: B008  # a constant
        watches: Sequence[Watch] = (),
        grace: float = 10.0,
    ) -> Outcome:
        """Hand a run to a warm script, started if need be, and return how it went; as `run` for other scripts.

        - Once `stop` is set, or a watch says so, the script is ended; the next run starts another one.
        - The usage is what the script's own process used meanwhile.

        Raises:
            ScriptError: It can't be started, ended without an answer, or answered something else than it should.
            SupervisorError: What `stop` or a watch gave as the reason.
        """
        while not self._places.acquire(timeout=_LOOK):
            if stop.is_set():
                raise stop.error()
        try:
            warm = self._taken(_identity(argv)) or self._started(argv, setup, stop, grace)
            try:
                outcome = warm.run(environment, stdout, stderr, stop, watches)
            finally:
                self._given_back(warm, asked_to_end=stop.is_set())
            return outcome
        finally:
            self._places.release()

    def prepare(self, argv: Sequence[str], *, setup: Setup, grace: float) -> None:
        """Start one that waits for its first run, so that it has loaded what it needs when that comes.

        Raises:
            ScriptError: It can't be started.
        """
        with self._places:
            self._given_back(_Warm(argv, self._environment, self._outer, setup, grace, fresh=False), asked_to_end=True)

    def close(self) -> None:
        """End them: at the end of their input, as they should, or soon after."""
        with self._lock:
            self._closed = True
            ending, self._idle = self._idle, []
        # Each step for all of them: ten that don't mind take no longer than one.
        for warm in ending:
            warm.keeper.hang_up()
        for warm in ending:
            warm.keeper.urge()
        for warm in ending:
            warm.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _taken(self, identity: str) -> _Warm | None:
        """Return a free one that runs and is of this script."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                warm = self._idle.pop()
            if warm.is_fit and warm.identity == identity:
                return warm
            warm.close()

    def _started(self, argv: Sequence[str], setup: Setup, stop: Stop, grace: float) -> _Warm:
        if self._failures:
            pause = min(_FIRST_PAUSE * 2 ** (self._failures - 1), self._longest_pause)
            log.warning("the warm script is started again in %.1f s", pause)
            if stop.wait(pause):
                raise stop.error()
        try:
            return _Warm(argv, self._environment, self._outer, setup, grace, fresh=True)
        except ScriptError:
            self._failures += 1
            raise

    def _given_back(self, warm: _Warm, *, asked_to_end: bool) -> None:
        if not asked_to_end:
            self._failures = 0 if warm.answered else self._failures + 1
        with self._lock:
            fit = warm.is_fit and not self._closed
            if fit:
                self._idle.append(warm)
        if not fit:
            warm.close()


class _Warm:
    """One warm script: its process, its pipes, its folder.

    Attributes:
        identity: What tells whether it is of the same script.
        answered: Whether it has ever answered.
        keeper: Its process.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        outer: Mapping[str, str],
        setup: Setup,
        grace: float,
        *,
        fresh: bool,
    ) -> None:
        self.identity: Final = _identity(argv)
        self.answered = False
        self._fresh = fresh
        self._resources: Final = contextlib.ExitStack()
        with contextlib.ExitStack() as made:
            workspace = made.enter_context(Workspace(outer))
            self._variables: Final = workspace.root / "environment"
            self._given: Final = {
                # A script that prints would otherwise print into a later run.
                "PYTHONUNBUFFERED": "1",
                **environment,
                "TMP_OUTPUT_DIR": str(workspace.root),  # by it, its descendants are known
                "WARM_ENVIRONMENT": str(self._variables),
            }
            self._variables.touch(mode=0o600)
            self.keeper: Final = made.enter_context(Keeper(argv, self._given, setup, grace, busy=fresh))
            self._resources.push(made.pop_all())
        self._names: tuple[str, ...] = ()

    @property
    def is_fit(self) -> bool:
        """Whether it runs and waits for the next run."""
        return self.keeper.is_running and not self.keeper.is_ending

    def run(
        self, environment: Mapping[str, str], stdout: Sink, stderr: Sink, stop: Stop, watches: Sequence[Watch]
    ) -> Outcome:
        """See `WarmScripts.run`."""
        added = {name: text for name, text in environment.items() if self._given.get(name) != text}
        self._write(added)
        request = {"input": environment.get("INPUT_FILE_PATH"), "output": environment["TMP_OUTPUT_DIR"]}
        fresh, self._fresh = self._fresh, False
        exchange = Exchange(self.keeper, {**request, "environment": added}, stdout, stderr, fresh=fresh)
        outcome = exchange.run(stop, watches)
        self.answered = self.answered or exchange.answered
        return outcome

    def close(self) -> None:
        """End it, and remove what it had."""
        self._resources.close()

    def _write(self, added: Mapping[str, str]) -> None:
        """Write the variables of a run for a shell to read: `. "$WARM_ENVIRONMENT"`; those of the last one go."""
        names = tuple(name for name in added if name.isascii() and name.isidentifier())
        lines = [f"unset {name}\n" for name in self._names if name not in names]
        lines.extend(f"export {name}='{added[name].replace(chr(39), _QUOTE)}'\n" for name in names)
        self._names = names
        try:
            self._variables.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise ScriptError(
                f"the warm script can't be told its variables: {error.strerror}", failure=Failure.NO_SPACE
            ) from error


_QUOTE: Final = "'\\''"


def _identity(argv: Sequence[str]) -> str:
    """Return what changes when the script does: its command, and its content, wherever its file is."""
    file = Path(argv[-1])
    try:
        status = file.stat()
        if status.st_size > _READ:
            content = f"{file} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
        else:
            content = hashlib.blake2b(file.read_bytes()).hexdigest()
    except OSError:
        content = str(file)
    return "\0".join((*argv[:-1], content))
