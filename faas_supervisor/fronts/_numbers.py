"""Numbers and durations in environment variables, read as the classic watchdog reads them, which is written in Go."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["integer", "seconds"]

_LARGEST_INTEGER: Final = 2**63 - 1  # Go's int

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def _go_duration(text: str) -> float | None:
    """Return the seconds of a duration as Go writes it (`1m30s`, `1.5h`, `0`), or None for what is none.

    Source: Go's package `time`, ParseDuration.
    """
    sign, rest = (text[0], text[1:]) if text[:1] in {"+", "-"} else ("", text)
    if rest == "0":
        return 0.0
    parts = list(_PART.finditer(rest))
    if not parts or "".join(part.group() for part in parts) != rest:
        return None
    total = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    return -total if sign == "-" else total


def integer(text: str) -> int | None:
    """Return the number that `text` means, or None: read as Go's `strconv.Atoi` does, and take no negative ones."""
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        return None
    number = int(text)
    return number if 0 <= number <= _LARGEST_INTEGER else None


def seconds(text: str) -> float | None:
    """Return the seconds that `text` means: a whole number of them, or a duration as Go writes it; None for neither."""
    whole = integer(text)
    read = _go_duration(text) if whole is None else float(whole)
    return None if read is None else max(read, 0.0)  # Go's servers take a negative one for none
