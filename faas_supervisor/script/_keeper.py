"""Keeps one warm script: a thread of its own starts it, stays as long as it runs, and buries it.

The thread has to stay since the kernel ends a process with the thread that started it (see `start`), and the threads
that handle events come and go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from faas_supervisor.errors import Failure, ScriptError, SupervisorError, Terminated, printable
from faas_supervisor.logs import log
from faas_supervisor.script._process import run
from faas_supervisor.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from faas_supervisor.script._process import Outcome
    from faas_supervisor.script._start import Setup

__all__ = ["REPLY", "Keeper", "read_ready"]

REPLY: Final = 4
"""The script's descriptor for its answers; 3 is taken while it starts."""

# So that no descriptor of ours has a number that the script's are to get.
_LOWEST: Final = 10

# How long a script may take to end after its input has.
_PATIENCE: Final = 2.0
_STARTING: Final = 30.0

# How often what a script writes between two runs is taken.
_LOOK: Final = 1.0

_PIECE: Final = 64 * 1024

# What a background process writes is endless; of what the script wrote a pipe has at most this.
_PIPE: Final = 1024 * 1024


class Keeper:
    """A warm script's process; a context manager that ends it.

    Attributes:
        requests: Where its standard input is written.
        stdout: Where its standard output is read.
        stderr: Where its standard error is read.
        replies: Where its answers are read.
        ended: Readable once it has ended.
        pid: Its number.
        busy: Held by whoever hands it a run, from the start if that is what it is started for: what it writes meanwhile
            is the run's.

    Raises:
        ScriptError: It can't be started.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], setup: Setup, grace: float, *, busy: bool
    ) -> None:
        self._grace: Final = grace
        self._stop: Final = Stop()
        self._outcome: Outcome | None = None
        self._error: SupervisorError | None = None
        self._started: Final = threading.Event()
        self._hung_up = 0.0
        self.pid = 0
        self.busy: Final = threading.Lock()
        if busy:
            self.busy.acquire()
        theirs, self.requests = _pipe()
        self._theirs = {0: theirs}
        self.stdout, self._theirs[1] = _pipe()
        self.stderr, self._theirs[2] = _pipe()
        self.replies, self._theirs[REPLY] = _pipe()
        self._ours = [self.requests, self.stdout, self.stderr, self.replies]
        for number in self._ours:
            os.set_blocking(number, False)
        self.ended: Final = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        environment = {**environment, "WARM_REPLY_FD": str(REPLY)}
        self._thread: Final = threading.Thread(
            target=self._keep, args=(argv, environment, setup), name="warm-script", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            self._close_theirs()
            self.close()
            raise ScriptError(
                f"the warm script can't be started: {error}", failure=Failure.NOT_EXECUTABLE, hint="see its limits"
            ) from error
        self._started.wait(_STARTING)
        self._require_started()

    def _require_started(self) -> None:
        if not self.pid:
            self.close()
            raise self._error or ScriptError("the warm script does not start", failure=Failure.NOT_EXECUTABLE)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._outcome is None and self._error is None

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self._stop.is_set()

    def end(self, error: SupervisorError) -> Outcome | None:
        """End the script because of `error`, and return how it ended."""
        self._stop.set(error)
        return self.outcome()

    def outcome(self) -> Outcome | None:
        """Wait until the script is buried, and return how it ended."""
        self._thread.join()  # the time that it takes to end a script is bound
        return self._outcome

    def has_ended(self, seconds: float) -> bool:
        """Wait at most so long for the script's end, and return whether it has come."""
        poll = select.poll()
        poll.register(self.ended, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def tell(self) -> None:
        """Show in the log what the script wrote while nothing was asked: it belongs to no run, and so to no answer."""
        for number in (self.stdout, self.stderr):
            taken = 0
            while taken < _PIPE and (data := read_ready(number)):
                taken += len(data)
                for line in data.decode("utf-8", "backslashreplace").splitlines():
                    log.info("the warm script, between runs: %s", printable(line))

    def hang_up(self) -> None:
        """End the script's input, which asks it to end; `close` has to follow."""
        if self.requests in self._ours:
            self._ours.remove(self.requests)
            os.close(self.requests)
            self._hung_up = time.monotonic()

    def urge(self) -> None:
        """Have the script ended if it has not by itself a while after the end of its input."""
        self.hang_up()
        patience = min(_PATIENCE, self._grace) - (time.monotonic() - self._hung_up)
        if self._thread.ident is not None and not self.has_ended(max(0.0, patience)):
            self._stop.set(Terminated("no more events come"))

    def close(self) -> None:
        """End the script, by the end of its input if that is enough, and free everything."""
        self.urge()
        if self._thread.ident is not None:
            self._thread.join()
        for number in self._ours:
            os.close(number)
        self._ours.clear()
        os.close(self.ended)
        self._stop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # A watch, to be told when the script has started; see `faas_supervisor.script.Watch`.

    def started(self, pid: int) -> None:
        """Leave the script's ends of the pipes to it, so that their end is its end."""
        self.pid = pid
        self._close_theirs()
        self._started.set()

    def look(self) -> float:
        """Take what the script writes between runs, so that it need not wait for one to go on loading its model."""
        if self.busy.acquire(blocking=False):
            try:
                self.tell()
            finally:
                self.busy.release()
        return _LOOK

    def _keep(self, argv: Sequence[str], environment: Mapping[str, str], setup: Setup) -> None:
        nobody = _Nobody()
        try:
            self._outcome = run(
                argv,
                environment,
                stdout=nobody,
                stderr=nobody,
                stop=self._stop,
                setup=setup,
                watches=(self,),
                grace=self._grace,
                streams=self._theirs,
            )
        except SupervisorError as error:
            self._outcome, self._error = error.outcome, error
        except Exception as error:  # noqa: BLE001  # the border of a thread: who waits must be told
            log.debug("internal error", exc_info=error)
            self._error = SupervisorError(f"internal error: {type(error).__name__}: {error}")
        finally:
            self._close_theirs()
            self._tell_of_end()
            os.eventfd_write(self.ended, 1)
            self._started.set()

    def _tell_of_end(self) -> None:
        """Say what came last of a script that ends while nobody waits for its answer."""
        if not self.busy.acquire(blocking=False):
            return
        try:
            self.tell()
            if self._outcome is not None and not self.is_ending and self.requests in self._ours:
                log.warning("the warm script ended between runs, with status %d", self._outcome.status)
        finally:
            self.busy.release()

    def _close_theirs(self) -> None:
        while self._theirs:
            os.close(self._theirs.popitem()[1])


class _Nobody:
    """Takes nothing, since the script writes into other pipes."""

    def write(self, data: bytes) -> None:
        """Drop `data`."""


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe, away from the numbers that mean something to a script."""
    ends = os.pipe()
    try:
        read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LOWEST) for end in ends)
    finally:
        for end in ends:
            with contextlib.suppress(OSError):
                os.close(end)
    return read, write


def read_ready(number: int) -> bytes | None:
    """Return what is in a pipe: nothing at its end, None when there is nothing yet."""
    try:
        return os.read(number, _PIECE)
    except BlockingIOError:
        return None
