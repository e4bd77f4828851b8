"""Limits and the memory guard in real containers, as Kubernetes makes them: no rights, cgroups that are read-only."""

from __future__ import annotations

import re

import pytest

from tests.containers import Mount
from tests.pods.support import DIRECT

ALLOCATE = "exec python3 -c 'data = []\nwhile True:\n    data.append(bytearray(1 << 20))'"
KEEP = 'echo kept > "$TMP_OUTPUT_DIR/kept"; '


@pytest.fixture
def run(pod):
    """Runs a script in a container, its outputs uploaded whatever happens."""

    def run(script, limits=None, *, memory=512, argv=DIRECT, **options):
        pod.config |= {"upload_on": "always", "limits": limits or {}}
        pod.script = script
        return pod.run(argv, memory=memory, **options)

    return run


class TestMemoryGuard:
    def test_the_script_ends_before_the_container_and_its_story_is_told(self, pod, run):
        ended = run(f"{KEEP}echo last words >&2; {ALLOCATE}", memory=192)
        assert (ended.code, ended.result["failure"]) == (137, "memory_limit"), ended.log
        assert ended.result["reason"].startswith("memory_limit: 18")
        assert " of 192.0 MiB; largest process python3" in ended.result["reason"]
        assert ended.result["limit"]["name"] == "memory"
        assert ended.result["limit"]["maximum"] == 192 << 20
        assert "last words" in ended.log
        assert pod.stored["out/kept"] == b"kept\n"
        assert pod.told["reason"] == ended.result["reason"]

    def test_cache_that_can_be_taken_back_does_not_count(self, run):
        fill = 'cd "$TMP_OUTPUT_DIR"; dd if=/dev/zero of=large bs=1M count=400 2>/dev/null; cat large > /dev/null'
        disk = Mount("/tmp", options=("mode=1777", "size=8m"))
        code = f"{fill.replace('$TMP_OUTPUT_DIR', '/store')}; rm large; exit 3"
        ended = run(code, memory=160, tmp=disk)
        assert ended.code == 3, ended.log

    def test_files_in_memory_count(self, run):
        ended = run(
            'dd if=/dev/zero of="$TMP_OUTPUT_DIR/large" bs=1M count=400; exec sleep 20',
            memory=160,
            tmp=Mount("/tmp", options=("mode=1777", "size=600m")),
        )
        assert ended.code == 137, ended.log
        assert ended.result["reason"].startswith("memory_limit: 15")

    def test_the_script_has_a_higher_score_than_the_supervisor(self, run):
        ended = run("cat /proc/self/oom_score_adj /proc/$PPID/oom_score_adj")
        script, supervisor = map(int, ended.stdout.split())
        assert script == min(1000, supervisor + 500), ended.log

    def test_without_it_the_kernel_ends_the_script_and_the_result_says_so(self, pod, run):
        # In version 1 the kernel kills only the process that is worst; the score makes that the script's.
        pod.config["memory_guard"] = "off"
        ended = run(ALLOCATE, memory=192)
        assert (ended.code, ended.result["failure"]) == (137, "memory_limit"), ended.log
        assert ended.result["reason"].startswith("memory_limit: 192.0 of 192.0 MiB; ended by the kernel (oom_kill)")


class TestLimits:
    def test_memory_below_that_of_the_container(self, run):
        ended = run(ALLOCATE, {"memory": "100Mi"})
        assert ended.code == 137, ended.log
        assert " of 100.0 MiB; largest process python3" in ended.result["reason"]

    def test_time(self, pod, run):
        ended = run(f"{KEEP}sleep 20", {"time": "500ms"})
        assert (ended.code, ended.result["failure"]) == (124, "time_limit"), ended.log
        assert re.match(r"time_limit: [\d.]+ s of 0\.5 s", ended.result["reason"])
        assert pod.stored["out/kept"] == b"kept\n"

    def test_processor_time(self, run):
        ended = run("while :; do :; done", {"cpu_time": 1})
        assert (ended.code, ended.result["limit"]["name"]) == (124, "cpu_time"), ended.log

    def test_processes(self, run):
        ended = run("i=0; while [ $i -lt 30 ]; do sleep 20 & i=$((i+1)); done; wait", {"processes": 10})
        assert (ended.result["failure"], ended.result["limit"]["name"]) == ("script", "processes"), ended.log
        assert ended.code not in {0, 1}
        assert ended.result["reason"].startswith("processes_limit: ")

    def test_a_fork_bomb_ends(self, run):
        # Long enough for the watch to come by, and without a process that there would be no room for.
        busy = "i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done"
        ended = run(f"f() {{ f | f & }}; f; {busy}; sleep 20", {"processes": 20}, pids=200)
        assert ended.result["limit"]["name"] == "processes", ended.log

    def test_file_size(self, run):
        ended = run("exec dd if=/dev/zero of=/tmp/x bs=1k count=9999", {"file_size": "1Mi"})
        assert (ended.code, ended.result["failure"]) == (153, "script"), ended.log
        assert ended.result["reason"].startswith("file_size_limit: 1.0 of 1.0 MiB")

    def test_output_size(self, run):
        ended = run('dd if=/dev/zero of="$TMP_OUTPUT_DIR/x" bs=1M count=20; sleep 20', {"output_size": "10Mi"})
        assert (ended.code, ended.result["failure"]) == (118, "no_space"), ended.log

    def test_open_files_core_and_nice(self, run):
        ended = run("ulimit -n; ulimit -c; nice", {"open_files": 77, "core": 0, "nice": 3})
        assert ended.stdout == b"77\n0\n3\n", ended.log


def test_check_tells_how_each_limit_is_kept(run):
    ended = run(
        "true", {"memory": "100Mi", "time": "1m"}, memory=256, argv=("/oscar/bin/supervisor", "check", "--read-only")
    )
    shown = ended.stdout.decode()
    watch = (
        "ok    limits.memory (100.0 MiB): a watch that adds up what the processes hold; no cgroup, because its cgroup"
    )
    assert watch in shown, shown + ended.log
    assert "ok    limits.time (60 s): a watch\n" in shown
    assert "ok    memory guard: the script is ended at 243.2 of 256.0 MiB\n" in shown
