"""Running the script: its status is told, its output goes on as it comes, and nothing of it is left."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from faas_supervisor.errors import Failure, ScriptError, Terminated
from faas_supervisor.script import _process, run
from faas_supervisor.stop import Stop
from tests.programs import need_folder, need_root
from tests.script.runs import TIMEOUT, Collected, Ran, alive, python, running, sh, state, wait_for

pytestmark = pytest.mark.usefixtures("way")


def wait_until(holds):
    """Wait for what the kernel does on its own, such as letting a killed process vanish."""
    until = time.monotonic() + TIMEOUT
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


@pytest.fixture(params=["pidfd", "polling"])
def _with_and_without_a_process_handle(request, monkeypatch):
    if request.param == "polling":

        def refuse(_pid, _flags=0):
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", refuse)


@pytest.mark.usefixtures("_with_and_without_a_process_handle")
class TestHowItEnds:
    @pytest.mark.parametrize("status", [0, 1, 2, 110, 126, 127, 137, 143, 255])
    def test_its_status_is_told_as_it_is(self, status):
        ran = sh(f"exit {status}")
        assert (ran.status, ran.outcome.signal) == (status, None)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE, 64])
    def test_a_signal_is_128_more(self, number):
        ran = sh(f"kill -{int(number)} $$")
        assert (ran.status, ran.outcome.signal) == (128 + number, number)

    def test_both_outputs_arrive_apart(self):
        ran = sh("echo out; echo err >&2; exit 3")
        assert (ran.out.data, ran.err.data, ran.status) == (b"out\n", b"err\n", 3)

    def test_the_last_words_arrive(self):
        ran = sh("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done")
        assert ran.out.data.splitlines()[-1] == b"line 1999"
        assert ran.out.data.count(b"\n") == 2000

    def test_output_that_is_not_utf8_arrives_byte_for_byte(self):
        ran = python("import sys; sys.stdout.buffer.write(bytes(range(256)))")
        assert ran.out.data == bytes(range(256))

    def test_a_script_that_closes_its_outputs_goes_on(self):
        ran = sh("exec >&- 2>&-; sleep 0.3; exit 7")
        assert ran.status == 7
        assert ran.outcome.wall >= 0.3

    def test_waiting_for_it_costs_next_to_nothing(self):
        before = time.process_time()
        sh("exec >&- 2>&-; sleep 1")
        assert time.process_time() - before < 0.5

    def test_output_comes_while_it_runs(self, tmp_path):
        go = tmp_path / "go"
        os.mkfifo(go)
        out, err = Collected(), Collected()
        environment = {"PATH": os.environ["PATH"]}
        argv = ["/bin/sh", "-c", f"echo early; read line < {go}; echo late"]
        ends = []
        thread = threading.Thread(
            target=lambda: ends.append(run(argv, environment, stdout=out, stderr=err, stop=Stop())), daemon=True
        )
        thread.start()
        assert out.got.wait(TIMEOUT)
        assert out.data == b"early\n"
        assert ends == []
        go.write_text("now\n")
        thread.join(TIMEOUT)
        assert out.data == b"early\nlate\n"

    def test_its_costs_are_told(self):
        ran = python("x = bytearray(50_000_000); sum(range(2_000_000))")
        assert ran.outcome.user > 0
        assert ran.outcome.peak_memory > 50_000_000
        assert ran.outcome.wall >= ran.outcome.user / os.cpu_count()

    def test_how_often_it_waited_is_told(self):
        busy = python("pass").outcome.voluntary_switches
        assert python("import time; [time.sleep(0.001) for _ in range(200)]").outcome.voluntary_switches >= busy + 150

    def test_a_background_process_that_holds_the_output_is_not_waited_for_and_does_not_stay(self):
        ran = sh("sleep 1000 & echo $!; exit 5")
        assert ran.status == 5
        assert ran.outcome.wall < 100
        assert wait_until(lambda: not alive(int(ran.out.data)))

    def test_a_background_process_that_never_stops_writing_does_not_hold_us(self):
        class Slow(Collected):
            def write(self, data):
                super().write(data)
                time.sleep(0.01)  # long enough for the writers to fill the pipe again
                assert len(self.pieces) < 200

        argv = ["/bin/sh", "-c", "yes & yes & yes & sleep 0.1; exit 5"]
        assert run(argv, {"PATH": os.environ["PATH"]}, stdout=Slow(), stderr=Collected(), stop=Stop()).status == 5


class TestItsSurroundings:
    def test_its_input_is_at_its_end_whatever_is_in_ours(self):
        ours = os.dup(0)
        reader, writer = os.pipe()
        os.write(writer, b"the event")
        os.close(writer)
        os.dup2(reader, 0)
        try:
            assert sh("cat; echo done").out.data == b"done\n"
        finally:
            os.dup2(ours, 0)
            os.close(ours)
            os.close(reader)

    def test_its_environment_is_the_one_that_is_given(self):
        ran = Ran(["/usr/bin/env"], {"A": "1", "B": "two words"})
        assert sorted(ran.out.data.splitlines()) == [b"A=1", b"B=two words"]

    def test_it_leads_a_session_of_its_own(self):
        ran = python("import os; print(os.getsid(0) == os.getpid() == os.getpgrp())")
        assert ran.out.data == b"True\n"

    def test_it_inherits_nothing_but_its_three_streams(self, tmp_path):
        with (tmp_path / "ours").open("w") as ours:
            os.set_inheritable(ours.fileno(), True)  # noqa: FBT003
            high = os.dup2(ours.fileno(), 200, inheritable=True)
            try:
                ran = python("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))")
            finally:
                os.close(high)
        *streams, listing = json.loads(ran.out.data)
        assert streams == [0, 1, 2]
        assert listing == 3

    def test_of_ours_it_inherits_what_it_is_given(self):
        ours = os.open(os.devnull, os.O_RDONLY)
        others = [os.dup2(ours, number, inheritable=True) for number in (150, 250)]
        given = os.dup2(ours, 300)
        try:
            ran = python("import os; print(*os.listdir('/proc/self/fd'))", streams={200: given})
        finally:
            for number in (ours, given, *others):
                os.close(number)
        assert set(map(int, ran.out.data.split())) == {0, 1, 2, 200, 3}  # 3 is that of the listing

    def test_signals_that_python_ignores_are_not_ignored(self):
        ran = sh("trap - PIPE; grep -i sig[ib] /proc/self/status")
        found = dict(line.split(b":\t") for line in ran.out.data.splitlines())
        of_the_c_library = 1 << 31 | 1 << 32  # 32 and 33, which nobody can change
        assert int(found[b"SigIgn"], 16) & ~of_the_c_library == 0
        assert int(found[b"SigBlk"], 16) == 0

    def test_a_signal_mask_of_ours_is_not_its_own(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            ran = sh("kill -TERM $$; exit 0")
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        assert ran.outcome.signal == signal.SIGTERM

    def test_a_pipe_that_its_reader_leaves_ends_the_writer(self):
        """`yes | head` would never end if SIGPIPE were ignored."""
        assert sh("yes | head -1").out.data == b"y\n"

    def test_nothing_of_ours_stays_open(self):
        sh("exit 0")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            sh("echo x; exit 1")
            with pytest.raises(ScriptError):
                Ran(["/no/such/program"])
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_no_zombie_stays(self):
        ran = sh("echo $$")
        with pytest.raises(ChildProcessError):
            os.waitpid(int(ran.out.data), os.WNOHANG)


class TestWhatCanNotStart:
    @pytest.fixture
    def file(self, tmp_path):
        def write(content, mode):
            file = tmp_path / "program"
            file.write_bytes(content)
            file.chmod(mode)
            return str(file)

        return write

    def test_what_is_not_there(self):
        with pytest.raises(ScriptError, match="/no/such/program can't be started: No such file") as caught:
            Ran(["/no/such/program"])
        assert caught.value.failure is Failure.INTERPRETER_MISSING
        assert caught.value.failure.exit_code == 127

    @pytest.mark.parametrize("mode", [0o644, 0o755], ids=["not-executable", "no-program"])
    def test_what_can_not_be_executed(self, file, mode):
        with pytest.raises(ScriptError) as caught:
            Ran([file(b"\x7fELF nonsense", mode)])
        assert caught.value.failure is Failure.NOT_EXECUTABLE
        assert caught.value.failure.exit_code == 126

    def test_a_folder(self, tmp_path):
        with pytest.raises(ScriptError, match="Permission denied") as caught:
            Ran([str(tmp_path)])
        assert caught.value.failure is Failure.NOT_EXECUTABLE

    def test_an_environment_that_is_too_large(self):
        with pytest.raises(ScriptError, match="the environment is too large") as caught:
            sh("exit 0", environment={"A": "x" * 200_000})
        assert caught.value.failure is Failure.NOT_EXECUTABLE

    def test_an_environment_that_is_too_large_altogether(self):
        with pytest.raises(ScriptError, match="the environment is too large"):
            sh("exit 0", environment={f"A{number}": "x" * 100_000 for number in range(100)})


class TestEndingItBeforeItsTime:
    @pytest.fixture
    def end(self):
        """Set `stop` as soon as the script has said that it is ready."""

        def start(code, error=None, grace=TIMEOUT):
            stop = Stop()

            class Ending(Collected):
                def write(self, data):
                    super().write(data)
                    if b"ready" in self.data:
                        stop.set(error or Terminated("stop"))

            out = Ending()
            begun = time.monotonic()
            with pytest.raises(Terminated) as caught:
                run(
                    ["/bin/sh", "-c", code],
                    {"PATH": os.environ["PATH"]},
                    stdout=out,
                    stderr=Collected(),
                    stop=stop,
                    grace=grace,
                )
            return out.data, time.monotonic() - begun, caught.value

        return start

    def test_the_script_is_asked_to_end_and_may_say_goodbye(self, end):
        said, _, error = end("trap 'echo goodbye; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
        assert said == b"ready\ngoodbye\n"
        assert (error.outcome.status, error.outcome.signal) == (7, None)

    def test_it_gets_the_signal_that_it_is_about(self, end):
        reason = Terminated("stop", signal=signal.SIGQUIT)
        code = "trap 'echo quit; exit' QUIT; trap 'echo other; exit' TERM INT; echo ready; while :; do sleep 0.05; done"
        said, _, error = end(code, reason)
        assert said == b"ready\nquit\n"
        assert error is reason

    def test_one_that_does_not_listen_is_killed_after_its_grace(self, end):
        said, seconds, error = end("trap '' TERM; echo $$ ready; while :; do sleep 0.05; done", grace=0.3)
        assert 0.3 <= seconds < TIMEOUT
        assert not alive(int(said.split()[0]))
        assert error.outcome.signal == signal.SIGKILL

    def test_its_children_end_with_it(self, end):
        said, _, _ = end("sleep 1000 & echo $! ready; wait")
        assert not alive(int(said.split()[0]))

    def test_it_is_not_even_started_when_it_is_too_late(self, tmp_path):
        stop, reason = Stop(), Terminated("stop")
        stop.set(reason)
        with pytest.raises(Terminated) as caught:
            sh(f"touch {tmp_path}/started", stop=stop)
        assert caught.value is reason
        assert list(tmp_path.iterdir()) == []


def test_a_script_may_be_started_from_any_thread():
    ends = []
    thread = threading.Thread(target=lambda: ends.append(sh("exit 4").status))
    thread.start()
    thread.join(TIMEOUT)
    assert ends == [4]


def test_a_limit_of_ours_on_open_files_is_no_matter():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert sh("ulimit -n").out.data.strip() in {str(soft).encode(), b"unlimited"}
    assert hard >= soft


def test_without_a_process_handle_it_says_so_at_debug(monkeypatch, caplog):
    def refuse(_pid, _flags=0):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    caplog.set_level("DEBUG", "faas_supervisor")
    assert sh("exit 0").status == 0
    assert f"every {1000 * _process._POLL:.0f} ms" in caplog.text


@pytest.fixture
def freezer():
    """A group of version 1 whose frozen members not even SIGKILL ends, like a process that waits for a dead disk."""
    need_root()
    need_folder(Path("/sys/fs/cgroup/freezer"), "freezer of cgroup version 1")
    group = Path(f"/sys/fs/cgroup/freezer/test-{os.urandom(4).hex()}")
    group.mkdir()
    yield group
    group.rmdir()


def test_a_script_that_hangs_in_the_kernel_does_not_hold_us(freezer, monkeypatch, caplog):
    monkeypatch.setattr(_process, "_KILLED", 0.1)
    script = running("echo $$; sleep 1000", grace=0.1)
    pid = int(script.said(b"\n"))
    (freezer / "cgroup.procs").write_text(str(pid))
    (freezer / "freezer.state").write_text("FROZEN")
    try:
        script.stop.set()
        error = script.end().error
        assert (type(error), error.outcome) == (Terminated, None)
        assert f"process {pid} of the script hangs in the kernel" in caplog.text
    finally:
        (freezer / "freezer.state").write_text("THAWED")
    wait_for(lambda: not alive(pid), "its end")
    sh("exit 0")
    assert state(pid) is None, "the next script did not bury it"
