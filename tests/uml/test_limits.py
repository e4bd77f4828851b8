"""Limits in containers with cgroup v2, which is what Kubernetes has."""

from __future__ import annotations

import re

import pytest

from tests.containers import NOBODY, Mount
from tests.pods.support import DIRECT

LIMIT = 128 << 20
TELLS = re.compile(r"memory_limit: [\d.]+ of 128\.0 MiB; largest process python3[\d.]* \(pid \d+\) [\d.]+ MiB")

# Slowly, since processor time is counted in ticks here: to the guard each look seems to cost one, so it looks rarely.
EATS = """\
echo early > "$TMP_OUTPUT_DIR/early"
echo 'what it said' >&2
exec python3 -c '
import time
held = []
while True:
    held.append(b"x" * (1 << 20))
    time.sleep(0.1)
'
"""


def writable(document):
    """Let the container make groups below its own; Kubernetes doesn't, others do."""
    (groups,) = [mount for mount in document["mounts"] if mount["destination"] == "/sys/fs/cgroup"]
    groups["options"].remove("ro")


class TestTheMemoryGuard:
    def test_the_script_is_ended_before_the_kernel_ends_everyone(self, pod):
        pod.config |= {"memory_guard": "60%", "upload_on": "always"}
        pod.script = EATS
        ended = pod.run()
        assert (ended.code, pod.told["failure"]) == (137, "memory_limit"), ended.log
        assert TELLS.match(pod.told["reason"]), pod.told["reason"]
        assert ended.result["limit"]["maximum"] == ended.result["usage"]["memory_limit_bytes"] == LIMIT
        assert 0 < ended.result["usage"]["container_peak_memory_bytes"] <= LIMIT  # with cache
        assert "what it said" in ended.log
        assert pod.stored == {"out/early": b"early\n"}

    def test_cache_that_can_be_taken_back_does_not_count(self, pod, disk):
        pod.script = "head -c 300m /dev/zero > /disk/large && cat /disk/large > /dev/null && rm /disk/large"
        ended = pod.run(mounts=[Mount("/disk", disk, writable=True)])
        assert ended.code == 0, ended.log


def test_a_script_that_the_kernel_ended_is_told_of(pod):
    pod.config |= {"memory_guard": "off"}
    pod.script = EATS.replace("0.1", "0")
    ended = pod.run()
    assert (ended.code, pod.told["failure"]) == (137, "memory_limit"), ended.log
    assert "ended by the kernel (oom_kill)" in pod.told["reason"]


def test_the_containers_limit_of_processes_leaves_somebody_to_tell(pod):
    pod.config |= {"upload_on": "always"}
    pod.script = 'echo early > "$TMP_OUTPUT_DIR/early"; for n in $(seq 30); do sleep 60 & done; exit 5'
    ended = pod.run(pids=15)
    assert ended.code != 0, ended.log
    assert pod.told["failure"] == "script"
    assert pod.stored == {"out/early": b"early\n"}


@pytest.mark.parametrize("pod", [0], indirect=True, ids=["root"])
class TestWithGroupsOfOurOwn:
    def test_the_script_has_a_group_with_its_limits(self, pod):
        pod.config |= {"limits": {"memory": "64Mi", "processes": 20}}
        pod.script = """\
group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
cat "$group/memory.max" "$group/pids.max"
"""
        ended = pod.run(DIRECT, change=writable, environment={"LOG_LEVEL": "DEBUG"})
        assert ended.code == 0, ended.log
        assert f"{64 << 20}\n20\n" in ended.log

    def test_the_kernel_ends_the_script_alone_when_it_reaches_them(self, pod):
        pod.config |= {"limits": {"memory": "64Mi"}, "upload_on": "always", "memory_guard": "off"}
        pod.script = EATS.replace("0.1", "0")
        ended = pod.run(DIRECT, change=writable, environment={"LOG_LEVEL": "DEBUG"})
        assert (ended.code, pod.told["failure"]) == (137, "memory_limit"), ended.log
        assert " of 64.0 MiB" in pod.told["reason"]
        assert pod.stored == {"out/early": b"early\n"}


@pytest.mark.parametrize("pod", [NOBODY], indirect=True, ids=["nobody"])
def test_without_a_group_of_our_own_the_limit_is_kept_by_looking(pod):
    pod.config |= {"limits": {"memory": "64Mi"}}
    pod.script = EATS
    ended = pod.run()
    assert (ended.code, pod.told["failure"]) == (137, "memory_limit"), ended.log
    assert " of 64.0 MiB; largest process python3" in pod.told["reason"]
