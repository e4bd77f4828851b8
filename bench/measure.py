"""Whole processes, round robin over the contestants, so that a drift of the machine meets all of them."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RUNNER = Path(__file__).with_name("runner.py")
PATIENCE = 300
"""Seconds after which a contestant is killed, and the benchmark fails."""


class Failed(Exception):
    """A contestant did not do its work."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A command that does the work of a case; it starts in an empty folder that is also its `TMPDIR`."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run used: CPU seconds of all its processes, wall seconds, bytes of its largest process."""

    cpu: float
    wall: float
    peak: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs of one contestant."""

    name: str
    runs: Sequence[Usage]

    def median(self, measure: str) -> float:
        """Return the median of `cpu`, `wall` or `peak`."""
        return statistics.median(self._values(measure))

    def range(self, measure: str) -> tuple[float, float]:
        """Return the least and the most."""
        values = self._values(measure)
        return min(values), max(values)

    def _values(self, measure: str) -> list[float]:
        return [getattr(run, measure) for run in self.runs]


def race(
    contestants: Sequence[Contestant], *, runs: int, folder: Path, verify: Callable[[], None], clear: Callable[[], None]
) -> list[Measured]:
    """Run every contestant once to warm up, under `verify`, then `runs` times in turn; `clear` follows each run.

    Raises:
        Failed: One of them ended with an error, or left something else than it should.
    """
    usages: dict[str, list[Usage]] = {contestant.name: [] for contestant in contestants}
    for number in range(runs + 1):
        for contestant in contestants:
            usage = _run(contestant, folder)
            if number:
                usages[contestant.name].append(usage)
            else:
                _verified(contestant, verify)
            clear()
        print(".", end="", flush=True)
    print()
    return [Measured(name, taken) for name, taken in usages.items()]


def _verified(contestant: Contestant, verify: Callable[[], None]) -> None:
    try:
        verify()
    except Failed as problem:
        raise Failed(f"{contestant.name}: {problem}") from problem


def _run(contestant: Contestant, folder: Path) -> Usage:
    work, log = folder / "work", folder / "log"
    work.mkdir()
    log.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", RUNNER, str(PATIENCE), log, *contestant.argv],
            cwd=work,
            env={"TMPDIR": str(work), "HOME": str(work), **contestant.environment},
            stdout=subprocess.PIPE,
            timeout=PATIENCE + 30,
            check=True,
        )
    finally:
        shutil.rmtree(work)
    status, cpu, wall, peak = done.stdout.split()
    if int(status):
        raise Failed(f"{contestant.name} ended with {int(status)}:\n{log.read_text(errors='replace')[-2000:]}")
    return Usage(float(cpu), float(wall), float(peak) * 1024)
