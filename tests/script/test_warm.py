"""Warm scripts: started once, told of each run by a line, and ended when they misbehave."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faas_supervisor.config import Limits, Threshold
from faas_supervisor.errors import Failure, LimitExceeded, ScriptError, SupervisorError, Terminated
from faas_supervisor.script import Outcome, Setup, run_limited
from faas_supervisor.script._warm import WarmScripts
from faas_supervisor.stop import Stop

pytestmark = pytest.mark.usefixtures("way")

LOOP = """
while read -r request; do
    . "$WARM_ENVIRONMENT"
    {body}
    echo '{{"status": 0}}' >&"$WARM_REPLY_FD"
done
"""


class Sink:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


class Runner:
    """Runs one warm script several times."""

    def __init__(self, folder, most=1):
        self.file = folder / "script.sh"
        self.base = {"PATH": os.environ["PATH"], "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()
        self.scripts = WarmScripts(self.base, self.base, most=most)
        self.out, self.err = Sink(), Sink()

    def run(self, *, stop=None, watches=(), interpreter="/bin/sh", grace=10.0, **variables):
        environment = {**self.base, "TMP_OUTPUT_DIR": "/out", **variables}
        with stop or Stop() as told:
            return self.scripts.run(
                [interpreter, str(self.file)],
                environment,
                stdout=self.out,
                stderr=self.err,
                stop=told,
                watches=watches,
                grace=grace,
            )

    def loop(self, body):
        self.file.write_text(LOOP.format(body=body))
        return self


@pytest.fixture
def runner(tmp_path):
    one = Runner(tmp_path)
    with one.scripts:
        yield one
    assert list((tmp_path / "tmp").iterdir()) == [], "a folder is left"


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def held():
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def assert_held(before):
    """Assert that not much more is held, none for each run; what has nothing to do any more takes a moment to end."""
    most = before[0] + 4, before[1] + 2
    until = time.monotonic() + 30
    while (held()[0] > most[0] or held()[1] > most[1]) and time.monotonic() < until:
        time.sleep(0.01)
    assert held()[0] <= most[0]
    assert held()[1] <= most[1]


class TestRuns:
    def test_one_process_takes_one_after_the_other(self, runner):
        runner.loop("echo $$")
        assert [runner.run().status for _ in range(3)] == [0, 0, 0]
        assert len(set(runner.out.data.split())) == 1

    def test_the_line_tells_where_the_files_are_and_what_is_new_in_the_environment(self, runner):
        runner.file.write_text('while read -r line; do printf "%s\\n" "$line"; echo \'{"status": 0}\' >&4; done')
        runner.run(INPUT_FILE_PATH="/in/a b", EXTRA='"quoted"\nlines')
        request = json.loads(runner.out.data)
        assert (request["input"], request["output"]) == ("/in/a b", "/out")
        assert request["environment"]["EXTRA"] == '"quoted"\nlines'
        assert "PATH" not in request["environment"]

    def test_a_shell_reads_the_variables_of_a_run_and_none_of_the_last(self, runner):
        runner.loop('printf "%s|%s;" "${A-unset}" "${B-unset}"')
        runner.run(A="it's; $(exit) `exit`")
        runner.run(B="\n'")
        assert runner.out.data == b"it's; $(exit) `exit`|unset;unset|\n';"

    def test_the_status_it_answers_is_that_of_the_run_and_it_goes_on(self, runner):
        runner.loop('[ "$N" = 1 ] && { echo \'{"status": 7}\' >&4; continue; }; echo $$')
        assert [runner.run(N=str(n)).status for n in (0, 1, 2)] == [0, 7, 0]
        assert len(set(runner.out.data.split())) == 1

    def test_what_is_written_after_an_answer_is_never_in_the_next_one(self, runner, tmp_path, caplog):
        """Else one client would get what another one's input led to."""
        os.mkfifo(tmp_path / "late")
        caplog.set_level("INFO")
        late = 'echo "$N"; if [ "$N" = 1 ]; then echo \'{"status": 0}\' >&4; echo secret; : > ../late; continue; fi'
        runner.loop(late.replace("../late", str(tmp_path / "late")))
        runner.run(N="1")
        first = runner.out.data
        (tmp_path / "late").read_bytes()  # returns when the script has written both
        runner.run(N="2")
        assert runner.out.data.removeprefix(first) == b"2\n"
        assert runner.err.data == b""  # which may be part of an answer, too
        assert b"secret" in first or "secret" in caplog.text

    def test_what_it_prints_while_it_loads_is_part_of_the_run_that_it_is_started_for(self, runner):
        runner.file.write_text("echo loading; echo slowly >&2" + LOOP.format(body="echo $N"))
        runner.run(N="1")
        runner.run(N="2")
        assert (runner.out.data, runner.err.data) == (b"loading\n1\n2\n", b"slowly\n")

    def test_what_it_prints_as_it_dies_of_loading_is_as_well(self, runner, caplog):
        runner.file.write_text("echo no model >&2; exit 5")
        for _ in range(5):
            assert runner.run().status == 5
        assert runner.err.data == 5 * b"no model\n"
        assert "between runs" not in caplog.text

    def test_it_is_told_apart_by_its_content(self, runner):
        runner.loop("echo first")
        runner.run()
        runner.loop("echo second")
        runner.run()
        assert runner.out.data == b"first\nsecond\n"

    def test_more_at_a_time_are_more_processes_up_to_the_bound(self, tmp_path):
        runner = Runner(tmp_path, most=2).loop("sleep 0.05; echo $$")
        with runner.scripts, ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: runner.run(), range(12)))
            assert len(runner.out.data.split()) == 12
            assert len(set(runner.out.data.split())) == 2

    def test_the_usage_is_that_of_the_run(self, runner):
        runner.loop("i=0; while [ $i -lt $N ]; do i=$((i + 1)); done")
        much, little = runner.run(N="200000"), runner.run(N="1")
        assert much.user > 0
        assert little.user < much.user
        assert little.peak_memory > 100_000

    def test_a_request_larger_than_a_pipe_arrives(self, runner):
        runner.loop("printf %s ${#BIG}")
        runner.run(BIG="x" * 2_000_000)
        assert runner.out.data == b"2000000"

    def test_a_flood_of_output_passes(self, runner):
        runner.loop("head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2")
        runner.run()
        assert (len(runner.out.data), len(runner.err.data)) == (5_000_000, 3_000_000)


class TestBeforeTheFirstRun:
    """It is started without a run, to load its model."""

    def prepared(self, runner, text):
        runner.file.write_text(text)
        runner.scripts.prepare(["/bin/sh", str(runner.file)], setup=Setup(), grace=10.0)

    def test_it_loads_and_takes_the_first_run(self, runner, tmp_path):
        os.mkfifo(tmp_path / "loaded")
        self.prepared(runner, f"echo $$ > {tmp_path}/loaded" + LOOP.format(body="echo $$"))
        pid = (tmp_path / "loaded").read_bytes()
        assert [runner.run().status for _ in range(2)] == [0, 0]
        assert runner.out.data == 2 * pid

    def test_it_may_say_more_than_a_pipe_holds_and_none_of_it_is_in_an_answer(self, runner, tmp_path):
        os.mkfifo(tmp_path / "loaded")
        chatter = "head -c 200000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' y >&2"
        self.prepared(runner, f"{chatter}; : > {tmp_path}/loaded" + LOOP.format(body="echo answer"))
        (tmp_path / "loaded").read_bytes()
        runner.run()
        assert (runner.out.data, runner.err.data) == (b"answer\n", b"")

    def test_one_that_ends_while_it_loads_is_started_again_by_the_first_run(self, runner, tmp_path):
        (tmp_path / "broken").touch()
        broken = f"[ -e {tmp_path}/broken ] && {{ rm {tmp_path}/broken; echo no model >&2; exit 5; }}"
        self.prepared(runner, broken + LOOP.format(body="echo answer"))
        while (tmp_path / "broken").exists():
            time.sleep(0.01)
        outcome = runner.run()
        assert outcome.status in {0, 5}  # 5: the run came before it had ended
        assert (runner.out.data, runner.err.data) in {(b"answer\n", b""), (b"", b"no model\n"), (b"", b"")}

    def test_one_that_cant_be_started_says_so(self, runner):
        runner.file.write_text("")
        with pytest.raises(ScriptError) as caught:
            runner.scripts.prepare(["/no/interpreter", str(runner.file)], setup=Setup(), grace=10.0)
        assert caught.value.failure is Failure.INTERPRETER_MISSING


class TestMisbehaviour:
    def pid_of(self, runner):
        return int(runner.out.data.split()[-1])

    @pytest.mark.parametrize(
        "answer",
        [
            "no JSON",
            "{}",
            "[]",
            "0",
            '{"status": "0"}',
            '{"status": true}',
            '{"status": -1}',
            '{"status": 256}',
            '{"status": 0.5}',
            "\\377\\376",
            "",
        ],
    )
    def test_an_answer_that_is_none_ends_it(self, runner, answer):
        runner.loop(f"echo $$; printf '%b\\n' '{answer}' >&4; sleep 600")
        with pytest.raises(ScriptError, match="answer is no status") as caught:
            runner.run()
        assert caught.value.failure is Failure.SCRIPT
        assert gone(self.pid_of(runner))

    def test_an_endless_line_ends_it(self, runner):
        runner.loop("echo $$; tr '\\0' x </dev/zero >&4")
        with pytest.raises(ScriptError, match="answer is no status: x"):
            runner.run()
        assert gone(self.pid_of(runner))

    def test_a_second_line_ends_it_since_the_next_answer_would_be_another_ones(self, runner):
        runner.loop('echo $$; printf \'{"status": 0}\\n{"status": 0}\\n\' >&4; read -r nothing; exit')
        assert runner.run().status == 0
        first = self.pid_of(runner)
        assert runner.run().status == 0
        assert self.pid_of(runner) != first
        assert gone(first)

    def test_one_that_ends_gives_its_status_and_the_next_run_has_a_new_one(self, runner):
        runner.loop('echo $$; [ "$N" = 1 ] && exit 3')
        assert [runner.run(N=str(n)).status for n in (0, 1, 2)] == [0, 3, 0]
        first, second, third = runner.out.data.split()
        assert first == second != third

    def test_one_that_is_killed_tells_the_signal(self, runner):
        runner.loop("kill -9 $$")
        outcome = runner.run()
        assert (outcome.status, outcome.signal) == (137, signal.SIGKILL)

    def test_one_that_ends_well_without_an_answer_has_failed(self, runner):
        runner.loop("exit 0")
        with pytest.raises(ScriptError, match="without an answer"):
            runner.run()

    def test_one_that_closes_its_descriptor_is_ended(self, runner):
        runner.loop("echo $$; exec 4>&-; sleep 600")
        with pytest.raises(ScriptError, match="closed"):
            runner.run()
        assert gone(self.pid_of(runner))

    def test_one_that_died_meanwhile_is_replaced(self, runner):
        runner.loop("echo $$")
        runner.run()
        first = self.pid_of(runner)
        os.kill(first, signal.SIGKILL)
        while not gone(first):
            time.sleep(0.01)  # until it is buried
        assert runner.run().status == 0
        assert self.pid_of(runner) != first

    def test_one_that_ends_between_runs_says_why(self, runner, tmp_path, caplog):
        caplog.set_level("INFO")
        os.mkfifo(tmp_path / "go")
        ends = f"break; done; read -r go < {tmp_path}/go; echo the model is lost >&2; exit 4"
        runner.loop("echo $$").file.write_text(runner.file.read_text().replace("done", ends))
        runner.run()
        (tmp_path / "go").write_text("go\n")
        while not gone(self.pid_of(runner)):
            time.sleep(0.01)  # until it is buried
        runner.scripts.close()
        assert "the warm script, between runs: the model is lost" in caplog.text
        assert "the warm script ended between runs, with status 4" in caplog.text

    def test_one_that_cant_be_started_says_so(self, runner):
        runner.file.write_text("")
        with pytest.raises(ScriptError) as caught:
            runner.run(interpreter="/no/interpreter")
        assert caught.value.failure is Failure.INTERPRETER_MISSING

    def test_one_that_dies_at_once_is_started_again_after_a_pause_that_grows(self, runner, caplog):
        runner.file.write_text("exit 5")
        assert [runner.run().status for _ in range(3)] == [5, 5, 5]
        assert [record.getMessage()[-5:] for record in caplog.records if "again" in record.message] == [
            "0.1 s",
            "0.2 s",
        ]

    def test_whoever_stops_does_not_wait_for_that_pause(self, runner):
        runner.file.write_text("exit 5")
        runner.scripts._failures = 30
        stop = Stop()
        threading.Timer(0.05, stop.set, [Terminated("enough")]).start()
        with pytest.raises(Terminated, match="enough"):
            runner.run(stop=stop)


class TestEnd:
    def test_a_stop_ends_it_and_its_children_and_the_next_run_has_a_new_one(self, runner, tmp_path):
        os.mkfifo(tmp_path / "hangs")
        runner.loop(f'[ "$N" = 1 ] || {{ sleep 600 & echo $! $$ > {tmp_path}/hangs; wait; }}')
        stop, pids = Stop(), []

        def end():
            pids.extend(map(int, (tmp_path / "hangs").read_text().split()))
            stop.set(Terminated("the client left"))

        watcher = threading.Thread(target=end)
        watcher.start()
        with pytest.raises(Terminated, match="the client left") as caught:
            runner.run(stop=stop, N="0")
        watcher.join()
        assert all(map(gone, pids))
        assert isinstance(caught.value.outcome, Outcome)
        assert runner.run(N="1").status == 0

    def test_a_watch_ends_it_and_sees_its_process(self, runner):
        class Watch:
            def started(self, pid):
                self.pid = pid

            def look(self):
                return SupervisorError("too much")

        watch = Watch()
        runner.loop("sleep 600")
        with pytest.raises(SupervisorError, match="too much"):
            runner.run(watches=(watch,))
        assert gone(watch.pid)

    def test_who_waits_for_a_free_one_can_be_stopped(self, runner, tmp_path):
        os.mkfifo(tmp_path / "begun")
        runner.loop(f": > {tmp_path}/begun; sleep 600")
        busy, waiting = Stop(), Stop()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(runner.run, stop=busy)
            (tmp_path / "begun").read_bytes()
            second = pool.submit(runner.run, stop=waiting)
            waiting.set(Terminated("second"))
            with pytest.raises(Terminated, match="second"):
                second.result(30)
            busy.set(Terminated("first"))
            with pytest.raises(Terminated, match="first"):
                first.result(30)

    def test_the_end_of_its_input_ends_it_in_good_order(self, tmp_path):
        runner = Runner(tmp_path).loop("echo $$")
        (tmp_path / "script.sh").write_text((tmp_path / "script.sh").read_text() + f"echo bye > {tmp_path}/bye")
        with runner.scripts:
            runner.run()
        assert (tmp_path / "bye").read_text() == "bye\n"

    def test_one_that_doesnt_mind_is_ended(self, tmp_path):
        runner = Runner(tmp_path)
        runner.file.write_text(
            'trap "" TERM\nread -r line; echo $$; echo \'{"status": 0}\' >&4; while :; do sleep 1; done'
        )
        with runner.scripts:
            runner.run(grace=0.1)
        assert gone(int(runner.out.data))

    def test_all_are_told_to_end_before_any_is_waited_for(self, tmp_path):
        runner = Runner(tmp_path, most=3)
        meet = f"echo > {tmp_path}/RUNS.$$; while [ $(ls {tmp_path} | grep -c RUNS) -lt 3 ]; do sleep 0.01; done"
        ends = meet.replace("RUNS", "ends") + f"; echo > {tmp_path}/all.$$"
        runner.file.write_text(LOOP.format(body=meet.replace("RUNS", "runs")) + ends)
        with runner.scripts, ThreadPoolExecutor(3) as pool:
            runs = [pool.submit(runner.run) for _ in range(3)]
            assert [run.result(30).status for run in runs] == [0, 0, 0]
        assert len(list(tmp_path.glob("all.*"))) == 3

    def test_nothing_is_left_of_a_thousand_runs(self, runner):
        runner.loop(":")
        runner.run()
        before = held()
        for _ in range(1000):
            assert runner.run().status == 0
        assert_held(before)

    def test_nothing_is_left_of_those_that_died(self, runner):
        runner.loop('[ "$N" = 1 ] || exit 3')
        runner.run(N="1")
        before = held()
        for _ in range(20):
            assert (runner.run(N="0").status, runner.run(N="1").status) == (3, 0)
        assert_held(before)


@pytest.mark.parametrize(("interpreter", "name"), [("/usr/bin/env", "script.py"), ("/bin/sh", "script.sh")])
def test_the_examples_work(runner, tmp_path, interpreter, name):
    example = Path(__file__).parents[2] / "examples" / "warm" / name
    runner.file.write_bytes(example.read_bytes())
    argv = ["/usr/bin/env", "python3", str(runner.file)] if name.endswith("py") else ["/bin/sh", str(runner.file)]
    for number in range(3):
        (tmp_path / "in").write_text("bird the bird\n" * (number + 1))
        environment = {**runner.base, "INPUT_FILE_PATH": str(tmp_path / "in"), "TMP_OUTPUT_DIR": str(tmp_path)}
        with Stop() as stop:
            outcome = runner.scripts.run(argv, environment, stdout=runner.out, stderr=runner.err, stop=stop)
        assert outcome.status == 0
        (written,) = (file for file in tmp_path.iterdir() if file.name.startswith("words"))
        assert f"{2 * (number + 1)}" in written.read_text()
    assert runner.err.data == b""


class TestLimits:
    """A warm script's limits are those of each run."""

    def limited(self, runner, tmp_path, n, **limits):
        environment = {**runner.base, "TMP_OUTPUT_DIR": str(tmp_path), "N": n}
        argv = ["/bin/sh", str(runner.file)]
        with Stop() as stop:
            return run_limited(
                argv,
                environment,
                limits=Limits(**limits),
                guard=Threshold(),
                output=tmp_path,
                stdout=runner.out,
                stderr=runner.err,
                stop=stop,
                by=runner.scripts.run,
            )

    def test_cpu_time_is_counted_for_each_run(self, runner, tmp_path):
        runner.loop('end=$(($(date +%s%N) + N * 1000000)); while [ "$(date +%s%N)" -lt $end ]; do :; done; echo $$')
        for _ in range(4):
            assert self.limited(runner, tmp_path, "400", cpu_time=1.0).status == 0
        assert len(set(runner.out.data.split())) == 1, "it was started again"
        with pytest.raises(LimitExceeded, match="cpu_time"):
            self.limited(runner, tmp_path, "60000", cpu_time=1.0)

    def test_a_time_limit_ends_it(self, runner, tmp_path):
        runner.loop("echo $$; sleep $N")
        assert self.limited(runner, tmp_path, "0", time=0.5).status == 0
        with pytest.raises(LimitExceeded):
            self.limited(runner, tmp_path, "600", time=0.5)
        assert self.limited(runner, tmp_path, "0", time=30.0).status == 0
        first, second, third = runner.out.data.split()
        assert first == second != third

    def test_a_memory_limit_does_not_end_it_with_the_run(self, runner, tmp_path):
        runner.loop("echo $$")
        for _ in range(2):
            assert self.limited(runner, tmp_path, "0", memory=1 << 30, processes=50).status == 0
        assert len(set(runner.out.data.split())) == 1
