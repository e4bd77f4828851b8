"""Each limit is kept, named with value and maximum, and leaves nothing behind: as root and as nobody."""

from __future__ import annotations

import logging
import os
import re
import resource  # here, since nobody may not read the folder that it is in
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from faas_supervisor.cgroup import LimitedMemory, own_group
from faas_supervisor.config import Limits, Threshold
from faas_supervisor.errors import Failure, LimitExceeded, Terminated
from faas_supervisor.script import _limits, _subgroup, _watches, run_limited
from faas_supervisor.script._exceeded import exceeded
from faas_supervisor.stop import Stop
from tests.core.users import nobody

MIB = 1 << 20

# Doubles a text up to 160 MiB; any shell can do it, under any user. One that ends with another program becomes it.
HUNGRY = "x=0123456789; i=0; while [ $i -lt 24 ]; do x=$x$x; i=$((i+1)); done; sleep 100; :"
MANY = "i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i+1)); done; wait"


class Sink:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += bytes(data)


@pytest.fixture
def output():
    """An output folder that nobody can reach, too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        output = Path(folder) / "output"
        output.mkdir()
        yield output


@pytest.fixture
def script(output):
    """Runs shell code under limits, and returns its outcome and what it wrote."""

    def run(code, guard=Threshold(), grace=5.0, stop=None, **limits):
        out = Sink()
        environment = {"PATH": os.environ["PATH"], "TMP_OUTPUT_DIR": str(output)}
        outcome = run_limited(
            ["/bin/sh", "-c", code],
            environment,
            limits=Limits(**limits),
            guard=guard,
            output=output,
            stdout=out,
            stderr=out,
            stop=stop or Stop(),
            grace=grace,
        )
        return outcome, out.data

    return run


@pytest.fixture
def ended(script):
    """Runs shell code that exceeds a limit, and returns the error."""

    def run(code, **limits):
        with pytest.raises(LimitExceeded) as caught:
            script(code, **limits)
        return caught.value

    return run


@pytest.fixture(params=["root", "nobody"])
def user(request, output):
    """Whoever runs the supervisor; nobody may make no cgroups, so its limits are kept by watching."""
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("not root")
        yield "root"
        return
    with nobody(output):
        yield "nobody"


@pytest.fixture
def watched(monkeypatch):
    """No cgroup can be made."""
    monkeypatch.setattr(_subgroup, "own_group", lambda _controller: None)


def groups():
    """Return the groups that the supervisor made in this process and left behind."""
    found = []
    for controller in ("memory", "pids"):
        own = own_group(controller)
        found += Path(own.folder).glob(f"faas-supervisor-{os.getpid()}*") if own else []
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    yield
    assert groups() == []


def test_without_limits_nothing_changes(script, user):
    outcome, out = script("ulimit -n; ulimit -c; exit 3")
    assert outcome.status == 3
    _, plain = script("ulimit -n; ulimit -c")
    assert out == plain


class TestTime:
    def test_a_script_that_takes_too_long_is_ended(self, ended, user):
        error = ended("sleep 100", time=0.3)
        assert (error.limit, error.maximum, error.failure) == ("time", 0.3, Failure.TIME_LIMIT)
        assert error.value >= 0.3
        assert re.match(r"time_limit: [\d.]+ s of 0\.3 s", error.message)
        assert error.outcome.signal == signal.SIGTERM

    def test_it_is_asked_first_and_may_end_in_order(self, ended):
        error = ended("trap 'kill $!; exit 0' TERM; sleep 100 & wait", time=0.3)
        assert error.outcome.status == 0

    def test_who_does_not_listen_is_killed_after_the_grace(self, ended):
        error = ended("trap '' TERM; while :; do sleep 0.1; done", time=0.2, grace=0.3)
        assert error.outcome.signal == signal.SIGKILL
        assert error.outcome.wall >= 0.5

    def test_one_that_is_in_time_is_left_alone(self, script):
        assert script("exit 4", time=100)[0].status == 4


class TestProcessorTime:
    def test_a_process_that_takes_too_much_is_ended(self, ended, user):
        error = ended("while :; do :; done", cpu_time=1)
        assert (error.limit, error.maximum, error.failure) == ("cpu_time", 1, Failure.TIME_LIMIT)
        assert error.message.startswith("cpu_time_limit: 1")

    def test_all_processes_are_added_up(self, ended, user):
        # Each of them takes less than the whole second that a process may have.
        loop = "(i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); done) &"
        error = ended(f"{loop} {loop} {loop} {loop} wait", cpu_time=0.9)
        assert error.limit == "cpu_time"
        assert error.value >= 0.9

    def test_what_ended_before_counts_too(self, ended):
        burst = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
        error = ended(f"while :; do ( {burst} ); done", cpu_time=0.9)
        assert error.limit == "cpu_time"

    def test_the_signal_of_the_kernel_is_told_as_the_limit(self, ended, monkeypatch):
        monkeypatch.setattr(_limits, "can_be_read", lambda: False)
        error = ended("while :; do :; done", cpu_time=1)
        assert error.outcome.signal == signal.SIGXCPU
        assert (error.limit, error.failure) == ("cpu_time", Failure.TIME_LIMIT)

    def test_waiting_costs_none(self, script):
        assert script("sleep 1.5; exit 5", cpu_time=1)[0].status == 5


class TestMemory:
    def test_a_script_that_takes_too_much_is_ended(self, ended, user):
        error = ended(HUNGRY, memory=64 * MIB)
        assert (error.limit, error.maximum, error.failure) == ("memory", 64 * MIB, Failure.MEMORY_LIMIT)
        assert error.message.startswith("memory_limit: ")
        assert " of 64.0 MiB" in error.message

    @pytest.mark.usefixtures("watched")
    def test_the_largest_process_is_named_with_what_it_has(self, ended):
        error = ended(f"sleep 99 & {HUNGRY}", memory=64 * MIB)
        assert "; largest process sh (pid " in error.message
        assert error.value > 64 * MIB
        assert error.outcome.group_memory >= error.value

    @pytest.mark.usefixtures("watched")
    def test_all_processes_are_added_up(self, ended):
        hungry = HUNGRY.replace("24", "21")
        error = ended(f"({hungry}) & ({hungry}) & ({hungry}) & ({hungry}) & wait", memory=64 * MIB)
        assert error.limit == "memory"

    @pytest.mark.usefixtures("watched")
    def test_a_process_that_left_the_session_counts_too(self, ended):
        assert ended(f"setsid sh -c '{HUNGRY}' & wait", memory=64 * MIB).limit == "memory"

    def test_one_that_takes_less_is_left_alone(self, script, user):
        outcome, _ = script(HUNGRY.replace("24", "20").replace("sleep 100", "sleep 0.3; exit 6"), memory=256 * MIB)
        assert outcome.status == 6
        assert outcome.group_memory > 5 * MIB  # no upper bound: a fork counts what this process has, tests included

    def test_what_is_only_shared_does_not_count_twice(self, monkeypatch):
        watch = _watches.GroupWatch(Limits(memory=100), frozenset())
        sizes = iter([[150], [120]])
        monkeypatch.setattr(_watches, "anonymous", lambda _: sum(next(sizes)))
        monkeypatch.setattr(_watches, "proportional", lambda _: 80)

        class Process:
            resident, threads, cpu = 200, 1, 0.0

        monkeypatch.setattr(watch, "_members", type("Members", (), {"now": lambda _: [Process]})())
        assert isinstance(watch.look(), float)
        assert watch.peak == 80


class TestProcesses:
    def test_the_kernel_refuses_more_where_a_cgroup_can_be_made(self, ended):
        if os.geteuid() != 0:
            pytest.skip("not root")
        error = ended(f"{MANY}; exit 1", processes=10)
        assert (error.limit, error.maximum, error.failure) == ("processes", 10, Failure.SCRIPT)
        assert error.outcome.status not in {0, 137}

    def test_elsewhere_the_script_is_ended(self, ended, watched, user):
        error = ended(MANY, processes=10)
        assert error.limit == "processes"
        assert 10 < error.value <= 42
        assert error.message.startswith(f"processes_limit: {error.value} of 10")

    def test_a_script_that_copes_with_it_succeeds(self, script, caplog):
        if os.geteuid() != 0:
            pytest.skip("not root")
        spare = "( i=0; while [ $i -lt 9 ]; do sleep 0.5 & i=$((i+1)); done ) 2>/dev/null; exit 0"
        with caplog.at_level(logging.WARNING):
            assert script(spare, processes=5)[0].status == 0
        assert "processes_limit: 5 of 5, but the script went on, and succeeded" in caplog.text


class TestFiles:
    def test_open_files_are_limited(self, script, user):
        assert script("ulimit -n", open_files=99)[1] == b"99\n"

    def test_a_script_that_fails_with_all_of_them_open_is_told_why(self, ended):
        code = "import time\nf = []\ntry:\n  while 1: f.append(open('/dev/null'))\nexcept OSError as e:\n"
        code += "  time.sleep(2); print(e); raise SystemExit(3)"
        error = ended(f'/usr/bin/env python3 -c "{code}"', open_files=30)
        assert (error.limit, error.value, error.maximum, error.failure) == ("open_files", 30, 30, Failure.SCRIPT)
        assert error.outcome.status == 3

    def test_a_file_that_grows_too_large_ends_the_script(self, ended, user):
        error = ended('exec dd if=/dev/zero of="$TMP_OUTPUT_DIR/x" bs=1024 count=9999', file_size=MIB)
        assert error.outcome.status == 128 + signal.SIGXFSZ
        assert (error.limit, error.failure) == ("file_size", Failure.SCRIPT)
        assert error.message.startswith("file_size_limit: 1.0 of 1.0 MiB")

    def test_a_shell_that_tells_of_it_is_understood_too(self, ended):
        error = ended('dd if=/dev/zero of="$TMP_OUTPUT_DIR/x" bs=1024 count=9999; exit $?', file_size=MIB)
        assert error.outcome.status == 128 + signal.SIGXFSZ
        assert error.limit == "file_size"

    def test_core_dumps_are_limited_and_may_be_none(self, script, user):
        assert script("ulimit -S -c", core=0)[1] == b"0\n"
        hard = script("ulimit -H -c")[1]
        assert script("ulimit -S -c", core=1024 * MIB)[1] in {b"2097152\n", b"1048576\n", hard}

    def test_the_hard_limits_stay(self, script):
        assert (
            script("ulimit -H -n; ulimit -H -f", open_files=99, file_size=MIB)[1]
            == script("ulimit -H -n; ulimit -H -f")[1]
        )

    def test_more_than_the_container_allows_is_told_and_cut(self, script, caplog, monkeypatch):
        monkeypatch.setattr(_limits, "_told", set())
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with caplog.at_level(logging.WARNING):
            assert script("ulimit -n", open_files=hard + 1)[1] == f"{hard}\n".encode()
        assert f"limits.open_files is {hard + 1:g}, but this container allows only {hard}" in caplog.text


class TestOutputSize:
    FILL = 'i=0; while [ $i -lt 20 ]; do dd if=/dev/zero of="$TMP_OUTPUT_DIR/$i" bs=1024 count=1024 2>/dev/null; '
    FILL += "i=$((i+1)); done"

    def test_a_script_that_writes_too_much_is_ended(self, ended, user):
        error = ended(f"{self.FILL}; sleep 100", output_size=10 * MIB)
        assert (error.limit, error.maximum, error.failure) == ("output_size", 10 * MIB, Failure.NO_SPACE)
        assert 10 * MIB < error.value <= 20 * MIB

    def test_one_that_is_done_before_anybody_looked_fails_all_the_same(self, ended, monkeypatch):
        monkeypatch.setattr(_watches.OutputWatch, "look", lambda _: 100.0)
        error = ended(f"mkdir $TMP_OUTPUT_DIR/a; cd $TMP_OUTPUT_DIR/a; {self.FILL}", output_size=10 * MIB)
        assert error.value == 20 * MIB
        assert error.outcome.status == 0

    def test_a_failure_of_its_own_goes_before(self, script, monkeypatch):
        monkeypatch.setattr(_watches.OutputWatch, "look", lambda _: 100.0)
        assert script(f"{self.FILL}; exit 7", output_size=10 * MIB)[0].status == 7

    def test_what_a_link_leads_to_does_not_count(self, script):
        assert script("ln -s /usr/bin $TMP_OUTPUT_DIR/l; exit 8", output_size=MIB)[0].status == 8

    def test_a_folder_of_many_files_is_taken_in_pieces(self, tmp_path):
        folder = tmp_path / "many"
        folder.mkdir()
        for number in range(1200):
            (folder / str(number)).write_bytes(b"x" * 10)
        watch = _watches.OutputWatch(folder, 11_999)
        answers = [watch.look() for _ in range(3)]
        assert [isinstance(answer, float) for answer in answers] == [True, True, False]
        assert answers[2].value == 12_000
        assert _watches.OutputWatch(folder, 12_000).whole() is None

    def test_a_folder_that_the_script_removed_is_empty(self, script):
        assert script("rmdir $TMP_OUTPUT_DIR; exit 9", output_size=MIB)[0].status == 9


def test_niceness_is_added(script, user):
    own = os.nice(0)
    assert script("nice", nice=5)[1] == f"{min(19, own + 5)}\n".encode()


def test_the_script_goes_first_when_the_kernel_needs_memory(script):
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert script("cat /proc/self/oom_score_adj")[1] == f"{min(1000, own + 500)}\n".encode()


def test_who_told_us_to_stop_is_told_even_under_limits(script):
    stop = Stop()
    stop.set(Terminated("told to"))
    with pytest.raises(Terminated):
        script("sleep 100", stop=stop, memory=64 * MIB, time=50, processes=9)


def test_two_scripts_at_once_have_limits_of_their_own(script, ended):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        quiet = pool.submit(script, "sleep 1; exit 0", memory=128 * MIB, processes=20)
        hungry = pool.submit(ended, HUNGRY, memory=64 * MIB, processes=20)
        assert hungry.result().limit == "memory"
        assert quiet.result()[0].status == 0


def test_a_limit_that_nothing_can_keep_is_told_once(script, caplog, monkeypatch, watched):
    monkeypatch.setattr(_limits, "_told", set())
    monkeypatch.setattr(_limits, "can_be_read", lambda: False)
    with caplog.at_level(logging.WARNING):
        script("true", memory=MIB * 512, processes=100)
        script("true", memory=MIB * 512, processes=100)
    assert (
        caplog.text.count("limits.memory can't be kept: there is neither a cgroup that can be written nor /proc") == 1
    )
    assert caplog.text.count("limits.processes can't be kept") == 1


class TestKernel:
    """The kernel was faster than the guard."""

    @contextmanager
    def counted(self, monkeypatch, counts):
        own = own_group("memory")
        monkeypatch.setattr(_limits, "limited_memory", lambda: LimitedMemory(own, own.folder, 256 * MIB))
        kills = iter(counts)
        monkeypatch.setattr(_limits, "oom_kills", lambda *_: next(kills))
        yield

    def test_a_script_that_it_killed_has_reached_the_memory_limit(self, ended, monkeypatch):
        with self.counted(monkeypatch, [3, 4]):
            error = ended("kill -9 $$")
        assert error.failure is Failure.MEMORY_LIMIT
        assert error.message == "memory_limit: 256.0 of 256.0 MiB; ended by the kernel (oom_kill)"

    def test_a_script_that_lost_a_process_keeps_its_status(self, ended, monkeypatch):
        with self.counted(monkeypatch, [3, 4]):
            error = ended("exit 3")
        assert (error.failure, error.outcome.status) == (Failure.SCRIPT, 3)

    def test_a_kill_by_somebody_else_is_none_for_memory(self, script, monkeypatch):
        with self.counted(monkeypatch, [3, 3]):
            assert script("kill -9 $$")[0].status == 137


@pytest.mark.parametrize(
    ("limit", "value", "maximum", "message"),
    [
        ("time", 600.04, 600, "time_limit: 600 s of 600 s"),
        ("cpu_time", 0.512, 0.5, "cpu_time_limit: 0.512 s of 0.5 s"),
        ("memory", 3.9 * 1024**3, 4 * 1024**3, "memory_limit: 3.9 of 4.0 GiB"),
        ("memory", 520 * MIB, 512 * MIB, "memory_limit: 520.0 of 512.0 MiB"),
        ("output_size", 2000, 1000, "output_size_limit: 2000 of 1000 B"),
        ("processes", 65, 64, "processes_limit: 65 of 64"),
    ],
)
def test_a_limit_is_told_with_value_and_maximum(limit, value, maximum, message):
    assert exceeded(limit, value, maximum).message == message
