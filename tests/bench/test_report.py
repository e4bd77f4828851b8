"""What the benchmark makes of its figures."""

from __future__ import annotations

import pytest

from bench.cases import Aim, Case
from bench.decoding import Decoded
from bench.measure import Measured, Usage
from bench.report import (
    BEGIN,
    END,
    Circumstances,
    case_section,
    decoding_section,
    replaced,
    supervision_section,
    verdict,
)
from bench.supervision import Supervised

MIB = 1024 * 1024
OURS = Measured("supervisor", [Usage(0.3, 1.0, 60 * MIB), Usage(0.1, 2.0, 50 * MIB), Usage(0.2, 9.0, 70 * MIB)])
PEER = Measured("s5cmd", [Usage(0.4, 1.0, 30 * MIB)])


def test_a_row_holds_medians_and_the_ratios_to_the_peer():
    lines = case_section("b", Case("Title", "Text.", [], {}, [], None), [OURS, PEER]).splitlines()
    assert lines[0] == "## Title"
    assert "Text. This table alone: `python -m bench --cases b`." in lines
    assert "| **supervisor** | 0.200 | 0.100 to 0.300 | 2.000 | 60 |  |  |  |" in lines
    assert "| s5cmd | 0.400 | 0.400 to 0.400 | 1.000 | 30 | 0.50 | 2.00 | 2.00 |" in lines


def test_every_row_has_as_many_cells_as_the_header():
    rows = [
        row
        for row in case_section("b", Case("T", "", [], {}, [], None), [OURS, PEER]).splitlines()
        if row.startswith("|")
    ]
    assert len(rows) == 4
    assert {row.count("|") for row in rows} == {9}


@pytest.mark.parametrize(
    ("aim", "said"),
    [
        (Aim("cpu", most=0.2), "CPU at most 0.200 s: reached, 0.200 s."),
        (Aim("cpu", most=0.19), "CPU at most 0.190 s: **missed**, 0.200 s."),
        (Aim("peak", most=64 * MIB), "peak memory at most 64 MiB: reached, 60 MiB."),
        (Aim("cpu", below="s5cmd"), "CPU below that of s5cmd: reached, 0.200 s against 0.400 s."),
        (Aim("wall", below="s5cmd"), "wall time below that of s5cmd: **missed**, 2.000 s against 1.000 s."),
        (Aim("wall", below="supervisor"), "**missed**"),
    ],
    ids=["at most", "more", "memory", "below a peer", "above a peer", "equal is not below"],
)
def test_an_aim_is_judged_by_the_medians(aim, said):
    assert said in verdict(aim, [OURS, PEER])


def test_the_decoding_of_the_largest_event_is_judged():
    small, large = Decoded("one", 1024, 1, 0.0001, 0.00001), Decoded("many", 65536, 66, 0.0021, 0.0002)
    section = decoding_section("e", [small, large])
    assert "| one | 1.0 | 1 | 0.100 | 0.010 |" in section
    assert "**missed**, 2.10 ms" in section


def test_each_way_of_starting_is_judged_and_the_slower_output():
    ways = [Supervised("starter", 0.001, 0.002, 2e9), Supervised("fork", 0.001, 0.0051, 4e8)]
    section = supervision_section("s", ways)
    assert "| starter | 1.00 | 2.00 | 1.00 | 2000 |" in section
    assert "`true`, starter: reached, 1.00 ms" in section
    assert "`true`, fork: **missed**, 4.10 ms" in section
    assert "at least 500 MB/s of output: **missed**, 400 MB/s" in section


def test_the_report_replaces_the_former_one():
    page = f"before\n{BEGIN}former\n{END}after\n"
    once = replaced(page, "new\n")
    assert once == f"before\n{BEGIN}\nnew\n\n{END}after\n"
    assert replaced(once, "newer\n") == once.replace("new", "newer")


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"], ids=["nothing", "no end", "no begin", "swapped"])
def test_a_page_without_a_place_for_the_report_is_refused(page):
    with pytest.raises(ValueError, match="no place"):
        replaced(page, "new")


def test_the_circumstances_name_every_program():
    shown = Circumstances(5, {"s5cmd": "2.3.0", "aws": "1.2"}, 0.25).render()
    assert "medians of 5 runs" in shown
    assert "s5cmd 2.3.0, aws 1.2" in shown
    assert "load average before the run: 0.2" in shown
