"""The result: what happened, as one document that fits wherever it goes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faas_supervisor.errors import (
    ConfigurationError,
    CredentialsError,
    Failure,
    NotFound,
    OutputError,
    SupervisorError,
    Terminated,
)
from faas_supervisor.events import Event
from faas_supervisor.report import Report, RunReport
from faas_supervisor.result import Result, RunResult, Tally, termination_message, to_document, to_json
from faas_supervisor.script import Outcome
from faas_supervisor.secrets import Secret
from faas_supervisor.storage._transfer import Transferred

DOCUMENTED = Path(__file__).parents[2] / "docs" / "result.md"
NAME = re.compile(r"`([a-z_]+)`")


def outcome(status=0, signal=None):
    return Outcome(status, signal, wall=1.0, user=0.5, system=0.25, peak_memory=1000)


def transferred(path="bucket/a", size=10):
    return Transferred("minio.default", path, size, 0.5, 1, "etag", "md5:00")


def run_result(record="bucket/a", *, error=None, ended=None, outputs=0):
    report = RunReport(record)
    if ended is not None:
        report.ended(ended)
    if error is not None:
        report.fail(error)
    for number in range(outputs):
        report.outputs.add(transferred(f"out/{number}"))
    return report.result()


def result_of(*runs, error=None, event=None):
    report = Report()
    report.event = event
    for run in runs:
        report.add(run)
    if error is not None:
        report.fail(error)
    return report.result()


def failed(reason):
    return Result("f", "failed", Failure.STORAGE_UNAVAILABLE, reason, 116, None, None, (), {}, 0.0)


class TestDecidingWhatHappened:
    def test_all_went_well(self):
        result = result_of(run_result(ended=outcome()))
        assert (result.status, result.failure, result.reason, result.exit_code) == ("succeeded", None, "", 0)

    def test_nothing_to_do(self):
        result = result_of(event=Event("s3", skipped="it is a test event", id="x"))
        assert (result.status, result.failure, result.reason, result.exit_code) == (
            "skipped", None, "it is a test event", 0,
        )  # fmt: skip

    def test_the_scripts_status_is_the_invocations(self):
        result = result_of(run_result(ended=outcome(7)))
        assert (result.status, result.failure, result.exit_code) == ("failed", Failure.SCRIPT, 7)
        assert result.reason == "the script exited with status 7"

    @pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (40, "real-time")])
    def test_a_signal_is_named(self, number, name):
        result = result_of(run_result(ended=outcome(128 + number, number)))
        assert (result.signal, result.exit_code) == (number, 128 + number)
        assert result.reason == f"the script was ended by signal {number} ({name})"

    def test_our_own_failure_has_its_own_code(self):
        result = result_of(run_result(error=OutputError("refused"), ended=outcome()))
        assert (result.failure, result.exit_code, result.reason) == (Failure.OUTPUT, 119, "refused")

    def test_the_scripts_failure_comes_before_that_of_its_outputs(self):
        assert result_of(run_result(error=OutputError("refused"), ended=outcome(3))).exit_code == 3

    def test_the_first_of_several_failures_of_a_record_counts(self):
        report = RunReport("x")
        report.fail(NotFound("first"))
        report.fail(OutputError("second"))
        assert report.result().failure is Failure.INPUT_MISSING

    def test_the_first_record_that_failed_decides(self):
        good, seven, eight = (run_result(f"r{status}", ended=outcome(status)) for status in (0, 7, 8))
        result = result_of(good, seven, eight)
        assert result.exit_code == 7
        assert result.reason == "2 of 3 records failed; the first, r7: the script exited with status 7"

    def test_the_signal_is_that_of_the_record_that_decides(self):
        by_itself, killed = run_result(ended=outcome(137)), run_result(ended=outcome(137, 9))
        assert result_of(by_itself, killed).signal is None
        assert result_of(killed, by_itself).signal == 9

    def test_an_invocation_fails_as_a_whole(self):
        result = result_of(error=CredentialsError("no key", hint="mount it"))
        assert (result.failure, result.exit_code, result.reason) == (Failure.CREDENTIALS, 114, "no key — mount it")

    def test_all_faults_of_a_configuration_are_the_reason(self):
        error = ConfigurationError("2 faults", faults=("f:1:1: a: bad.", "f:2:1: b: bad."))
        assert result_of(error=error).reason == "f:1:1: a: bad.; f:2:1: b: bad."

    def test_what_ends_the_invocation_after_good_records_counts(self):
        result = result_of(run_result(ended=outcome()), error=Terminated("SIGTERM"))
        assert (result.status, result.exit_code, result.signal) == ("failed", 143, None)

    def test_a_defect_of_ours_is_named_so(self, caplog):
        report = Report()
        report.crash(KeyError("x"))
        result = report.result()
        assert (result.failure, result.exit_code) == (Failure.INTERNAL, 110)
        assert "KeyError" in result.reason
        assert [record.levelname for record in caplog.records] == ["ERROR"]

    def test_time_is_counted_by_phase(self):
        report = RunReport("x")
        with report.phase("stage_in"):
            pass
        with pytest.raises(KeyError), report.phase("script"):
            raise KeyError
        with report.phase("script"):
            pass
        assert set(report.result().phases) == {"stage_in", "script"}


class TestTheDocument:
    @pytest.fixture
    def document(self):
        event = Event("minio", id="1")
        return to_document(result_of(run_result(ended=outcome(), outputs=2), run_result(ended=outcome(1)), event=event))

    def documented(self, row):
        """Return the names in the cells of the table's rows whose first cell has `row`."""
        rows = [
            line for line in DOCUMENTED.read_text().splitlines() if line.startswith("|") and row(line.split("|")[1])
        ]
        return [set(NAME.findall(line.split("|")[1])) for line in rows], [
            set(NAME.findall(line.split("|")[2])) for line in rows
        ]

    def test_its_keys_are_those_that_are_documented(self, document):
        keys, _ = self.documented(lambda cell: "`" in cell)
        # The script's output is left out where the log shows it.
        assert {*document, "log_tail"} == set().union(*keys)

    @pytest.mark.parametrize("key", ["outputs", "usage", "runs", "event"])
    def test_the_keys_inside_are_documented_too(self, document, key):
        _, (inside,) = self.documented(lambda cell: f"`{key}`" in cell)
        section = document[key][0] if isinstance(document[key], list) else document[key]
        assert set(section) == inside

    def test_numbers_add_up_over_all_records(self, document):
        usage = document["usage"]
        assert (usage["output_files"], usage["output_bytes"]) == (2, 20)
        assert (usage["user_seconds"], usage["system_seconds"], usage["peak_memory_bytes"]) == (1.0, 0.5, 1000)

    def test_the_records_are_listed_only_where_there_are_several(self):
        assert to_document(result_of(run_result()))["runs"] == []
        assert [run["status"] for run in to_document(result_of(run_result(), run_result()))["runs"]] == [
            "succeeded"
        ] * 2

    def test_it_is_one_line_of_json(self, document):
        text = to_json(result_of(run_result(error=OutputError("two\nlines"))))
        assert "\n" not in text
        assert json.loads(text)["reason"] == "two\nlines"

    def test_a_path_that_is_not_utf8_is_shown(self):
        report = RunReport("x")
        report.outputs.add(transferred(os.fsdecode(b"out/\xff")))
        assert json.loads(to_json(result_of(report.result())))["outputs"][0]["path"] == "out/\\udcff"


class TestTally:
    def test_a_million_transfers_are_counted_and_a_thousand_listed(self):
        tally = Tally()
        one = transferred(size=3)
        for _ in range(1_000_000):
            tally.add(one)
        assert (tally.files, tally.bytes, len(tally.listed)) == (1_000_000, 3_000_000, 1000)

    def test_a_million_warnings_are_neither_kept_nor_logged(self, caplog):
        report = RunReport("x")
        for number in range(10_000):
            report.warn(f"{number} is not uploaded")
        warnings = report.result().warnings
        assert len(warnings) == 1001
        assert warnings[-1] == "there are more warnings; LOG_LEVEL=DEBUG shows them"
        assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1001

    def test_a_result_of_many_outputs_stays_small(self):
        result = result_of(run_result(ended=outcome(), outputs=5000))
        assert len(to_json(result)) < 300_000
        assert len(termination_message(result)) <= 4096
        assert json.loads(termination_message(result))["usage"]["output_files"] == 5000


class TestTerminationMessage:
    def test_a_small_result_is_told_whole(self):
        result = result_of(run_result(ended=outcome(), outputs=2))
        assert json.loads(termination_message(result)) == to_document(result)

    def test_the_lists_go_first(self):
        result = result_of(run_result(ended=outcome(), outputs=100))
        told = json.loads(termination_message(result))
        assert "outputs" not in told
        assert told["phases"] == {}

    def test_then_the_records(self):
        runs = [run_result(f"bucket/{number}", ended=outcome(1)) for number in range(100)]
        told = json.loads(termination_message(result_of(*runs)))
        assert "runs" not in told
        assert "usage" in told

    @given(st.text(st.characters(codec=None), max_size=9000))
    @example("x" * 100_000)
    @example("\x01" * 10_000)
    @example('"' * 10_000)
    @example("\\" * 10_000)
    @example("é" * 10_000)
    @example("🎉" * 10_000)
    @example("\ud800" * 10_000)
    @example("a" + "\U0001f389" * 5000)
    def test_it_never_exceeds_its_limit_and_always_holds_the_reason(self, reason):
        message = termination_message(failed(reason))
        assert len(message) <= 4096
        told = json.loads(message)
        assert (told["status"], told["failure"], told["exit_code"], told["signal"]) == (
            "failed", "storage_unavailable", 116, None,
        )  # fmt: skip
        assert reason.startswith(told["reason"])
        # What was cut off would not have fitted: there was room for no further character of six bytes.
        assert told["reason"] == reason or len(message) > 4096 - 12

    @given(st.integers(150, 6000), st.text(max_size=3000))
    def test_any_limit_is_kept(self, limit, reason):
        message = termination_message(failed(reason), limit)
        assert len(message) <= limit
        json.loads(message)

    def test_a_secret_is_masked_before_the_reason_is_cut(self):
        """The first half of a secret at the cut would be shown otherwise."""
        value = "half-of-this-secret-is-more-than-nothing" + "0123456789" * 50
        Secret(value)
        for start in range(3500, 4100, 10):
            message = termination_message(failed("x" * start + value + "y" * 5000)).decode()
            assert "half" not in message
            json.loads(message)

    @pytest.mark.parametrize("word", ["status", "failed", "null", "4096", "exit_code", "supervisor"])
    def test_a_secret_that_is_a_word_of_the_document_does_not_break_it(self, word):
        Secret(word)
        result = result_of(run_result(error=SupervisorError(f"it is {word}"), outputs=1))
        for text in (to_json(result), termination_message(result)):
            told = json.loads(text)
            assert told["reason"] == "it is ***"
            assert (told["exit_code"], told["signal"]) == (110, None)

    def test_secrets_are_masked_everywhere(self):
        value = 'secret"of\\the-user'
        Secret(value)
        report = RunReport(f"bucket/{value}")
        report.fail(NotFound(f"no {value}", path=f"bucket/{value}"))
        report.warn(f"{value} goes nowhere")
        report.outputs.add(transferred(f"out/{value}"))
        result = result_of(report.result(), run_result())
        for text in (to_json(result), termination_message(result).decode()):
            shown = text + json.dumps(json.loads(text), ensure_ascii=False) + repr(json.loads(text))
            assert "of\\\\the" not in shown
            assert value not in str(json.loads(text).values())


def test_a_run_result_is_a_plain_value():
    assert isinstance(run_result(), RunResult)
