"""What a memory cgroup holds that can't be taken back: files as kernels write them."""

from __future__ import annotations

import pytest

from faas_supervisor.script import _gauge
from faas_supervisor.script._gauge import Gauge, oom_kills

KIB = 1024
MIB = 1 << 20

STAT_2 = """\
anon 104857600
file 209715200
kernel 5242880
shmem 52428800
file_mapped 1048576
file_dirty 10485760
file_writeback 5242880
inactive_anon 94371840
active_anon 62914560
inactive_file 104857600
active_file 52428800
unevictable 0
slab_reclaimable 2097152
slab_unreclaimable 1048576
"""
STAT_1 = """\
cache 4096
inactive_file 4096
active_file 4096
dirty 0
hierarchical_memory_limit 268435456
total_cache 209715200
total_rss 104857600
total_dirty 10485760
total_writeback 5242880
total_inactive_file 104857600
total_active_file 52428800
"""


@pytest.fixture
def without_swap(monkeypatch):
    monkeypatch.setattr(_gauge, "swap_free", lambda: 0)


def folder(path, **files):
    for name, text in files.items():
        (path / f"memory.{name}").write_text(f"{text}\n")
    return str(path)


@pytest.fixture
def second(tmp_path):
    return folder(tmp_path, current=300 * MIB, stat=STAT_2, peak=310 * MIB, events="max 3\noom 1\noom_kill 2")


@pytest.fixture
def first(tmp_path):
    named = {"kmem.usage_in_bytes": 2 * MIB, "max_usage_in_bytes": 310 * MIB}
    return folder(
        tmp_path,
        usage_in_bytes=300 * MIB,
        stat=STAT_1,
        oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2",
        **named,
    )


@pytest.mark.usefixtures("without_swap")
@pytest.mark.parametrize(("version", "files"), [(1, "first"), (2, "second")])
class TestBothVersions:
    @pytest.fixture
    def gauge(self, request, version, files):
        gauge = Gauge(version, request.getfixturevalue(files))
        yield gauge
        gauge.close()

    def test_what_is_charged_is_read(self, gauge):
        assert gauge.current() == 300 * MIB

    def test_cache_is_reclaimable_also_what_is_still_to_be_written(self, gauge):
        # 100 + 50 MiB of files, 10 + 5 of them not on the disk yet, and 2 MiB of the kernel's own.
        assert gauge.reclaimable() == (150 + 2) * MIB

    def test_the_peak_is_the_kernels(self, gauge):
        assert gauge.peak() == 310 * MIB

    def test_kills_of_the_kernel_are_counted(self, version, files, request):
        assert oom_kills(version, request.getfixturevalue(files)) == 2

    def test_new_values_are_seen(self, gauge, tmp_path):
        gauge.current()
        for name in ("memory.usage_in_bytes", "memory.current"):
            if (tmp_path / name).exists():
                (tmp_path / name).write_text("17\n")
        assert gauge.current() == 17


@pytest.mark.usefixtures("without_swap")
def test_shared_memory_and_tmpfs_are_not_reclaimable(tmp_path):
    stat = f"file {100 * MIB}\nshmem {100 * MIB}\ninactive_anon {100 * MIB}\ninactive_file 0\nactive_file 0\n"
    gauge = Gauge(2, folder(tmp_path, current=100 * MIB, stat=stat))
    assert gauge.reclaimable() == 0
    gauge.close()


@pytest.mark.usefixtures("without_swap")
def test_where_the_kernel_keeps_no_peak_it_is_the_most_that_was_seen(tmp_path):
    gauge = Gauge(2, folder(tmp_path, current=50, stat=""))
    gauge.current()
    folder(tmp_path, current=20)
    gauge.current()
    assert gauge.peak() == 50
    gauge.close()


def test_a_group_without_files_is_an_error_and_leaves_nothing_open(tmp_path):
    folder(tmp_path, current=1)
    with pytest.raises(FileNotFoundError):
        Gauge(2, str(tmp_path))
    assert oom_kills(2, str(tmp_path)) == 0


@pytest.mark.parametrize(
    ("limit", "used", "room"),
    [("max", 0, 64 * MIB), (32 * MIB, 8 * MIB, 24 * MIB), (0, 0, 0), (1 << 40, 0, 64 * MIB)],
    ids=["no-limit", "limit", "none", "more-than-there-is"],
)
def test_what_can_go_to_swap_can_be_taken_back(tmp_path, monkeypatch, limit, used, room):
    monkeypatch.setattr(_gauge, "swap_free", lambda: 64 * MIB)
    named = {"swap.max": limit, "swap.current": used}
    gauge = Gauge(2, folder(tmp_path, current=MIB, stat="", **named))
    assert gauge.reclaimable() == room
    gauge.close()


def test_in_version_1_swap_is_what_is_left_of_both_together(tmp_path, monkeypatch):
    monkeypatch.setattr(_gauge, "swap_free", lambda: 1 << 40)
    named = {"memsw.limit_in_bytes": 512 * MIB, "memsw.usage_in_bytes": 300 * MIB, "limit_in_bytes": 256 * MIB}
    gauge = Gauge(1, folder(tmp_path, usage_in_bytes=200 * MIB, stat="", **named))
    # 212 MiB are left of both, 56 of them of memory.
    assert gauge.reclaimable() == (212 - 56) * MIB
    gauge.close()
