"""The variables, read as Go reads them."""

from __future__ import annotations

import pytest

from faas_supervisor.fronts.watchdog._settings import VARIABLES, Settings, read_settings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 5), ("300", 300), ("0", 0), ("+7", 7), ("1m30s", 90), ("1.5h", 5400), (".5s", 0.5), ("2.s", 2),
        ("250ms", 0.25), ("10us", 1e-5), ("10µs", 1e-5), ("1h1m1s", 3661), ("+1s", 1), ("-1s", 0),
        ("-5", 5), ("abc", 5), ("5 s", 5), ("1m30", 5), ("s", 5), (" 7", 5), ("1_0", 5), ("٣", 5), ("1e3s", 5),
        ("99999999999999999999", 5), ("5S", 5), ("1d", 5), ("..5s", 5),
    ],
)  # fmt: skip
def test_a_time_is_seconds_or_a_duration_of_go_or_else_the_default(text, seconds):
    assert read_settings({"read_timeout": text}).read_timeout == pytest.approx(seconds)


def test_the_health_check_interval_is_the_write_timeout_unless_it_is_set():
    assert read_settings({"write_timeout": "42"}).healthcheck_interval == 42
    assert read_settings({"write_timeout": "42", "healthcheck_interval": "7"}).healthcheck_interval == 7
    assert read_settings({"write_timeout": "42", "healthcheck_interval": "x"}).healthcheck_interval == 42


@pytest.mark.parametrize("name", ["write_debug", "debug_headers", "marshal_request", "suppress_lock"])
@pytest.mark.parametrize(
    ("text", "expected"), [("", False), ("true", True), ("True", False), ("1", False), ("true ", False)]
)
def test_these_are_true_for_true_alone(name, text, expected):
    assert getattr(read_settings({name: text}), name) is expected


@pytest.mark.parametrize("name", ["cgi_headers", "combine_output"])
@pytest.mark.parametrize(
    ("text", "expected"), [("", True), ("true", True), ("True", False), ("1", False), ("no", False)]
)
def test_these_are_true_until_something_else_is_said(name, text, expected):
    assert getattr(read_settings({name: text}), name) is expected


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({}, 8080),
        ({"PORT": "9000"}, 9000),
        ({"port": "7000", "PORT": "9000"}, 7000),
        ({"port": "", "PORT": "9000"}, 9000),
        ({"port": "x", "PORT": "9000"}, 8080),
        ({"PORT": "x"}, 8080),
    ],
)
def test_the_port_is_that_of_the_watchdog_or_else_of_knative(environment, port):
    assert read_settings(environment).port == port


def test_names_are_case_sensitive():
    assert read_settings({"READ_TIMEOUT": "1", "Max_Inflight": "3"}) == Settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("/oscar/bin/supervisor", ()),
        ("/oscar/bin/alpine/supervisor", ()),
        ("supervisor", ()),
        ("supervisor-alpine-arm64", ()),
        ("/usr/bin/supervisord", ("/usr/bin/supervisord",)),
        ("supervisor run", ("supervisor", "run")),
        ("python3 handler.py", ("python3", "handler.py")),
        ("a  'b c'", ("a", "", "'b", "c'")),
    ],
)
def test_fprocess_is_split_on_single_spaces_and_a_supervisor_is_this_one(text, words):
    assert read_settings({"fprocess": text}).process == words


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("10Mi", 10 * 2**20), ("2k", 2000), ("3G", 3 * 10**9), ("x", 16 * 2**30), ("0", 0)],
)
def test_the_largest_body_is_a_quantity(text, size):
    assert read_settings({"FAAS_SUPERVISOR_MAX_BODY_SIZE": text}).max_body_size == size


@pytest.mark.parametrize("text", ["a/b; c=d", " a/b; c=d\n", "a/b;\r\nc=d"])
def test_a_type_is_one_line_without_white_space_around_it(text):
    assert read_settings({"content_type": text}).content_type == "a/b; c=d"


def test_every_setting_has_a_variable():
    assert {variable.field for variable in VARIABLES} == set(Settings.__annotations__)
