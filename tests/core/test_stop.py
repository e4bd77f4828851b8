"""A request to end: made once, from anywhere, and heard by whoever waits."""

from __future__ import annotations

import os
import select
import signal
import threading

import pytest

from faas_supervisor.errors import Terminated
from faas_supervisor.stop import Stop

TIMEOUT = 30


def readable(stop):
    return bool(select.select([stop.fileno()], [], [], 0)[0])


def test_only_the_first_reason_counts():
    stop, first = Stop(), Terminated("first")
    stop.set(first)
    stop.set(Terminated("second"))
    assert stop.reason is first
    assert stop.error("a transfer") is first


def test_without_a_reason_the_error_says_what_was_being_done():
    stop = Stop()
    stop.set()
    assert stop.reason is None
    assert str(stop.error("a transfer")) == "stopped during a transfer"


@pytest.mark.parametrize("order", ["before", "after"])
def test_its_descriptor_is_readable_once_it_is_set(order):
    with Stop() as stop:
        if order == "after":
            assert not readable(stop)
        stop.set()
        assert readable(stop)


def test_waiting_ends_at_once_when_another_thread_sets_it():
    stop = Stop()
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    assert stop.wait(TIMEOUT)
    timer.join()


def test_waiting_ends_when_the_time_is_over():
    assert Stop().wait(0.01) is False


def test_a_signal_handler_may_set_it_while_its_own_thread_waits():
    """With `threading.Event` that may deadlock: the handler runs in the thread that holds the event's lock."""
    stop = Stop()
    before = signal.signal(signal.SIGALRM, lambda *_: stop.set(Terminated("alarm")))
    try:
        with stop._lock:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            assert stop.wait(TIMEOUT)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert str(stop.reason) == "alarm"


def test_nothing_is_open_before_anybody_waits_or_after_it_is_closed():
    before = os.listdir("/proc/self/fd")
    stop = Stop()
    stop.set()
    assert os.listdir("/proc/self/fd") == before
    stop.fileno()
    stop.close()
    stop.close()
    assert os.listdir("/proc/self/fd") == before


def test_setting_it_when_it_is_closed_does_no_harm():
    stop = Stop()
    stop.fileno()
    stop.close()
    stop.set()
    assert stop.is_set()


class TestInterrupting:
    def test_a_handler_breaks_a_wait_that_knows_nothing_of_it(self):
        stop, reason = Stop(), Terminated("stop")
        stop.set(reason)
        with pytest.raises(Terminated) as caught:
            with stop.interrupting():
                pytest.fail("it was set already")
        assert caught.value is reason

    def test_it_does_so_inside_only_and_once(self):
        stop = Stop()
        stop.interrupt()
        with pytest.raises(Terminated):
            with stop.interrupting():
                stop.set()
                stop.interrupt()
        stop.interrupt()
