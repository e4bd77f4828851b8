"""The other parts of the benchmark that need no server."""

from __future__ import annotations

import pytest

from bench.decoding import measure_decoding
from bench.events import notification, record
from bench.measure import Contestant, Failed, race
from bench.tools import version_in
from faas_supervisor.events import decode


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v2.3.0-991c9fb\n", "2.3.0"),
        ("rclone v1.75.2\n- os/version: debian 12.11 (64 bit)\n", "1.75.2"),
        ("aws-cli/1.46.3 Python/3.11.7 Linux/6.1\n", "1.46.3"),
        ("version 8000GB 4.48 pypi linux amd64\n", "4.48"),
        ("faas-supervisor 2.0.0a1\n", "2.0.0a1"),
    ],
    ids=["s5cmd", "rclone", "aws", "weed", "supervisor"],
)
def test_a_program_tells_its_version(text, version):
    assert version_in(text) == version


def test_a_program_without_a_version_is_an_error():
    with pytest.raises(ValueError, match="no version"):
        version_in("command not found")


def test_the_event_is_one_that_the_supervisor_knows():
    event = decode(notification(record("bench", "in/a b", size=5, etag="abc")).encode())
    assert event.type == "minio"
    assert [(one.path, one.size, one.etag) for one in event.records] == [("bench/in/a b", 5, "abc")]


def test_the_large_event_has_64_kib():
    small, large = measure_decoding(1)
    assert (small.records, small.size // 1024) == (1, 1)
    assert large.size >= 64 * 1024
    assert large.records > 50


def run(tmp_path, line, **hooks):
    contestant = Contestant("one", ["sh", "-c", line], {"PATH": "/usr/bin:/bin"})
    hooks = {"verify": lambda: None, "clear": lambda: None, **hooks}
    return race([contestant], runs=2, folder=tmp_path, **hooks)


def test_a_contestant_is_measured_after_a_first_run(tmp_path):
    seen = []
    [measured] = run(tmp_path, "true", verify=lambda: seen.append("verified"), clear=lambda: seen.append("cleared"))
    assert len(measured.runs) == 2
    assert all(usage.peak > 0 for usage in measured.runs)
    assert seen == ["verified", "cleared", "cleared", "cleared"]


def test_a_contestant_starts_in_an_empty_folder_that_is_gone_afterwards(tmp_path):
    run(tmp_path, 'test -z "$(ls -A)" && test "$PWD" = "$TMPDIR" && echo left > behind')
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_contestant_that_fails_ends_the_race(tmp_path):
    with pytest.raises(Failed, match=r"one ended with 3:\nwhy"):
        run(tmp_path, "echo why; exit 3")


def test_a_contestant_whose_work_is_not_there_ends_the_race(tmp_path):
    def verify():
        raise Failed("1 object is missing")

    with pytest.raises(Failed, match="one: 1 object is missing"):
        run(tmp_path, "true", verify=verify)
