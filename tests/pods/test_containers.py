"""The containers that other tests run in are what they claim to be."""

from __future__ import annotations

import pytest

from tests import roots
from tests.containers import NOBODY, Mount

pytestmark = pytest.mark.usefixtures("containers")

STATUS = "/proc/self/status"


@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
class TestWithFewRights:
    def test_nobody_has_capabilities(self, containers, user):
        status = containers.run(["cat", STATUS], user=user).stdout.decode()
        assert f"Uid:\t{user}\t{user}" in status
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status

    def test_only_the_private_folder_can_be_written_to(self, containers, user):
        tried = "for place in / /etc /var/tmp /tmp; do touch $place/x 2>/dev/null && echo $place; done"
        assert containers.run(["sh", "-c", tried], user=user).stdout == b"/tmp\n"

    def test_even_that_may_be_missing(self, containers, user):
        assert containers.run(["sh", "-c", "touch /tmp/x"], user=user, tmp=None).code != 0

    def test_or_run_no_programs(self, containers, user):
        tmp = Mount("/tmp", options=("noexec", "mode=1777"))
        tried = "cp /bin/true /tmp && /tmp/true"
        assert containers.run(["sh", "-c", tried], user=user, tmp=tmp).code == 126
        assert containers.run(["sh", "-c", tried], user=user).code == 0


def test_memory_ends_where_the_limit_says(containers):
    hungry = ["python3", "-c", "b' ' * (256 << 20)"]
    assert containers.run(hungry, memory=64).code == 137
    assert containers.run(hungry, memory=512).code == 0


def test_so_does_the_number_of_processes(containers):
    tried = "for n in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo all"
    assert b"all" in containers.run(["sh", "-c", tried], pids=20).stdout
    assert b"all" not in containers.run(["sh", "-c", tried], pids=4).stdout


@pytest.mark.parametrize(
    ("root", "loader"), [(roots.busybox, b""), (roots.musl, b"ld-musl-x86_64.so.1\n")], ids=["busybox", "musl"]
)
def test_small_images_have_no_c_library_of_gnu(containers, root, loader):
    assert containers.run(["sh", "-c", "ls /lib 2>/dev/null; true"], root=root()).stdout == loader


def test_a_signal_reaches_the_first_process(containers):
    container = containers.start(["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"])
    assert container.process.stdout.readline() == b"ready\n"
    assert container.pids()
    assert container.run("echo", "hello") == "hello\n"
    container.kill("TERM")
    assert container.wait().code == 7


def test_the_supervisor_runs_in_them(containers, unfrozen):
    ended = containers.run([*unfrozen.command, "--version"], mounts=unfrozen.mounts)
    assert ended.code == 0, ended.log
    assert b"minio" in ended.stdout
