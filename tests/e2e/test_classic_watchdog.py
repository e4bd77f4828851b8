"""Behind an unmodified classic watchdog, which starts a supervisor for each request and reads the answer from it."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.support import SUPERVISOR, alive, event
from tests.programs import need, need_root

WATCHDOG = Path(__file__).with_name("classic_watchdog.py")


@pytest.fixture
def ask(service):
    """Put a request to the function; `stdout` is the answer, `stderr` the container's log."""

    def put(body=b"x", *, timeout=60, through=(), **variables):
        environment = service.job_environment(**{"Http_Method": "POST", "write_timeout": "60", **variables})
        process = subprocess.Popen(
            [sys.executable, str(WATCHDOG), str(timeout), *through, str(SUPERVISOR)],
            cwd=service.home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return service.done(process, body)

    return put


class TestAnswer:
    @pytest.mark.parametrize("level", ["DEBUG", "INFO", "CRITICAL"])
    @pytest.mark.parametrize("combine", ["true", "false"])
    def test_is_the_scripts_alone_and_the_log_is_the_containers(self, service, ask, level, combine):
        service.script = "echo answer"
        done = ask(LOG_LEVEL=level, combine_output=combine)
        assert done.stdout == b"answer\n"
        assert ("script.sh" in done.stderr) == (level != "CRITICAL")

    def test_holds_the_scripts_standard_error_if_the_watchdog_combines_them(self, service, ask):
        service.script = "echo out; echo err >&2"
        assert ask().stdout == b"out\nerr\n"
        done = ask(combine_output="false")
        assert done.stdout == b"out\n"
        assert "err\n" in done.stderr

    def test_to_a_storage_event_holds_both_streams_too(self, service, ask):
        service.config["file_stage_in"] = True
        service.script = "echo out; echo err >&2"
        assert ask(event("bucket/key")).stdout == b"out\nerr\n"

    def test_is_clean_also_when_a_shell_starts_the_supervisor(self, service, ask):
        service.script = "echo answer"
        done = ask(through=["sh", "-c", '"$0"; exit $?'])
        assert done.stdout == b"answer\n"
        assert "result {" in done.stderr

    def test_of_a_script_that_fails_is_what_it_said(self, service, ask):
        service.script = "echo said; exit 3"
        assert ask().stdout == b"exit status 3\nsaid\n"

    def test_of_a_failure_of_ours_is_its_reason(self, service, ask):
        service.script = "echo never"
        status, reason, *others = ask(event("bucket/key")).stdout.decode().splitlines()
        assert (status, others) == ("exit status 114", [])
        assert "minio.default" in reason

    def test_leaves_no_termination_message_since_the_container_goes_on(self, service, ask):
        service.script = "exit 3"
        assert ask().termination == b""

    def test_a_script_that_sets_the_response_is_told_that_nobody_passes_it_on(self, service, ask):
        service.script = 'echo \'{"status": 404}\' > "$RESPONSE_META"; echo answer'
        done = ask()
        assert done.stdout == b"answer\n"
        assert "response.json is ignored" in done.stderr


class TestLogThatCanNotBeOpened:
    """Nothing of another process can be opened, as under a runtime that takes CAP_SYS_PTRACE from a root of its own."""

    @pytest.fixture
    def shut(self, ask):
        need_root()
        need("setpriv")
        return partial(ask, through=["setpriv", "--inh-caps=-all", "--bounding-set=-all"])

    def test_stays_on_standard_error_with_a_note_why_it_is_part_of_the_answer(self, service, shut):
        service.script = "echo answer"
        lines = shut().stdout.decode().splitlines()
        assert lines.count("answer") == 1
        (note,) = [line for line in lines if "the log may be part of the answer" in line]
        assert "WARNING" in note
        assert "Permission denied: '/proc/" in note
        assert any("result {" in line for line in lines)

    def test_is_no_part_of_the_answer_if_it_says_nothing(self, service, shut):
        service.script = "echo answer"
        assert shut(LOG_LEVEL="CRITICAL").stdout == b"answer\n"

    def test_is_no_part_of_the_answer_and_needs_no_note_if_the_watchdog_separates_them(self, service, shut):
        service.script = "echo answer"
        done = shut(combine_output="false")
        assert done.stdout == b"answer\n"
        assert "result {" in done.stderr
        assert done.warnings == []


class TestTime:
    @pytest.mark.parametrize("name", ["write_timeout", "exec_timeout"])
    def test_a_clean_failure_comes_before_the_watchdog_acts(self, service, ask, name):
        """Else the client sees a cut connection, and grandchildren that hold the pipe keep the slot for ever."""
        service.script = f'trap "" TERM; echo $$ > {service.home}/pid; sleep 600 & echo working; wait; sleep 600'
        done = ask(**{name: "3"})
        first, *others = done.stdout.decode().splitlines()
        assert first == "exit status 124"
        assert name in others[-1]
        assert not alive(int((service.home / "pid").read_text()))
        assert list(service.workspace.iterdir()) == []

    def test_a_job_has_no_such_deadline(self, service):
        service.script = "sleep 1; echo done"
        assert service.job(b"x", write_timeout="1", exec_timeout="1").code == 0

    def test_the_script_dies_when_the_watchdog_kills_us(self, service, ask):
        """It kills one process; the script would hold its pipe, and so its slot, until it ends."""
        service.script = f"echo $$ > {service.home}/pid; sleep 600"
        done = ask(timeout=4, write_timeout="0")
        assert done.stdout.startswith(b"exit status -9")
        assert not alive(int((service.home / "pid").read_text()))
