"""What this container is allowed to use, as its cgroup tells."""

from __future__ import annotations

from typing import Final

__all__ = ["memory_limit"]

# cgroup v2 first; a v1 hierarchy shows "no limit" as a number near 2^63.
_FILES: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_NO_LIMIT: Final = 1 << 60


def memory_limit() -> int | None:
    """Return the memory limit of the container in bytes, or None when there is none, or none to be seen."""
    for file in _FILES:
        try:
            with open(file, encoding="ascii") as stream:  # noqa: PTH123  # a start-up path
                text = stream.read(32).strip()
        except OSError:
            continue
        return int(text) if text.isdecimal() and int(text) < _NO_LIMIT else None
    return None
