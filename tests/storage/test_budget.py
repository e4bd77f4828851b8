"""The memory budget: what is granted together never exceeds the total, and everybody gets a turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.errors import Unavailable
from faas_supervisor.storage import MemoryBudget, _budget

TIMEOUT = 30


class TestOneAtATime:
    def test_a_single_transfer_gets_what_it_asks_for(self):
        with MemoryBudget(100).share(least=10, most=60) as granted:
            assert granted == 60

    def test_it_gets_the_whole_budget_at_most(self):
        with MemoryBudget(100).share(least=10, most=1000) as granted:
            assert granted == 100

    def test_the_second_gets_the_rest(self):
        budget = MemoryBudget(100)
        with budget.share(least=10, most=70), budget.share(least=10, most=70) as granted:
            assert granted == 30

    def test_more_than_the_total_is_the_total(self):
        with MemoryBudget(100).share(least=500, most=1000) as granted:
            assert granted == 100

    def test_a_failing_transfer_gives_its_share_back(self):
        budget = MemoryBudget(100)
        with pytest.raises(KeyError), budget.share(least=100, most=100):
            raise KeyError
        with budget.share(least=100, most=100) as granted:
            assert granted == 100

    @given(st.integers(0, 50), st.integers(0, 100), st.integers(0, 100))
    def test_a_grant_is_between_the_two_bounds(self, total, least, more):
        with MemoryBudget(total).share(least=least, most=least + more) as granted:
            assert min(least, total) <= granted <= min(least + more, total)


class TestSeveral:
    def test_the_sum_never_exceeds_the_total(self):
        budget, lock, seen = MemoryBudget(100), threading.Lock(), []
        held = 0

        def transfer(number):
            nonlocal held
            with budget.share(least=1 + number % 40, most=60) as granted:
                with lock:
                    held += granted
                    seen.append(held)
                with lock:
                    held -= granted

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(transfer, range(2000), timeout=TIMEOUT))
        assert len(seen) == 2000
        assert max(seen) <= 100
        with budget.share(least=100, most=100) as granted:
            assert granted == 100

    def test_one_that_waits_goes_on_when_its_share_comes_back(self):
        budget = MemoryBudget(100)
        inside = threading.Event()

        def wait():
            with budget.share(least=50, most=50):
                inside.set()

        thread = threading.Thread(target=wait, daemon=True)
        with budget.share(least=60, most=60):
            thread.start()
            assert not inside.wait(0.05)
        assert inside.wait(TIMEOUT)
        thread.join(TIMEOUT)

    def test_all_that_wait_are_woken(self):
        budget = MemoryBudget(100)
        meeting = threading.Barrier(5)

        def wait():
            with budget.share(least=25, most=25):
                meeting.wait(TIMEOUT)

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(4)]
        with budget.share(least=100, most=100):
            for thread in threads:
                thread.start()
        meeting.wait(TIMEOUT)
        for thread in threads:
            thread.join(TIMEOUT)

    def test_a_share_that_never_comes_back_is_an_error_worth_another_try(self, monkeypatch):
        monkeypatch.setattr(_budget, "_LONGEST_WAIT", 0.01)
        budget = MemoryBudget(10)
        with budget.share(least=10, most=10), pytest.raises(Unavailable) as caught, budget.share(least=1, most=1):
            pass
        assert caught.value.retryable
