"""What the script's process is given between its start and the script's, in both ways."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from faas_supervisor.errors import Failure, ScriptError
from faas_supervisor.script import Setup, _start
from tests.script.runs import TIMEOUT, Ran, alive, sh, wait_for

pytestmark = pytest.mark.usefixtures("way")


class TestLimits:
    def test_a_soft_limit_is_set_and_the_hard_one_stays(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        ran = sh("ulimit -Sn; ulimit -Hn", setup=Setup(rlimits={resource.RLIMIT_NOFILE: 64}))
        assert ran.out.data.split() == [b"64", str(hard).encode()]

    def test_several_at_once(self):
        limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 1024 * 1024, resource.RLIMIT_NOFILE: 100}
        assert sh("ulimit -c; ulimit -f; ulimit -n", setup=Setup(rlimits=limits)).out.data.split() == [
            b"0", b"2048", b"100",
        ]  # fmt: skip

    def test_more_than_the_hard_limit_is_the_hard_limit(self):
        before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
        try:
            _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
            wanted = {resource.RLIMIT_NPROC: 2**62}
            assert sh("cat /proc/self/limits", setup=Setup(rlimits=wanted)).status == 0
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, before)
        assert hard == resource.getrlimit(resource.RLIMIT_NPROC)[1]

    def test_ours_are_untouched(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        sh("exit 0", setup=Setup(rlimits={resource.RLIMIT_NOFILE: 64}))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before

    def test_one_that_is_none_keeps_the_script_from_starting_and_is_named(self, tmp_path):
        with pytest.raises(ScriptError, match="/bin/sh can't be started: its limits can't be set: Invalid") as caught:
            sh(f"touch {tmp_path}/ran", setup=Setup(rlimits={999: 1}))
        assert caught.value.failure is Failure.NOT_EXECUTABLE
        assert list(tmp_path.iterdir()) == []


class TestPriorities:
    def test_its_nice_value_is_raised(self):
        ran = sh("exec nice", setup=Setup(nice=7))
        assert int(ran.out.data) == os.nice(0) + 7

    def test_the_kernel_is_told_to_kill_it_first(self):
        assert sh("cat /proc/self/oom_score_adj", setup=Setup(oom_score_adj=900)).out.data == b"900\n"

    def test_a_score_that_is_none_is_named(self):
        with pytest.raises(ScriptError, match="its oom_score_adj can't be set: Invalid argument"):
            sh("exit 0", setup=Setup(oom_score_adj=100_000))


class TestCgroups:
    def test_it_writes_itself_into_each_of_them(self, tmp_path):
        groups = [tmp_path / name / "cgroup.procs" for name in ("memory", "pids")]
        for group in groups:
            group.parent.mkdir()
            group.touch()
        assert sh("echo $$", setup=Setup(cgroup=tuple(groups))).status == 0
        assert [group.read_text() for group in groups] == ["0", "0"]

    def test_one_that_is_gone_is_named(self, tmp_path):
        with pytest.raises(ScriptError, match="it can't join its cgroup: No such file or directory") as caught:
            sh("exit 0", setup=Setup(cgroup=(tmp_path / "cgroup.procs",)))
        assert caught.value.failure is Failure.NOT_EXECUTABLE  # not the 127 of a missing interpreter


class TestItsSurroundings:
    def test_its_umask_and_folder_are_ours(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        before = os.umask(0o027)
        try:
            ran = sh("umask; pwd")
        finally:
            os.umask(before)
        assert ran.out.data.split() == [b"0027", str(tmp_path).encode()]

    def test_our_descriptor_3_is_not_its_own(self, way, request):
        """The number at which the starter tells what failed. In a process of its own, since here it may be in use."""
        program = request.getfixturevalue("starter") if way == "starter" else ""
        code = """
            import os, sys
            os.dup2(os.open("/dev/null", os.O_WRONLY), 3, inheritable=True)
            from faas_supervisor.script import _start, run
            from faas_supervisor.stop import Stop

            class Out:
                def write(self, data):
                    os.write(1, data)

            if sys.argv[1]:
                _start._starter = lambda: sys.argv[1]
            run(["/bin/ls", "-l", "/proc/self/fd"], {}, stdout=Out(), stderr=Out(), stop=Stop())
        """
        argv = [sys.executable, "-c", textwrap.dedent(code), program]
        listed = subprocess.run(argv, check=True, capture_output=True, timeout=TIMEOUT).stdout
        assert listed.count(b"/dev/null") == 1, listed  # its standard input

    def test_its_arguments_are_those_that_are_given(self):
        given = ["--", "", "two words", "r7=1", "ünicode", "a\nb"]
        ran = sh('for one; do printf "%s|" "$one"; done', *given)
        assert ran.out.data.decode() == "".join(f"{one}|" for one in given)


class TestWithTheSupervisor:
    """Its parent is another process, which is killed."""

    CODE = """
        import sys
        from faas_supervisor.script import _start, run
        from faas_supervisor.stop import Stop

        class Out:
            def write(self, data):
                sys.stdout.buffer.write(data)
                sys.stdout.flush()

        if sys.argv[1]:
            _start._starter = lambda: sys.argv[1]
        run(["/bin/sh", "-c", "echo $$; trap '' TERM HUP INT; while :; do sleep 0.05; done"],
            {"PATH": "/usr/bin:/bin"}, stdout=Out(), stderr=Out(), stop=Stop())
    """

    def test_it_dies_when_the_supervisor_is_killed(self, way, request):
        program = request.getfixturevalue("starter") if way == "starter" else ""
        supervisor = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(self.CODE), program], stdout=subprocess.PIPE
        )
        try:
            pid = int(supervisor.stdout.readline())
            assert alive(pid)
        finally:
            supervisor.kill()
            supervisor.wait()
            supervisor.stdout.close()
        wait_for(lambda: not alive(pid), "the script to die with the supervisor")


class TestNoRoomForAProcess:
    @pytest.fixture
    def refuse(self, way, monkeypatch):
        """Let the system refuse so many times."""
        monkeypatch.setattr(_start, "_PAUSES", (0.001,) * 3)
        name = "posix_spawn" if way == "starter" else "fork"
        real, left = getattr(os, name), [0]

        def refusing(*args, **options):
            left[0] -= 1
            if left[0] >= 0:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return real(*args, **options)

        monkeypatch.setattr(os, name, refusing)

        def times(number):
            left[0] = number

        return times

    def test_for_a_moment_is_waited_for(self, refuse):
        refuse(3)
        assert sh("exit 4").status == 4

    def test_for_longer_is_told(self, refuse):
        refuse(4)
        before = sorted(os.listdir("/proc/self/fd"))
        with pytest.raises(ScriptError, match="temporarily unavailable.*no room for another process"):
            sh("exit 0")
        assert sorted(os.listdir("/proc/self/fd")) == before

    def test_nothing_else_is_tried_again(self, monkeypatch):
        monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
        with pytest.raises(ScriptError):
            Ran(["/no/such/program"])


def test_a_starter_that_is_called_otherwise_does_nothing(starter):
    parent = str(os.getpid())
    for arguments in ([], ["1"], ["1", "3", "--"], [parent, "3", "n5", "--"], [parent, "3", "n5", "n5"]):
        assert subprocess.run([starter, *arguments], check=False).returncode == 2


@pytest.mark.parametrize("program", ["starter", "older_starter"])
def test_a_starter_closes_what_libraries_left_open_and_nothing_that_is_the_scripts(request, program):
    null = os.open(os.devnull, os.O_RDONLY)
    given = [os.dup2(null, number, inheritable=True) for number in (901, 902, 903)]
    command = [request.getfixturevalue(program), str(os.getpid()), "LAST", "--", "/bin/ls", "/proc/self/fd"]
    listed = {}
    try:
        for last in ("0", "3", "901", "902"):
            command[2] = last
            done = subprocess.run(command, capture_output=True, check=True, close_fds=False)
            listed[last] = {int(number) for number in done.stdout.split()}
    finally:
        for number in (null, *given):
            os.close(number)
    assert listed["0"] == listed["3"] == {0, 1, 2, 3}  # 3 is that of the listing
    assert {number: {901, 902, 903} & listed[number] for number in ("901", "902")} == {"901": {901}, "902": {901, 902}}


def test_a_starter_whose_parent_has_gone_already_runs_nothing(starter, tmp_path):
    """Between its start and PR_SET_PDEATHSIG the supervisor may die; then no signal comes."""
    done = subprocess.run([starter, "1", "3", "--", "/bin/touch", str(tmp_path / "ran")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_the_steps_have_the_same_numbers_in_both_ways():
    source = (Path(_start.__file__).parents[2] / "packaging" / "starter.c").read_text()
    assert "enum step { PARENT, CGROUP, OOM_SCORE_ADJ, NICE, RLIMIT, EXEC };" in source
    assert len(_start.STEPS) == 6
