"""The machine has what the other tests here are about."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def group():
    """A new group with all its controllers."""
    made = GROUPS / f"test-{os.urandom(4).hex()}"
    made.mkdir()
    yield made
    (made / "cgroup.kill").write_text("1")
    made.rmdir()


def test_groups_have_limits(group):
    (group / "memory.max").write_text(str(64 << 20))
    (group / "pids.max").write_text("10")
    assert (group / "memory.max").read_text() == f"{64 << 20}\n"
    assert (group / "cpu.max").exists()


def test_the_kernel_ends_what_takes_more_memory(group):
    (group / "memory.max").write_text(str(32 << 20))
    hungry = f"echo $$ > {group}/cgroup.procs; exec head -c 100m /dev/zero | tail"
    assert subprocess.run(["sh", "-c", hungry], timeout=60, check=False).returncode == 137
    assert "oom_kill 1" in (group / "memory.events").read_text()


def test_containers_see_their_own_limit(containers):
    shown = containers.run(["cat", "/sys/fs/cgroup/memory.max"], memory=64, own_cgroups=True)
    assert shown.stdout == f"{64 << 20}\n".encode(), shown.log
