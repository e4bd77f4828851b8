"""Several files at once: a small pool with a bounded queue."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeVar

from faas_supervisor.errors import SupervisorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from queue import SimpleQueue

    from faas_supervisor.stop import Stop

__all__ = ["in_parallel"]

# Long enough to abort a multipart upload, short enough for Kubernetes' grace period of 30 seconds.
_PATIENCE: Final = 5.0

# How soon it is noticed that everything has to end, when no job ends by itself.
_LOOK: Final = 0.1

Job = TypeVar("Job")
Done = TypeVar("Done")


def in_parallel(
    work: Callable[[Job], Done], jobs: Iterable[Job], *, width: int, stop: Stop
) -> Iterator[tuple[Job, Done | SupervisorError]]:
    """Yield each job with its outcome as it ends; a job that fails does not stop the others.

    At most `2 * width` jobs are taken from `jobs` ahead of the consumer, so their number needs no memory.
    Even a single job has a thread of its own: a library that waits for a silent server does not hear of
    `stop`, this function does. When the consumer leaves early no more jobs begin, and those under way are
    waited for; but after `stop` was set, which ends them, only for a few seconds.

    Raises:
        SupervisorError: `stop` was set, and no job has ended since.
    """
    source = iter(jobs)
    head = list(islice(source, 1))
    if not head:
        return
    source = chain(head, source)
    from concurrent.futures import ThreadPoolExecutor, wait  # noqa: PLC0415  # a run may have no files
    from queue import SimpleQueue  # noqa: PLC0415  # as above

    pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix="transfer")
    pending: dict[Future[Done | SupervisorError], Job] = {}
    # For hundreds of small files, `wait` for the first of many futures takes longer than the work itself.
    ended: SimpleQueue[Future[Done | SupervisorError]] = SimpleQueue()
    try:
        while True:
            for job in islice(source, 2 * width - len(pending)):
                future = pool.submit(_outcome, work, job)
                pending[future] = job
                future.add_done_callback(ended.put)
            if not pending:
                break
            future = _first(ended, stop)
            yield pending.pop(future), future.result()
    finally:
        under_way = [future for future in pending if not future.cancel()]
        hung = wait(under_way, timeout=_PATIENCE if stop.is_set() else None).not_done
        pool.shutdown(wait=not hung)


def _first(ended: SimpleQueue[Future[Done | SupervisorError]], stop: Stop) -> Future[Done | SupervisorError]:
    """Return the next job that ends. Each has its own time-outs, so one does, unless `stop` comes first."""
    from queue import Empty  # noqa: PLC0415  # as above

    while True:
        try:
            return ended.get(timeout=_LOOK)
        except Empty:
            if stop.is_set():
                raise stop.error("a transfer") from None


def _outcome(work: Callable[[Job], Done], job: Job) -> Done | SupervisorError:
    try:
        return work(job)
    except SupervisorError as error:
        return error
