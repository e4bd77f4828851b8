"""Several files at once: a small pool with a bounded queue; a single file needs no thread."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from faas_supervisor.errors import SupervisorError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["in_parallel"]

Job = TypeVar("Job")
Done = TypeVar("Done")


def in_parallel(
    work: Callable[[Job], Done], jobs: Iterable[Job], *, width: int, stop: threading.Event
) -> Iterator[tuple[Job, Done | SupervisorError]]:
    """Yield each job with its outcome as it ends; a job that fails does not stop the others.

    At most `2 * width` jobs are taken from `jobs` ahead of the consumer, so their number needs no memory.
    When the consumer leaves early, `stop` is set and the jobs under way are waited for.
    """
    source = iter(jobs)
    head = list(islice(source, 2))
    if len(head) < 2 or width == 1:  # noqa: PLR2004  # nothing to do side by side
        for job in chain(head, source):
            yield job, _outcome(work, job)
        return
    yield from _pooled(work, chain(head, source), width, stop)


def _pooled(
    work: Callable[[Job], Done], source: Iterator[Job], width: int, stop: threading.Event
) -> Iterator[tuple[Job, Done | SupervisorError]]:
    from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait  # noqa: PLC0415  # see above

    pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix="transfer")
    pending: dict[Future[Done | SupervisorError], Job] = {}
    finished = False
    try:
        while True:
            for job in islice(source, 2 * width - len(pending)):
                pending[pool.submit(_outcome, work, job)] = job
            if not pending:
                break
            # Each job has its own time-outs, so this wait ends.
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), future.result()
        finished = True
    finally:
        if not finished:
            stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _outcome(work: Callable[[Job], Done], job: Job) -> Done | SupervisorError:
    try:
        return work(job)
    except SupervisorError as error:
        return error
