"""When to try again: by the kind of error, the number of attempts, the server's wish and the deadline."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.errors import IntegrityError, NotFound, StorageError, Throttled, Unavailable
from faas_supervisor.storage._retry import Retry


def delay(error, attempt=1, retry=None, ago=0.0):
    return (retry or Retry()).delay(error, attempt, time.monotonic() - ago)


@pytest.mark.parametrize("error", [Unavailable("down"), Throttled("slow down"), StorageError("odd", retryable=True)])
def test_what_may_pass_is_tried_again_until_the_last_attempt(error):
    retry = Retry(attempts=4)
    assert [delay(error, attempt, retry) is not None for attempt in (1, 2, 3, 4)] == [True, True, True, False]


@pytest.mark.parametrize("error", [NotFound("no"), StorageError("odd"), Unavailable("for good", retryable=False)])
def test_what_stays_is_not_tried_again(error):
    assert delay(error) is None


def test_wrong_bytes_are_tried_again_once():
    error = IntegrityError("wrong bytes")
    assert delay(error, 1) is not None
    assert delay(error, 2) is not None, "that the server was down before doesn't count"
    assert Retry().delay(error, 2, time.monotonic(), again=True) is None


def test_wrong_bytes_are_not_tried_again_where_nothing_is():
    assert delay(IntegrityError("wrong bytes"), 1, Retry(attempts=1)) is None


@given(st.integers(1, 7))
def test_the_longest_wait_doubles_up_to_a_cap(attempt):
    retry = Retry(base=1.0, cap=8.0)
    waits = [delay(Unavailable("down"), attempt, retry) for _ in range(20)]
    assert all(0 <= wait <= min(8.0, 2.0 ** (attempt - 1)) for wait in waits)


def test_waits_differ_so_that_clients_do_not_come_back_together():
    assert len({delay(Unavailable("down"), 5) for _ in range(10)}) > 5


def test_the_server_is_given_the_time_that_it_asks_for():
    assert delay(Throttled("slow down", retry_after=120.0)) == 120.0


def test_a_server_that_asks_for_less_than_our_own_wait_does_not_shorten_it():
    waits = [delay(Throttled("slow down", retry_after=0.0), 6, Retry(base=100, cap=100)) for _ in range(20)]
    assert max(waits) > 10


def test_a_server_that_asks_for_more_than_the_deadline_is_given_up():
    assert delay(Throttled("slow down", retry_after=700.0)) is None


@pytest.mark.parametrize("odd", [-5.0, float("nan")])
def test_an_odd_wish_of_the_server_is_no_wait_of_ours(odd):
    assert 0 <= delay(Throttled("slow down", retry_after=odd)) <= 0.5


def test_an_endless_wish_is_given_up():
    assert delay(Throttled("slow down", retry_after=float("inf"))) is None


def test_after_the_deadline_nothing_is_tried():
    assert delay(Unavailable("down"), ago=599.0, retry=Retry(base=0.0)) is not None
    assert delay(Unavailable("down"), ago=601.0, retry=Retry(base=0.0)) is None


def test_no_attempt_begins_after_the_deadline():
    retry = Retry(deadline=10.0)
    assert delay(Throttled("slow down", retry_after=5.0), ago=6.0, retry=retry) is None
