"""The errors of exceeded limits, each with its sentence and its failure."""

from __future__ import annotations

from typing import Final

from faas_supervisor.errors import Failure, LimitExceeded

__all__ = ["amount_of", "bytes_of", "exceeded", "killed_by_kernel", "memory_exceeded"]

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

# `docs/exit-codes.md` says why: a limit that a program meets itself leaves the script its own status.
_FAILURES: Final = {
    "time": Failure.TIME_LIMIT,
    "cpu_time": Failure.TIME_LIMIT,
    "memory": Failure.MEMORY_LIMIT,
    "output_size": Failure.NO_SPACE,
    "processes": Failure.SCRIPT,
    "open_files": Failure.SCRIPT,
    "file_size": Failure.SCRIPT,
}
_IN_SECONDS: Final = ("time", "cpu_time")
_IN_BYTES: Final = ("memory", "output_size", "file_size", "core")

# A script that grows faster than it can be asked must not be left the time to do so.
_AT_ONCE: Final = ("memory", "processes")


def exceeded(limit: str, value: float, maximum: float, *, detail: str = "", hint: str = "") -> LimitExceeded:
    """Return the error that says that a limit was reached, such as `time_limit: 600 s of 600 s`."""
    detail = f"; {detail}" if detail else ""
    return LimitExceeded(
        limit,
        value,
        maximum,
        message=f"{limit}_limit: {_told(limit, value, maximum)}{detail}",
        failure=_FAILURES[limit],
        at_once=limit in _AT_ONCE,
        hint=hint or f"see limits.{limit} of the configuration",
    )


def memory_exceeded(value: int, maximum: int, detail: str) -> LimitExceeded:
    """Return the error that says that the container's memory is used up."""
    return exceeded("memory", value, maximum, detail=detail, hint="give the container more memory")


def killed_by_kernel(maximum: int) -> LimitExceeded:
    """Return the error that says that the kernel was faster than we."""
    return exceeded("memory", maximum, maximum, detail="ended by the kernel (oom_kill)")


def bytes_of(value: float, maximum: float) -> str:
    """Return `3.9 of 4.0 GiB`, in the unit that fits the maximum."""
    power = _power(maximum)
    digits = 1 if power else 0
    return f"{value / 1024**power:.{digits}f} of {maximum / 1024**power:.{digits}f} {_UNITS[power]}"


def amount_of(limit: str, value: float) -> str:
    """Return a value of a limit with its unit: `3.6 GiB`, `90 s`, `64`."""
    if limit in _IN_SECONDS:
        return _seconds_of(value)
    if limit not in _IN_BYTES:
        return f"{value:.0f}"
    power = _power(value)
    return f"{value / 1024**power:.{1 if power else 0}f} {_UNITS[power]}"


def _seconds_of(value: float) -> str:
    """Return `600 s` or `0.5 s`: tenths only where they matter."""
    return f"{value:.0f} s" if value >= 10 else f"{value:.3g} s"  # noqa: PLR2004


def _told(limit: str, value: float, maximum: float) -> str:
    if limit in _IN_BYTES:
        return bytes_of(value, maximum)
    return f"{amount_of(limit, value)} of {amount_of(limit, maximum)}"


def _power(value: float) -> int:
    power = 0
    while value >= 1024 ** (power + 1) and power < len(_UNITS) - 1:
        power += 1
    return power
