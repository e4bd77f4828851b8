"""The script's output: whole lines, at once, whatever becomes of those who take it, and in constant memory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from faas_supervisor.errors import ScriptError
from faas_supervisor.script import _output
from faas_supervisor.stop import Stop
from tests.script.runs import TIMEOUT, Collected, Running, python, running, sh, wait_for

LINE = 64 * 1024


class TestLines:
    def test_those_of_both_outputs_never_mix_where_they_go_to_one_place(self, monkeypatch):
        monkeypatch.setattr(_output, "_PROMPT", TIMEOUT)  # a busy machine may take long to write one
        both = Collected()

        class Other:  # one and the same sink would get one pipe, in which the script itself mixes its lines
            write = both.write

        code = """
            import os, sys, threading
            def write(number, letter):
                for length in (1, 100, 4095, 4097, 60_000, 65_535) * 5:
                    line = letter * length + b"\\n"
                    while line:  # in pieces, as a program that doesn't buffer
                        line = line[os.write(number, line[:4096]):]
            threads = [threading.Thread(target=write, args=one) for one in ((1, b"o"), (2, b"e"))]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
        """
        python(code, stdout=both, stderr=Other())
        lines = both.data.splitlines()
        assert len(lines) == 60
        assert {len(set(line)) for line in lines} == {1}

    def test_a_prompt_comes_while_the_script_waits(self, tmp_path):
        go = tmp_path / "go"
        os.mkfifo(go)
        script = running(f"printf 'ready? '; read x < {go}; echo yes")
        script.said(b"ready? ")
        go.write_text("go\n")
        assert script.end().out.data == b"ready? yes\n"

    def test_the_last_line_needs_no_line_break(self):
        assert sh("printf 'one\\ntwo'").out.data == b"one\ntwo"

    @pytest.mark.parametrize("length", [LINE - 1, LINE, LINE + 1, 3 * LINE, 1024 * 1024 + 7])
    def test_a_line_of_any_length_arrives_unchanged(self, length):
        ran = python(f"import sys; sys.stdout.write('a' * {length} + '\\nend')")
        assert ran.out.data == b"a" * length + b"\nend"


class TestWhoTakesIt:
    def test_one_that_fails_gets_no_more_and_the_script_goes_on(self, caplog):
        class Broken(Collected):
            def write(self, data):
                super().write(data)
                raise ValueError("no room for this")

        out = Broken()
        ran = sh("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; exit 3", stdout=out)
        assert ran.status == 3
        assert len(out.pieces) == 1
        assert "the script's output is lost from here on: ValueError: no room for this" in caplog.text

    def test_one_that_fails_is_no_matter_for_the_other(self):
        class Broken:
            def write(self, data):
                raise OSError("gone")

        assert sh("echo out; echo err >&2", stdout=Broken()).err.data == b"err\n"

    def test_one_that_hangs_holds_up_neither_a_stop_nor_the_end(self, monkeypatch, caplog):
        monkeypatch.setattr(_output, "_HURRIED", 0.2)
        released, hanging = threading.Event(), threading.Event()

        class Hanging:
            def write(self, data):
                hanging.set()
                released.wait(TIMEOUT)

        script = running("echo $$; while :; do sleep 0.05; done", stdout=Hanging())
        assert hanging.wait(TIMEOUT)
        script.stop.set()
        try:
            script.end()
            assert "nobody takes it" in caplog.text
        finally:
            released.set()

    def test_one_that_is_slow_gets_everything(self, monkeypatch):
        """As long as something moves it is waited for, however long that takes in all."""
        monkeypatch.setattr(_output, "_PATIENCE", 0.3)

        class Slow(Collected):
            def write(self, data):
                super().write(data)
                threading.Event().wait(0.1)

        out = Slow()
        sh("head -c 600000 /dev/zero", stdout=out)
        assert len(out.data) == 600_000

    def test_a_script_that_does_not_stop_writing_is_stopped_all_the_same(self):
        script = Running(["/bin/sh", "-c", "exec yes"])
        script.said(b"y\n")
        script.stop.set()
        assert script.end().error.outcome.signal == 15


def test_no_room_for_a_thread_is_told_and_nothing_is_left(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(_output, "_threads", _output._Threads())  # none waits
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ScriptError, match="no room for a thread.*limits of processes") as caught:
        sh("exit 0")
    assert caught.value.failure.exit_code == 126
    assert sorted(os.listdir("/proc/self/fd")) == before


class TestThreads:
    """The threads that empty pipes are used again, since to start one takes long; idle ones go."""

    @pytest.fixture(autouse=True)
    def threads(self, monkeypatch):
        monkeypatch.setattr(_output, "_threads", _output._Threads())
        self.others = set(threading.enumerate())

    def mine(self):
        return [one for one in threading.enumerate() if one.name == "script-output" and one not in self.others]

    def test_one_serves_one_script_after_the_other(self):
        sh("echo")
        first = self.mine()
        assert [sh("echo one").out.data, sh("echo two").out.data] == [b"one\n", b"two\n"]
        assert self.mine() == first
        assert len(first) == 1

    def test_one_with_nothing_to_do_ends(self, monkeypatch):
        monkeypatch.setattr(_output, "_IDLE", 0.01)
        sh("echo")
        wait_for(lambda: not self.mine(), "the thread to end")
        assert sh("echo again").out.data == b"again\n"

    def test_one_whose_sink_hangs_is_not_used_again(self, monkeypatch):
        monkeypatch.setattr(_output, "_PATIENCE", 0.05)
        goes_on = threading.Event()

        class Hanging(Collected):
            def write(self, data):
                goes_on.wait(TIMEOUT)

        sh("echo", stdout=Hanging())
        assert sh("echo next").out.data == b"next\n"
        goes_on.set()


@pytest.mark.parametrize(
    "code",
    ["head -c 200000000 /dev/zero; head -c 1000000 /dev/zero >&2", "yes 123456789 | head -c 200000000"],
    ids=["a-line", "lines"],
)
def test_200_megabytes_need_no_memory(code):
    """Measured in a process of its own, whose largest size says it."""
    program = """
        import resource, sys
        from faas_supervisor.recording import Tail
        from faas_supervisor.script import run
        from faas_supervisor.stop import Stop

        class Count:
            total = 0
            tail = Tail(65536)
            def write(self, data):
                self.total += len(data)
                self.tail.write(data)

        out = Count()
        environment = {"PATH": "/usr/bin:/bin"}
        run(["/bin/sh", "-c", "true"], environment, stdout=out, stderr=out, stop=Stop())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = run(["/bin/sh", "-c", sys.argv[1]], environment, stdout=out, stderr=out, stop=Stop())
        print(out.total, outcome.status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    argv = [sys.executable, "-c", textwrap.dedent(program), code]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=120)
    total, status, grown = map(int, done.stdout.split())
    assert (total, status) == (200_000_000 + (1_000_000 if "&2" in code else 0), 0)
    assert grown < 8 * 1024  # KiB; the pipe alone holds 1 MiB


def test_a_stop_that_comes_first_opens_nothing():
    before = sorted(os.listdir("/proc/self/fd"))
    stop = Stop()
    stop.set()
    with pytest.raises(Exception, match="told to stop"):
        sh("exit 0", stop=stop)
    stop.close()
    assert sorted(os.listdir("/proc/self/fd")) == before
