"""Where the configuration is found."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from faas_supervisor.config import Source, find
from faas_supervisor.errors import ConfigurationError


def fault(*args, **kwargs):
    with pytest.raises(ConfigurationError) as caught:
        find(*args, **kwargs)
    return caught.value.faults


@pytest.fixture
def files(tmp_path):
    for name in ("explicit", "first", "second"):
        (tmp_path / name).write_text(f"name: {name}")
    return tmp_path


VARIABLE = {"FUNCTION_CONFIG": base64.b64encode(b"name: variable").decode()}


def test_the_explicit_file_goes_first(files):
    source = find(VARIABLE, candidates=[files / "first"], explicit=files / "explicit")
    assert source == Source("name: explicit", str(files / "explicit"))


def test_the_first_candidate_that_exists_is_taken(files):
    source = find(VARIABLE, candidates=[files / "none", files / "second", files / "first"])
    assert source == Source("name: second", str(files / "second"))


def test_the_variable_is_taken_where_there_is_no_file(files):
    assert find(VARIABLE, candidates=[files / "none"]) == Source("name: variable", "$FUNCTION_CONFIG")


def test_a_variable_may_be_wrapped_into_lines():
    wrapped = "\n".join(VARIABLE["FUNCTION_CONFIG"]) + "\n"
    assert find({"FUNCTION_CONFIG": wrapped}, candidates=[]).text == "name: variable"


@pytest.mark.parametrize("environment", [{}, {"FUNCTION_CONFIG": ""}, {"FUNCTION_CONFIG": " \n"}])
def test_nothing_is_found_where_there_is_nothing(environment):
    assert find(environment, candidates=[]) is None


def test_the_content_is_not_in_the_repr():
    assert "hunter2" not in repr(Source("token: hunter2", "f"))


def test_an_explicit_file_that_is_missing_is_a_fault(files):
    assert fault(VARIABLE, explicit=files / "none") == (f"{files}/none: can't be read: No such file or directory",)


def test_a_candidate_that_is_a_folder_is_a_fault_not_skipped(files):
    assert fault(VARIABLE, candidates=[files, files / "first"]) == (f"{files}: can't be read: Is a directory",)


def test_a_candidate_that_can_not_be_opened_is_a_fault_not_skipped(files):
    (files / "loop").symlink_to("loop")
    problem = "can't be read: Too many levels of symbolic links"
    assert fault(VARIABLE, candidates=[files / "loop", files / "first"]) == (f"{files}/loop: {problem}",)


@pytest.mark.parametrize("value", ["not base64!", "YQ", "YQ==YQ==", "é"])
def test_a_variable_that_is_not_base64_is_a_fault(value):
    assert fault({"FUNCTION_CONFIG": value}, candidates=[]) == ("$FUNCTION_CONFIG: is not base64",)


def test_a_file_that_is_not_utf_8_is_a_fault(files):
    (files / "first").write_bytes(b"name: a\n\n\xff")
    assert fault({}, candidates=[files / "first"]) == (f"{files}/first:3:1: is not UTF-8",)


def test_a_variable_that_is_not_utf_8_is_a_fault():
    encoded = base64.b64encode(b"\xff").decode()
    assert fault({"FUNCTION_CONFIG": encoded}, candidates=[]) == ("$FUNCTION_CONFIG:1:1: is not UTF-8",)


def test_a_file_without_end_is_a_fault():
    assert fault({}, explicit=Path("/dev/zero")) == ("/dev/zero: is larger than 1 MiB",)
