"""The memory limit, as both versions of cgroups tell it."""

from __future__ import annotations

import pytest

from faas_supervisor import cgroup
from faas_supervisor.cgroup import memory_limit, memory_peak


@pytest.fixture
def telling(tmp_path, monkeypatch):
    files = (tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes")
    monkeypatch.setattr(cgroup, "_LIMITS", tuple(map(str, files)))

    def tell(second=None, first=None):
        for file, text in zip(files, (first, second), strict=True):
            if text is not None:
                file.write_text(text)
        return memory_limit()

    return tell


@pytest.mark.parametrize(
    ("first", "second", "limit"),
    [
        ("536870912\n", None, 536870912),
        ("max\n", None, None),
        (None, "268435456\n", 268435456),
        (None, "9223372036854771712\n", None),
        ("1024\n", "2048\n", 1024),
        ("", None, None),
        ("-1\n", None, None),
        ("nonsense", None, None),
        (None, None, None),
    ],
    ids=["v2", "v2-none", "v1", "v1-none", "both", "empty", "negative", "nonsense", "neither"],
)
def test_the_limit_is_read(telling, first, second, limit):
    assert telling(first=first, second=second) == limit


def test_here_it_is_a_size_or_none():
    limit = memory_limit()
    assert limit is None or limit > 1024 * 1024


def test_the_peak_is_read_where_the_kernel_tells_it(tmp_path, monkeypatch):
    files = tmp_path / "memory.peak", tmp_path / "memory.max_usage_in_bytes"
    monkeypatch.setattr(cgroup, "_PEAKS", tuple(map(str, files)))
    assert memory_peak() is None
    files[1].write_text("4096\n")
    assert memory_peak() == 4096
    files[0].write_text("8192\n")
    assert memory_peak() == 8192
