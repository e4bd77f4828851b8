"""Signals, the end of our parent, and what is kept of the script's output: the real command, from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.e2e.support import SUPERVISOR, alive, event, fails, succeeds
from tests.e2e.test_termination import wait_for

PASSED_ON = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH]


@pytest.fixture
def started(service):
    """Start a job whose script says when it runs, and wait until it does."""
    ready = service.home / "ready"
    processes = []

    def start(script, *, argv=None, **extra):
        service.script = script.replace("READY", f"echo $$ > {ready}.new; mv {ready}.new {ready}")
        process = subprocess.Popen(
            argv or [str(SUPERVISOR)],
            cwd=service.home,
            env=service.job_environment(**extra),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        process.stdin.write(b"x")
        process.stdin.close()
        process.stdin = None
        wait_for(ready.exists, "the script")
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


class TestSignals:
    @pytest.mark.parametrize("number", PASSED_ON)
    def test_those_that_end_nothing_reach_the_script_which_goes_on(self, service, started, number):
        name = number.name.removeprefix("SIG")
        script = f"trap 'got=1' {name}; READY; while [ -z \"$got\" ]; do sleep 0.02; done; echo got it"
        process = started(script)
        process.send_signal(number)

        done = service.done(process, None)

        succeeds(done, service)
        assert "got it" in done.stderr

    def test_a_second_one_reaches_the_script_and_shortens_nothing(self, service, started):
        first, second = service.home / "first", service.home / "second"
        script = (
            f"trap 'touch {first}' TERM; trap 'touch {second}' INT; READY;"
            f"while [ ! -e {second} ]; do sleep 0.02; done; echo goodbye; exit 0"
        )
        process = started(script)
        process.send_signal(signal.SIGTERM)
        wait_for(first.exists, "the first signal")
        process.send_signal(signal.SIGINT)

        done = service.done(process, None)

        fails(done, service, 143, "terminated", "SIGTERM")
        assert "goodbye" in done.stderr

    def test_a_script_that_does_not_listen_is_killed_after_kill_grace(self, service, started):
        process = started("trap '' TERM; READY; while :; do sleep 0.02; done", FAAS_SUPERVISOR_KILL_GRACE="300ms")
        pid = int((service.home / "ready").read_text())
        process.send_signal(signal.SIGTERM)

        done = service.done(process, None)

        fails(done, service, 143, "terminated", "SIGTERM")
        assert not alive(pid)
        assert done.result["signal"] == signal.SIGKILL

    def test_under_nohup_a_terminal_that_is_closed_ends_nothing(self, service, started):
        go = service.home / "go"
        process = started(f"READY; while [ ! -e {go} ]; do sleep 0.02; done", argv=["nohup", str(SUPERVISOR)])
        process.send_signal(signal.SIGHUP)
        go.touch()

        succeeds(service.done(process, None), service)


class TestTheEndOfOurParent:
    """Behind `sh -c`, where SIGTERM never comes."""

    SHELL = '"$@"; exit $?'

    def test_ends_the_invocation(self, service, started):
        shell = started("READY; sleep 1000", argv=["sh", "-c", self.SHELL, "sh", str(SUPERVISOR)])
        pid = int((service.home / "ready").read_text())
        shell.kill()
        wait_for(lambda: not alive(pid), "the script to end")

        told = wait_for(lambda: message(service), "the termination message")

        assert (told["failure"], told["exit_code"]) == ("terminated", 143)
        assert told["reason"] == "the process that started the supervisor has ended"
        wait_for(lambda: not list(service.workspace.iterdir()), "the workspace to be removed")

    @pytest.mark.parametrize("how", ["nohup", "setsid"])
    def test_is_no_matter_where_it_is_wanted(self, service, started, how):
        go = service.home / "go"
        script = f"READY; while [ ! -e {go} ]; do sleep 0.02; done"
        shell = started(script, argv=["sh", "-c", self.SHELL, "sh", how, str(SUPERVISOR)])
        if how == "setsid":
            assert os.getsid(int((service.home / "ready").read_text())) != os.getsid(shell.pid)
        shell.kill()
        shell.wait()
        go.touch()

        told = wait_for(lambda: message(service), "the termination message")

        assert told["status"] == "succeeded"


def message(service):
    try:
        return json.loads(service.termination.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


class TestWhatIsKeptOfTheOutput:
    def test_its_end_is_in_the_termination_message(self, service):
        service.script = "echo out; echo the disk is on fire >&2; exit 3"

        done = service.job(b"x")

        assert json.loads(done.termination)["log_tail"] == "out\nthe disk is on fire\n"
        assert "log_tail" not in done.result

    def test_of_much_output_the_message_has_what_there_is_room_for_and_the_reason(self, service):
        service.script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; exit 3"

        done = service.job(b"x")

        told = json.loads(done.termination)
        assert len(done.termination) <= 4096
        assert told["reason"] == "the script exited with status 3"
        assert told["log_tail"].endswith("\nline 4998\nline 4999\n")
        assert told["log_tail"].startswith("line ")
        assert len(told["log_tail"]) > 500

    def test_it_is_in_the_result_that_is_uploaded(self, service):
        service.provider("file.store", root=str(service.storage))
        service.config["result"] = {"storage_provider": "file.store", "path": "results"}
        service.config["log_tail"] = "20"
        service.script = "echo a line that is long; echo the last one"

        done = service.job(b"x")

        succeeds(done, service)
        (file,) = (service.storage / "results").iterdir()
        assert json.loads(file.read_text())["log_tail"] == "the last one\n"

    @pytest.mark.parametrize("status", [0, 3])
    def test_all_of_it_is_uploaded_where_logs_says(self, service, status):
        service.put("in/a.txt")
        service.config["logs"] = {"storage_provider": "minio.default", "path": "logs"}
        service.script = f"printf 'out\\n\\377'; echo err >&2; exit {status}"

        done = service.run(event("in/a.txt"))

        assert done.code == status
        stored = service.stored()
        assert stored["logs/a.txt.stdout.log"] == b"out\n\xff"
        assert stored["logs/a.txt.stderr.log"] == b"err\n"
        assert done.stdout == b"out\n\xff"

    def test_logs_that_can_not_be_uploaded_are_a_failure(self, service):
        blocked = service.storage / "minio.default" / "logs"
        service.put("in/a.txt")
        blocked.write_text("a file in the place of a folder")
        service.config["logs"] = {"storage_provider": "minio.default", "path": "logs"}
        service.script = "echo out"

        done = service.run(event("in/a.txt"))

        assert (done.code, done.result["failure"]) == (119, "output"), done.stderr

    def test_a_store_for_logs_that_is_not_configured_is_told_before_the_script_runs(self, service):
        ran = service.home / "ran"
        service.config["logs"] = {"storage_provider": "s3.nowhere", "path": "logs"}
        service.script = f"touch {ran}"

        fails(service.job(b"x"), service, 111, "configuration", "s3.nowhere is not configured")
        assert not ran.exists()


def test_a_reader_who_takes_nothing_holds_up_no_end(service, started):
    """Our standard output is a pipe that is full."""
    service.config["combine_output"] = False
    process = started("READY; exec yes", JOB_UUID="1")
    process.send_signal(signal.SIGTERM)
    process.stdout.close()  # not read, and not closed before the signal
    process.stdout = open(os.devnull, "rb")  # noqa: PTH123, SIM115  # for `done`

    done = service.done(process, None)

    assert done.code == 143
