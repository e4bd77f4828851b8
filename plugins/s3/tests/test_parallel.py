"""Work in several threads ends whole, or with its first error, and leaves no thread."""

from __future__ import annotations

import threading

import pytest

from faas_supervisor_s3 import parallel
from faas_supervisor_s3.parallel import in_parallel


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_every_job_is_done_once(workers):
    done, lock = [], threading.Lock()

    def work(job, stopped):
        with lock:
            done.append(job)
        assert not stopped()

    in_parallel(work, range(10), workers)
    assert sorted(done) == list(range(10))


def test_the_first_error_stops_the_others_and_is_raised():
    others_run, begun = threading.Event(), []

    def work(job, stopped):
        begun.append(job)
        if job == 0:
            others_run.wait(10)
            raise KeyError(job)
        others_run.set()
        while not stopped():
            threading.Event().wait(0.001)

    before = set(threading.enumerate())
    with pytest.raises(KeyError):
        in_parallel(work, range(100), 3)
    assert set(threading.enumerate()) <= before
    assert len(begun) <= 3


def test_a_limit_on_threads_makes_it_slower_only(monkeypatch):
    class Limited(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel.threading, "Thread", Limited)
    done = []
    in_parallel(lambda job, _stopped: done.append(job), range(5), 3)
    assert done == list(range(5))
