"""Several jobs at once: each with its own outcome, few of them waiting, and none left behind."""

from __future__ import annotations

import contextlib
import threading

import pytest

from faas_supervisor.errors import SupervisorError
from faas_supervisor.stop import Stop
from faas_supervisor.storage import _parallel
from faas_supervisor.storage._parallel import in_parallel

TIMEOUT = 30


def outcomes(work, jobs, width=4):
    return dict(in_parallel(work, jobs, width=width, stop=Stop()))


def transfer_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("transfer")]


@pytest.mark.parametrize("width", [1, 2, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_every_job_has_its_outcome(count, width):
    assert outcomes(lambda job: job * job, range(count), width) == {job: job * job for job in range(count)}


@pytest.mark.parametrize("width", [1, 4])
def test_one_that_fails_does_not_stop_the_others(width):
    def work(job):
        if job % 3 == 0:
            raise SupervisorError(f"no {job}")
        return job

    found = outcomes(work, range(20), width)
    assert len(found) == 20
    assert {job for job, outcome in found.items() if isinstance(outcome, SupervisorError)} == set(range(0, 20, 3))


def test_a_slow_one_does_not_hold_the_others_up():
    others_are_done = threading.Event()
    seen = []

    def work(job):
        if job == 0:
            assert others_are_done.wait(TIMEOUT)
        return job

    for job, _ in in_parallel(work, range(6), width=2, stop=Stop()):
        seen.append(job)
        if set(seen) >= {1, 2, 3}:
            others_are_done.set()
    assert sorted(seen) == list(range(6))
    assert seen[0] != 0


def test_as_many_as_the_width_run_at_the_same_time():
    meeting = threading.Barrier(4)
    assert len(outcomes(lambda _: meeting.wait(TIMEOUT), range(4), width=4)) == 4


def test_even_a_single_job_leaves_the_main_thread_free_for_signals():
    assert outcomes(lambda _: threading.current_thread() is threading.main_thread(), [1]) == {1: False}


@pytest.mark.parametrize("width", [1, 4])
def test_only_a_few_jobs_are_taken_ahead_of_the_consumer(width):
    taken = 0

    def jobs():
        nonlocal taken
        for job in range(10_000):
            taken += 1
            yield job

    ahead = []
    for done, _ in enumerate(in_parallel(lambda job: job, jobs(), width=width, stop=Stop()), start=1):
        ahead.append(taken - done)
    assert taken == 10_000
    assert max(ahead) <= 2 * width


@pytest.mark.parametrize("width", [1, 4])
def test_an_unexpected_exception_goes_on_and_leaves_no_thread(width):
    def work(job):
        if job == 3:
            raise KeyError(job)
        return job

    with pytest.raises(KeyError):
        outcomes(work, range(100), width)
    assert transfer_threads() == []


def test_a_consumer_that_leaves_early_waits_for_what_is_under_way_and_begins_no_more():
    begun, left = [], threading.Event()

    def work(job):
        begun.append(job)
        if job:
            left.wait(TIMEOUT)
        return job

    with contextlib.closing(in_parallel(work, range(1000), width=2, stop=Stop())) as done:
        assert next(done) == (0, 0)
        threading.Timer(0.05, left.set).start()
    assert transfer_threads() == []
    assert left.is_set()
    assert len(begun) < 10


def test_a_job_that_hangs_is_not_waited_for_once_everything_has_to_stop(monkeypatch):
    monkeypatch.setattr(_parallel, "_PATIENCE", 0.01)
    stop, hanging = Stop(), threading.Event()

    def work(job):
        if job:
            hanging.wait(TIMEOUT)
        return job

    with contextlib.closing(in_parallel(work, range(2), width=2, stop=stop)) as done:
        assert next(done) == (0, 0)
        stop.set()
    assert not hanging.is_set()
    hanging.set()
    for thread in transfer_threads():
        thread.join(TIMEOUT)


def test_a_source_that_fails_leaves_no_thread():
    def jobs():
        yield from range(3)
        raise OSError("the folder is gone")

    with pytest.raises(OSError, match="the folder is gone"):
        outcomes(lambda job: job, jobs())
    assert transfer_threads() == []
