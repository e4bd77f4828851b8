"""The limits of the script, in the file, in variables and on the command line; quantities and durations."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from faas_supervisor.config import Function, Limits, Threshold, limit_problem, reference, show
from faas_supervisor.config._findings import Invalid
from faas_supervisor.config._kinds import _duration, amount
from faas_supervisor.config._limits import LIMITS

ALL = """\
limits:
  time: 10m
  cpu_time: 90
  memory: 512Mi
  processes: 64
  open_files: 1024
  file_size: 2G
  output_size: 1e9
  core: 0
  nice: 5
"""


def test_every_limit_is_read(read):
    limits = read(ALL).limits
    assert limits == Limits(600.0, 90.0, 512 << 20, 64, 1024, 2 * 10**9, 10**9, 0, 5)


def test_without_limits_there_are_none_but_the_guard(read):
    function = read("name: x")
    assert set(function.limits) == {None}
    assert function.memory_guard == Threshold(percent=95.0)


def test_a_limit_that_is_null_is_none(read):
    assert read("limits: {memory: , time: 1s}").limits == Limits(time=1.0)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("limits: 512Mi", "1:9: limits: must be a mapping, not text"),
        ("limits: [a]", "1:9: limits: must be a mapping, not a list"),
        ("limits:\n  memroy: 1Gi", '2:3: limits.memroy: unknown key. Did you mean "memory"?'),
        ("limits:\n  memory: 0", "2:11: limits.memory: must be more than 0"),
        ("limits:\n  memory: 512m", '2:11: limits.memory: must be an amount of bytes, not "512m"'),
        ("limits:\n  memory: 16E", '2:11: limits.memory: "16E" is more than there can be'),
        ("limits:\n  time: 0", "2:9: limits.time: must be more than 0"),
        ("limits:\n  time: 10 minutes", '2:9: limits.time: must be a duration, not "10 minutes"'),
        ("limits:\n  processes: 0", "2:14: limits.processes: must be between 1 and 4194304, not 0"),
        ("limits:\n  open_files: 3", "2:15: limits.open_files: must be between 16 and 1073741816, not 3"),
        ("limits:\n  nice: -5", "2:9: limits.nice: must be between 0 and 19, not -5"),
        ("limits:\n  core: -1", '2:9: limits.core: must be an amount of bytes, not "-1"'),
        ("memory_guard: 0%", '1:15: memory_guard: must be more than 0% and at most 100%, not "0%"'),
        ("memory_guard: 101%", '1:15: memory_guard: must be more than 0% and at most 100%, not "101%"'),
        ("memory_guard: on", '1:15: memory_guard: must be a percentage, an amount of bytes, or off, not "on"'),
    ],
)
def test_a_limit_that_will_not_do_is_told_with_its_place(read, text, fault):
    assert read.faults(text)[0].startswith(fault)


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_has_a_variable_that_goes_before_the_file(read, name):
    read.environment[f"FAAS_SUPERVISOR_LIMITS_{name.upper()}"] = "17"
    function = read(ALL)
    assert getattr(function.limits, name) == 17
    assert function.origins[f"limits.{name}"] == f"$FAAS_SUPERVISOR_LIMITS_{name.upper()}"
    others = {other for other in LIMITS if other != name}
    assert all(getattr(function.limits, other) == getattr(read(ALL).limits, other) for other in others)


def test_the_variable_of_all_limits_takes_the_place_of_those_in_the_file(read):
    read.environment["FAAS_SUPERVISOR_LIMITS"] = "{memory: 1Gi, nice: 3}"
    read.environment["FAAS_SUPERVISOR_LIMITS_NICE"] = "4"
    assert read(ALL).limits == Limits(memory=1 << 30, nice=4)


def test_a_variable_that_the_service_sets_counts(read):
    assert read("environment: {variables: {FAAS_SUPERVISOR_LIMITS_TIME: 3s}}").limits == Limits(time=3.0)


def test_a_variable_with_a_fault_is_told_by_its_name(read):
    read.environment["FAAS_SUPERVISOR_LIMITS_MEMORY"] = "lots"
    with pytest.raises(Exception, match=r"^\$FAAS_SUPERVISOR_LIMITS_MEMORY: limits.memory: must be an amount"):
        read("")


def test_a_variable_of_no_limit_is_a_fault_and_not_a_limit_lost(read):
    read.environment["FAAS_SUPERVISOR_LIMITS_MEMROY"] = "1Gi"
    hint = 'FAAS_SUPERVISOR_LIMITS_MEMROY: unknown key. Did you mean "FAAS_SUPERVISOR_LIMITS_MEMORY"?'
    with pytest.raises(Exception, match=re.escape(hint)):
        read("")


@pytest.mark.parametrize(
    ("text", "threshold", "at"),
    [
        ("95%", Threshold(percent=95.0), 950),
        ("99.5 %", Threshold(percent=99.5), 995),
        ("100%", Threshold(percent=100.0), 1000),
        ("700", Threshold(size=700), 700),
        ("4Gi", Threshold(size=4 << 30), 1000),
        ("off", Threshold(), None),
        ("0", Threshold(), None),
    ],
)
def test_the_guard_has_a_threshold(read, text, threshold, at):
    found = read(f"memory_guard: {text}").memory_guard
    assert found == threshold
    assert found.of(1000) == at


def test_what_is_shown_can_be_read_again_with_the_origin_of_each(read):
    read.environment["FAAS_SUPERVISOR_LIMITS_TIME"] = "5m"
    text = show(read("limits: {memory: 1Gi}\nmemory_guard: 90%\n"))
    assert "  time: 300.0  # $FAAS_SUPERVISOR_LIMITS_TIME\n" in text
    assert "  memory: 1073741824  # function_config.yaml:1:18\n" in text
    assert "  core: null  # default\n" in text
    assert yaml.safe_load(text)["memory_guard"] == "90%"
    read.environment.clear()
    again = read(text)
    assert (again.limits, again.memory_guard) == (Limits(time=300.0, memory=1 << 30), Threshold(percent=90.0))


def test_a_function_of_defaults_shows_its_guard():
    assert 'memory_guard: "95%"  # default\n' in show(Function())


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("memory", "512Mi", ""),
        ("core", "0", ""),
        ("memory", "", "memory: has no value"),
        ("memory", "x", 'memory: must be an amount of bytes, not "x". Write it like 512Mi, 2G or 1048576'),
        ("memroy", "1", 'memroy: unknown key. Did you mean "memory"?'),
    ],
)
def test_a_limit_of_the_command_line_is_judged_as_one_in_the_file(name, text, problem):
    assert limit_problem(name, text) == problem


def test_every_limit_is_in_the_reference():
    for name, limit in LIMITS.items():
        assert f"| `{name}` | {limit.kind.label} | `FAAS_SUPERVISOR_LIMITS_{name.upper()}` |" in reference.core()
    assert set(LIMITS) == set(Limits._fields)


SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18} | {
    f"{prefix}i": 1 << (10 * power) for power, prefix in enumerate("KMGTPE", start=1)
}


@given(st.integers(0, 10**9), st.sampled_from(sorted(SUFFIXES)), st.sampled_from(["", "B"]))
def test_a_quantity_is_number_times_suffix(number, suffix, byte):
    expected = number * SUFFIXES[suffix]
    assume(expected < 2**63)
    # A float has 53 bits: what is beyond is rounded.
    assert amount(f"{number}{suffix}{byte}") == pytest.approx(expected, rel=2**-52)


@given(st.decimals(0, 10**6, places=3), st.integers(0, 9))
def test_an_exponent_is_a_power_of_ten(number, exponent):
    assert amount(f"{number}e{exponent}") == pytest.approx(int(number * Decimal(10) ** exponent), abs=1)


@given(st.text())
def test_any_other_text_is_refused_and_nothing_else_happens(text):
    for convert in (amount, _duration):
        try:
            value = convert(text)
        except Invalid:
            continue
        assert 0 <= value < 2**63


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(hours, minutes, seconds, thousandths):
    total = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    assume(total)
    assert _duration(f"{hours}h{minutes}m{seconds}s{thousandths}ms") == pytest.approx(total)
