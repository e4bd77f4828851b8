"""What this container is allowed to use, as its cgroup tells."""

from __future__ import annotations

from typing import Final

__all__ = ["memory_limit", "memory_peak"]

# cgroup v2 first; a v1 hierarchy shows "no limit" as a number near 2^63.
_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# v2 tells it since Linux 5.19.
_PEAKS: Final = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
_NO_LIMIT: Final = 1 << 60


def memory_limit() -> int | None:
    """Return the memory limit of the container in bytes, or None when there is none, or none to be seen."""
    return _read(_LIMITS)


def memory_peak() -> int | None:
    """Return the most that the container ever held in bytes, caches included, or None where nothing tells."""
    return _read(_PEAKS)


def _read(files: tuple[str, ...]) -> int | None:
    for file in files:
        try:
            with open(file, encoding="ascii") as stream:  # noqa: PTH123  # a start-up path
                text = stream.read(32).strip()
        except OSError:
            continue
        return int(text) if text.isdecimal() and int(text) < _NO_LIMIT else None
    return None
