"""Finding the container's cgroups, in real samples of `/proc/self` of every kind of set-up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faas_supervisor import cgroup
from faas_supervisor.cgroup import Group, limited_memory, memory_limit, memory_peak, own_group

MIB = 1 << 20
NO_LIMIT_1 = "9223372036854771712"


class Machine:
    """A `/proc/self` and the cgroup mounts that it tells of, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "self"
        self.sys = folder / "cgroup"
        self.proc.mkdir()

    def tells(self, groups: str, mounts: str) -> Machine:
        (self.proc / "cgroup").write_text(groups)
        before = "21 20 0:19 / /proc rw,nosuid shared:5 - proc proc rw\n22 20 0:20 / /sys ro - sysfs sysfs ro\n"
        (self.proc / "mountinfo").write_text(before + mounts.replace("/sys/fs/cgroup", self._escaped()))
        return self

    def _escaped(self) -> str:
        return str(self.sys).replace(" ", "\\040")

    def has(self, path: str, text: str) -> Machine:
        file = self.sys / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
        return self

    def group(self, controller: str = "memory") -> Group | None:
        return own_group(controller, str(self.proc))

    def limited(self):
        return limited_memory(str(self.proc))


@pytest.fixture(params=["plain", "with blank"])
def machine(tmp_path, request):
    folder = tmp_path / request.param
    folder.mkdir()
    return Machine(folder)


V2_MOUNT = "30 22 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"
V1_MOUNTS = (
    "31 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 {root} /sys/fs/cgroup/systemd ro master:11 - cgroup systemd rw,name=systemd\n"
    "33 31 0:30 {root} /sys/fs/cgroup/cpu,cpuacct ro master:15 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 {root} /sys/fs/cgroup/memory ro master:16 - cgroup cgroup rw,memory\n"
)
V1_GROUPS = "12:memory:{path}\n4:cpu,cpuacct:{path}\n1:name=systemd:{path}\n0::{path}\n"
POD = "/kubepods/burstable/pod1/c1"


def test_a_pod_with_version_2_has_its_group_at_the_top(machine):
    machine.tells("0::/\n", V2_MOUNT).has("memory.max", str(512 * MIB))
    assert machine.group() == Group(2, str(machine.sys), str(machine.sys))
    assert machine.limited().limit == 512 * MIB


def test_without_a_namespace_version_2_shows_the_whole_tree(machine):
    machine.tells(f"0::{POD}\n", V2_MOUNT)
    machine.has(f"{POD[1:]}/memory.max", "max").has("kubepods/burstable/pod1/memory.max", str(256 * MIB))
    machine.has("kubepods/memory.max", str(1024 * MIB))
    found = machine.limited()
    assert found.own.folder == f"{machine.sys}{POD}"
    assert (found.folder, found.limit) == (f"{machine.sys}/kubepods/burstable/pod1", 256 * MIB)


def test_the_smallest_limit_on_the_way_up_counts(machine):
    machine.tells("0::/a/b\n", V2_MOUNT)
    machine.has("a/b/memory.max", str(300 * MIB)).has("a/memory.max", str(200 * MIB)).has("memory.max", str(400 * MIB))
    assert (machine.limited().folder, machine.limited().limit) == (f"{machine.sys}/a", 200 * MIB)


def test_of_equal_limits_the_nearest_counts(machine):
    machine.tells("0::/a/b\n", V2_MOUNT).has("a/b/memory.max", "4096").has("a/memory.max", "4096")
    assert machine.limited().folder == f"{machine.sys}/a/b"


def test_a_container_of_version_1_sees_its_part_of_each_hierarchy(machine):
    machine.tells(V1_GROUPS.format(path=POD), V1_MOUNTS.format(root=POD))
    machine.has("memory/memory.limit_in_bytes", str(128 * MIB))
    assert machine.group() == Group(1, f"{machine.sys}/memory", f"{machine.sys}/memory")
    assert machine.group("cpu") == Group(1, f"{machine.sys}/cpu,cpuacct", f"{machine.sys}/cpu,cpuacct")
    assert machine.limited().limit == 128 * MIB


def test_with_a_namespace_of_version_1_the_root_is_the_group(machine):
    machine.tells(V1_GROUPS.format(path="/"), V1_MOUNTS.format(root="/"))
    machine.has("memory/memory.limit_in_bytes", str(128 * MIB))
    assert machine.limited().limit == 128 * MIB


def test_on_a_host_of_version_1_the_group_is_below_the_mount(machine):
    machine.tells(V1_GROUPS.format(path="/user.slice/x"), V1_MOUNTS.format(root="/"))
    machine.has("memory/user.slice/x/memory.limit_in_bytes", NO_LIMIT_1)
    machine.has("memory/user.slice/memory.limit_in_bytes", str(64 * MIB))
    assert (machine.limited().folder, machine.limited().limit) == (f"{machine.sys}/memory/user.slice", 64 * MIB)


def test_in_hybrid_mode_the_controller_is_where_version_1_has_it(machine):
    mounts = V1_MOUNTS.format(root="/") + "35 31 0:32 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n"
    machine.tells("3:memory:/x\n0::/y\n", mounts)
    assert machine.group("memory") == Group(1, f"{machine.sys}/memory/x", f"{machine.sys}/memory")
    assert machine.group("pids") == Group(2, f"{machine.sys}/unified/y", f"{machine.sys}/unified")


@pytest.mark.parametrize("path", ["/..", "/../..", "/../other"])
def test_a_group_outside_of_the_namespace_is_taken_for_its_top(machine, path):
    machine.tells(f"0::{path}\n", V2_MOUNT).has("memory.max", "4096")
    assert machine.limited().limit == 4096


def test_a_mount_of_another_part_of_the_tree_is_taken_from_its_top(machine):
    machine.tells("0::/docker/abc\n", V2_MOUNT.replace(" / /sys", " /docker/abcdef /sys")).has("memory.max", "4096")
    assert machine.group().folder == str(machine.sys)


@pytest.mark.parametrize("text", ["max", "", "-1", "nonsense", NO_LIMIT_1])
def test_what_is_no_size_is_no_limit(machine, text):
    machine.tells("0::/\n", V2_MOUNT).has("memory.max", text)
    assert machine.limited() is None


def test_what_is_not_mounted_has_no_limit(machine):
    machine.tells("3:memory:/x\n0::/\n", "30 22 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n")
    assert machine.group() is None
    assert machine.limited() is None


def test_without_proc_there_is_none(tmp_path):
    assert own_group("memory", str(tmp_path)) is None
    assert memory_peak(limited_memory(str(tmp_path)), str(tmp_path)) is None


@pytest.mark.parametrize("text", ["", "garbage", "0", "::", "0::", "a:b", "1:memory", "0::/\n:::::"])
def test_whatever_the_kernel_says_is_read_without_a_fault(machine, text):
    machine.tells(text, V2_MOUNT)
    machine.limited()


def test_the_peak_is_that_of_the_group_whose_limit_counts(machine):
    machine.tells("0::/a\n", V2_MOUNT).has("a/memory.peak", "1").has("memory.peak", "2")
    assert memory_peak(limited_memory(str(machine.proc)), str(machine.proc)) == 1
    machine.has("memory.max", "4096")
    assert memory_peak(limited_memory(str(machine.proc)), str(machine.proc)) == 2


def test_the_peak_of_version_1_is_read_and_an_old_kernel_of_version_2_has_none(machine):
    machine.tells("0::/\n", V2_MOUNT)
    assert memory_peak(limited_memory(str(machine.proc)), str(machine.proc)) is None
    machine.tells(V1_GROUPS.format(path="/"), V1_MOUNTS.format(root="/"))
    machine.has("memory/memory.max_usage_in_bytes", "8192")
    assert memory_peak(limited_memory(str(machine.proc)), str(machine.proc)) == 8192


def test_here_it_is_a_size_or_none():
    limit = memory_limit()
    assert limit is None or limit > MIB


@pytest.mark.skipif(not os.access("/sys/fs/cgroup", os.R_OK), reason="no cgroup is mounted")
def test_our_group_here_is_a_folder_that_lists_us():
    own = cgroup.own_group("memory")
    if own is not None:
        assert str(os.getpid()) in Path(own.folder, "cgroup.procs").read_text().split()
        assert list(own.upwards())[-1] == own.top
