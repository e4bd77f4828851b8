"""Several files at once: a small pool with a bounded queue."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeVar

from faas_supervisor.errors import SupervisorError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["in_parallel"]

# Long enough to abort a multipart upload, short enough for Kubernetes' grace period of 30 seconds.
_PATIENCE: Final = 5.0

Job = TypeVar("Job")
Done = TypeVar("Done")


def in_parallel(
    work: Callable[[Job], Done], jobs: Iterable[Job], *, width: int, stop: threading.Event
) -> Iterator[tuple[Job, Done | SupervisorError]]:
    """Yield each job with its outcome as it ends; a job that fails does not stop the others.

    At most `2 * width` jobs are taken from `jobs` ahead of the consumer, so their number needs no memory.
    Even a single job has a thread of its own: in a library that waits for a silent server no signal is
    handled, in this function it is. When the consumer leaves early no more jobs begin, and those under way
    are waited for; but after `stop` was set, which ends them, only for a few seconds.
    """
    source = iter(jobs)
    head = list(islice(source, 1))
    if not head:
        return
    source = chain(head, source)
    from concurrent.futures import Future, ThreadPoolExecutor, wait  # noqa: PLC0415  # a run may have no files
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
            future = ended.get()  # each job has its own time-outs, so this wait ends
            yield pending.pop(future), future.result()
    finally:
        under_way = [future for future in pending if not future.cancel()]
        hung = wait(under_way, timeout=_PATIENCE if stop.is_set() else None).not_done
        pool.shutdown(wait=not hung)


def _outcome(work: Callable[[Job], Done], job: Job) -> Done | SupervisorError:
    try:
        return work(job)
    except SupervisorError as error:
        return error
