"""How often a watch looks, with clocks that a test turns."""

from __future__ import annotations

import math

import pytest

from faas_supervisor.script import _pace
from faas_supervisor.script._pace import Growth, Pace


class Clocks:
    def __init__(self):
        self.now = 100.0
        self.spent = 5.0

    def monotonic(self):
        return self.now

    def thread_time(self):
        return self.spent


@pytest.fixture
def clocks(monkeypatch):
    clocks = Clocks()
    monkeypatch.setattr(_pace, "time", clocks)
    return clocks


def run(pace, clocks, wanted, *, cost, seconds):
    """Look for so long, and return the share of the processor that it took, and the last interval."""
    begun, spent, wait = clocks.now, clocks.spent, 0.0
    while clocks.now - begun < seconds:
        with pace.counted():
            clocks.spent += cost
        wait = pace.wait(wanted)
        clocks.now += wait
    return (clocks.spent - spent) / (clocks.now - begun), wait


def test_it_looks_when_it_is_wanted_within_bounds(clocks):
    pace = Pace(shortest=0.001, longest=0.5)
    assert pace.wait(0.1) == 0.1
    assert pace.wait(0.0) == 0.001
    assert pace.wait(-1.0) == 0.001
    assert pace.wait(9.0) == 0.5


@pytest.mark.parametrize("cost", [0.00001, 0.0001, 0.01, 0.5])
def test_in_the_long_run_it_costs_no_more_than_its_share(clocks, cost):
    share, _ = run(Pace(shortest=0.001, longest=0.5), clocks, 0.0, cost=cost, seconds=3600)
    assert share <= 0.005


def test_at_first_it_may_look_as_often_as_it_can(clocks):
    _, wait = run(Pace(shortest=0.001, longest=0.5), clocks, 0.0, cost=0.0001, seconds=0.1)
    assert wait == 0.001


def test_what_was_saved_is_there_again_after_a_while(clocks):
    pace = Pace(shortest=0.001, longest=10.0)
    _, wait = run(pace, clocks, 0.0, cost=0.0001, seconds=60)
    assert wait > 0.02
    run(pace, clocks, 10.0, cost=0.0001, seconds=60)
    _, wait = run(pace, clocks, 0.0, cost=0.0001, seconds=0.1)
    assert wait == 0.001


def test_what_is_urgent_goes_before_the_cost(clocks):
    pace = Pace(shortest=0.001, longest=10.0)
    _, wait = run(pace, clocks, 0.0, cost=0.01, seconds=60)
    assert wait > 1
    assert pace.wait(0.0, urgent=0.3) == 0.3
    assert pace.wait(0.0, urgent=0.0) == 0.001


def test_growth_is_met_by_a_few_looks_before_the_limit(clocks):
    growth, used, looks = Growth(), 0.0, 0
    growth.urgent(used, 100e6)
    clocks.now += 0.1
    used += 10e6
    while used < 99e6:
        wait = growth.urgent(used, 100e6)
        assert used + 100e6 * wait < 100e6
        clocks.now += wait
        used += 100e6 * wait
        looks += 1
    assert looks < 20


def test_nothing_is_urgent_where_nothing_grows(clocks):
    growth = Growth()
    for _ in range(40):
        clocks.now += 1
        urgent = growth.urgent(5e6, 6e6)
    assert urgent == math.inf
