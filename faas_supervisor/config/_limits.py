"""What the script may use: the limits of `limits`, and the threshold of the memory guard."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from faas_supervisor.config._document import Node
from faas_supervisor.config._findings import Findings, Invalid, Place, shown
from faas_supervisor.config._kinds import AMOUNT, DURATION, QUANTITY, Kind, amount, count, scalar

__all__ = ["LIMIT", "LIMITS", "THRESHOLD", "Limit", "Limits", "Threshold", "limit_problem"]


class Limits(NamedTuple):
    """What one run of the script may use; None is no limit of ours.

    Attributes:
        time: Seconds by the clock.
        cpu_time: Seconds of CPU time, of all its processes together.
        memory: Bytes, of all its processes together.
        processes: How many there may be at a time.
        open_files: How many descriptors each process may have open.
        file_size: Bytes that any file may grow to.
        output_size: Bytes that all files in the output folder may have together.
        core: Bytes of a core dump; 0 for none.
        nice: What is added to its niceness.
    """

    time: float | None = None
    cpu_time: float | None = None
    memory: int | None = None
    processes: int | None = None
    open_files: int | None = None
    file_size: int | None = None
    output_size: int | None = None
    core: int | None = None
    nice: int | None = None


class Threshold(NamedTuple):
    """When the memory guard ends the script: at a share of the container's limit, at an amount, or never.

    Attributes:
        percent: Of the container's memory limit; 0 where an amount is given, or nothing.
        size: Bytes; 0 likewise.
    """

    percent: float = 0.0
    size: int = 0

    def of(self, limit: int) -> int | None:
        """Return the bytes at which to act in a container that may use `limit` bytes; None for never."""
        if self.percent:
            return int(limit * self.percent / 100)
        return min(self.size, limit) or None

    def __str__(self) -> str:
        if self.percent:
            return f"{self.percent:g}%"
        return str(self.size) if self.size else "off"


class Limit(NamedTuple):
    """One limit: how its value is written, and what it means, for the reference."""

    kind: Kind
    help: str


# The script needs its three standard streams and a few for the loader and the interpreter.
_FEWEST_FILES: Final = 16

LIMITS: Final = {
    "time": Limit(DURATION, "How long the script may run, by the clock."),
    "cpu_time": Limit(DURATION, "How much CPU time its processes may use together."),
    "memory": Limit(QUANTITY, "How much memory its processes may use together."),
    "processes": Limit(count(1, 4_194_304), "How many processes it may have at a time."),
    "open_files": Limit(count(_FEWEST_FILES, 1_073_741_816), "How many files each process may have open."),
    "file_size": Limit(QUANTITY, "How large a file may grow that it writes."),
    "output_size": Limit(QUANTITY, "How large the files in its output folder may be together."),
    "core": Limit(AMOUNT, "How large a core dump may be; `0` for none."),
    "nice": Limit(count(0, 19), "How much it stands back behind other processes."),
}


def _threshold(text: str) -> Threshold:
    if text.lower() in {"off", "false", "no"}:
        return Threshold()
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%", text)
    if found is None:
        try:
            return Threshold(size=amount(text))
        except Invalid:
            problem = f"must be a percentage, an amount of bytes, or off, not {shown(text)}"
            raise Invalid(problem, "Write it like 95%, 3500Mi or off") from None
    if not 0 < float(found[1]) <= 100:  # noqa: PLR2004  # per cent
        raise Invalid(f"must be more than 0% and at most 100%, not {shown(text)}")
    return Threshold(percent=float(found[1]))


THRESHOLD: Final = scalar("a percentage, an amount of bytes, or `off`", _threshold)


def _limits(node: Node, path: str, findings: Findings) -> Limits | None:
    if not isinstance(node.value, dict):
        findings.fault(node.place, path, f"must be a mapping, not {node.kind}")
        return None
    values: dict[str, Any] = {}
    for name, value in node.value.items():
        if name not in LIMITS:
            findings.unknown(node.keys[name], f"{path}.{name}", name, LIMITS)
        elif value.is_set:
            values[name] = LIMITS[name].kind.read(value, f"{path}.{name}", findings)
            findings.origins[f"limits.{name}"] = value.place
    return Limits(**values)


LIMIT: Final = Kind("a mapping", _limits, structured=True)


def limit_problem(name: str, text: str) -> str:
    """Return what is wrong about setting a limit to a text, as one sentence; empty if nothing is."""
    findings = Findings("")
    node = Node({name: Node(text, Place(""))}, Place(""), {name: Place("")})
    _limits(node, "limits", findings)
    if not text:
        findings.fault(Place(""), f"limits.{name}", "has no value")
    return "; ".join(findings.faults()).removeprefix("limits.")
