"""Limits by cgroups of version 2, made by the supervisor itself where it may: kept, and undone without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

GROUPS = Path("/sys/fs/cgroup")
MIB = 1 << 20
HUNGRY = "x=0123456789; i=0; while [ $i -lt 24 ]; do x=$x$x; i=$((i+1)); done; sleep 100; :"

# Runs in the group, as the supervisor would, and tells the error, how the script ended, and what is left.
PROGRAM = """\
import os, sys, tempfile
from pathlib import Path
from faas_supervisor.config import Limits, Threshold
from faas_supervisor.errors import SupervisorError
from faas_supervisor.script import run_limited
from faas_supervisor.stop import Stop

class Sink:
    def write(self, data):
        os.write(2, data)

def run(code, guard=Threshold(), **limits):
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = run_limited(["/bin/sh", "-c", code], {"PATH": os.environ["PATH"], "TMP_OUTPUT_DIR": folder},
                limits=Limits(**limits), guard=guard, output=Path(folder), stdout=Sink(), stderr=Sink(), stop=Stop())
        except SupervisorError as error:
            print(error.message, "|", error.outcome.status, flush=True)
        else:
            print("ended |", outcome.status, flush=True)

code = sys.argv[1]
before = Path("/proc/self/cgroup").read_text()
exec(sys.argv[2])
now = Path("/proc/self/cgroup").read_text()
assert now == before, now
"""


@pytest.fixture
def group():
    """A container's group: memory and number of processes are its business, and nobody else is in it."""
    made = GROUPS / f"test-{os.urandom(4).hex()}"
    made.mkdir()
    yield made
    assert [path for path in made.iterdir() if path.is_dir()] == []
    assert (made / "cgroup.subtree_control").read_text().strip() == ""
    made.rmdir()


@pytest.fixture
def supervise(group):
    """Runs a line of Python that runs scripts, in the group; the shell that enters it becomes it."""

    def supervise(line, code="", *, beside=""):
        enter = f'echo $$ > {group}/cgroup.procs; {beside} exec "$@"'
        argv = ["sh", "-c", enter, "sh", sys.executable, "-c", PROGRAM, code, line]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr

    return supervise


def test_the_kernel_keeps_the_memory_limit_and_ends_only_the_script(supervise):
    [told], _ = supervise("run(code, memory=64 << 20)", HUNGRY)
    assert told.startswith("memory_limit: 64.0 of 64.0 MiB; ended by the kernel (oom_kill) | "), told


def test_the_kernel_refuses_processes(supervise):
    many = "i=0; while [ $i -lt 9 ]; do sleep 100 & i=$((i+1)); done; exit 1"
    [told], _ = supervise("run(code, processes=4)", many)
    assert told.startswith("processes_limit: 4 of 4 | "), told


def test_scripts_one_after_the_other_each_have_a_group(supervise):
    told, _ = supervise("run('exit 3', memory=64 << 20, processes=9); run('exit 4', memory=64 << 20)")
    assert told == ["ended | 3", "ended | 4"]


def test_two_scripts_at_once_share_what_was_handed_down(supervise):
    line = (
        "import threading; other = threading.Thread(target=run, args=('sleep 3; exit 3',), "
        "kwargs={'memory': 99 << 20}); other.start(); run('exit 4', memory=64 << 20, processes=9); other.join()"
    )
    told, _ = supervise(line)
    assert told == ["ended | 4", "ended | 3"]


def test_the_script_is_in_a_group_of_its_own_beside_ours(supervise, group):
    _, err = supervise("run(code, memory=64 << 20)", "cat /proc/self/cgroup /proc/$PPID/cgroup")
    script, supervisor = (line.removeprefix("0::") for line in err.splitlines() if line.startswith("0::"))
    assert script != supervisor
    assert Path(script).parent == Path(supervisor).parent == Path(f"/{group.name}")


def test_other_processes_are_not_moved_and_a_watch_keeps_the_limit(supervise, group):
    [told], _ = supervise("run(code, memory=64 << 20)", HUNGRY, beside="sleep 60 & ")
    assert "; largest process sh (pid " in told, told
    assert not [path for path in group.iterdir() if path.is_dir()]
    (group / "cgroup.kill").write_text("1")
    while (group / "cgroup.procs").read_text():
        pass


def test_the_guard_ends_the_script_before_the_kernel_ends_everyone(supervise, group):
    (group / "memory.max").write_text(str(128 * MIB))
    (group / "memory.oom.group").write_text("1")
    # One processor and a clock of 100 Hz: what takes memory at full speed here is done before anybody can look.
    grow = "data = []\nwhile True:\n    data.append(bytearray(1 << 20))\n    time.sleep(0.01)"
    code = f"exec {sys.executable} -c 'import time\n{grow}'"
    [told], _ = supervise("run(code, guard=Threshold(percent=95.0))", code)
    assert told.startswith("memory_limit: 12"), told
    assert " of 128.0 MiB; largest process python" in told
    assert "oom_kill 0" in (group / "memory.events").read_text()


def test_cache_does_not_count_for_the_guard(supervise, group):
    (group / "memory.max").write_text(str(96 * MIB))
    # Not in the machine's own folders for temporary files, which are in memory.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        fill = f"dd if=/dev/zero of={folder}/large bs=1M count=200 2>/dev/null; cat {folder}/large >/dev/null; exit 3"
        told, _ = supervise("run(code, guard=Threshold(percent=95.0))", fill)
    assert told == ["ended | 3"]
