"""The same work on many jobs, in several threads, until the first failure."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["in_parallel"]

Job = TypeVar("Job")


def in_parallel(work: Callable[[Job, Callable[[], bool]], None], jobs: Iterable[Job], workers: int) -> None:
    """Call `work(job, stopped)` for each job, `workers` at a time, one of them in this thread.

    The first exception stops all: no further job is begun, `stopped()` turns true for those under way, and once they
    have ended the exception is raised here. No thread outlives the call.
    """
    crew = _Crew(work, jobs)
    threads = [threading.Thread(target=crew.run, name=f"part-{n}", daemon=True) for n in range(1, workers)]
    started = [thread for thread in threads if _start(thread)]
    crew.run()
    try:
        for thread in started:
            thread.join()
    except BaseException:  # such as KeyboardInterrupt
        crew.stop()
        for thread in started:
            thread.join()
        raise
    if crew.error is not None:
        raise crew.error


def _start(thread: threading.Thread) -> bool:
    """Start the thread if the limit on processes allows; those that run do the work as well."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


class _Crew(Generic[Job]):
    def __init__(self, work: Callable[[Job, Callable[[], bool]], None], jobs: Iterable[Job]) -> None:
        self._work = work
        self._jobs = iter(jobs)
        self._taking = threading.Lock()
        self._stopped = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._work(job, self.is_stopped)
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            with self._taking:
                self.error = self.error or error
            self.stop()

    def stop(self) -> None:
        self._stopped = True

    def is_stopped(self) -> bool:
        return self._stopped

    def _next(self) -> Job | None:
        with self._taking:
            return None if self._stopped else next(self._jobs, None)
