"""The measurements as Markdown, between the markers of `docs/benchmarks.md`."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.cases import Aim, Case
    from bench.decoding import Decoded
    from bench.measure import Measured
    from bench.supervision import Supervised

MIB = 1024 * 1024
BEGIN = "<!-- What follows is written by `make bench`; do not edit. -->\n"
END = "<!-- End of what `make bench` writes. -->\n"
FROZEN_BEGIN = "<!-- What follows is written by `make bench-frozen`; do not edit. -->\n"
FROZEN_END = "<!-- End of what `make bench-frozen` writes. -->\n"

_MEASURES = {"cpu": "CPU", "wall": "wall time", "peak": "peak memory"}
_DECODING_AIM = 0.002
_SUPERVISION_AIM = 0.003
_OUTPUT_AIM = 500e6


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the figures depend on."""

    runs: int
    versions: Mapping[str, str]
    load: float

    def render(self) -> str:
        """Return a list of them."""
        programs = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"- {time.strftime('%Y-%m-%d', time.gmtime())}, medians of {self.runs} runs\n"
            f"- {_processor()}, {os.cpu_count()} cores, Linux {platform.release()}; "
            f"load average before the run: {self.load:.1f}\n"
            f"- Python {platform.python_version()}, {programs}\n"
        )


def replaced(page: str, report: str, start: str = BEGIN, stop: str = END) -> str:
    """Return `page` with `report` between its markers.

    Raises:
        ValueError: It has no markers.
    """
    before, begin, rest = page.partition(start)
    _, end, after = rest.partition(stop)
    if not begin or not end:
        raise ValueError("the page has no place for the report")
    return f"{before}{start}\n{report}\n{stop}{after}"


def case_section(letter: str, case: Case, measured: Sequence[Measured], module: str = "bench") -> str:
    """Return the section of one case; the first contestant is the supervisor."""
    ours = measured[0]
    rows = [
        "| | CPU, s | least to most | wall, s | peak memory, MiB | CPU, ours ÷ this | wall | memory |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *(_row(one, ours) for one in measured),
    ]
    verdicts = ["", *(verdict(aim, measured) for aim in case.aims)] if case.aims else []
    return "\n".join([f"## {case.title}", "", f"{case.text} {_alone(letter, module)}", "", *rows, *verdicts, ""])


def decoding_section(letter: str, events: Sequence[Decoded]) -> str:
    """Return the section on decoding."""
    text = (
        "CPU for turning the bytes of a MinIO notification into what is planned with, in a process that runs already. "
        f"Parsing JSON alone, which is a part of it, is in the last column. {_alone(letter)}"
    )
    header = ["| event | size, KiB | records | decoding, ms | of it JSON, ms |", "|---|--:|--:|--:|--:|"]
    rows = [
        f"| {one.name} | {one.size / 1024:.1f} | {one.records} | {one.cpu * 1000:.3f} | {one.parsing * 1000:.3f} |"
        for one in events
    ]
    slowest = max(one.cpu for one in events)
    judged = verdict_text("less than 2 ms for 64 KiB", slowest < _DECODING_AIM, f"{slowest * 1000:.2f} ms")
    return "\n".join(["## Decoding", "", text, "", *header, *rows, "", judged, ""])


def supervision_section(letter: str, ways: Sequence[Supervised]) -> str:
    """Return the section on running the script."""
    text = (
        "`/bin/true` supervised, beside the same alone (`posix_spawn` and `waitpid`), in a process that runs already; "
        f"and 1 GiB of standard output, passed on to `/dev/null`. {_alone(letter)}"
    )
    header = ["| started by | alone, ms | supervised, ms | added, ms | output, MB/s |", "|---|--:|--:|--:|--:|"]
    rows = [
        f"| {one.name} | {one.bare * 1000:.2f} | {one.supervised * 1000:.2f} | {one.overhead * 1000:.2f} "
        f"| {one.throughput / 1e6:.0f} |"
        for one in ways
    ]
    judged = [
        verdict_text(
            f"less than 3 ms for `true`, {one.name}",
            one.overhead < _SUPERVISION_AIM,
            f"{one.overhead * 1000:.2f} ms",
        )
        for one in ways
    ]
    slowest = min(one.throughput for one in ways)
    judged.append(verdict_text("at least 500 MB/s of output", slowest >= _OUTPUT_AIM, f"{slowest / 1e6:.0f} MB/s"))
    return "\n".join(["## Running the script", "", text, "", *header, *rows, "", *judged, ""])


def _alone(letter: str, module: str = "bench") -> str:
    return f"This table alone: `python -m {module} --cases {letter}`."


def verdict(aim: Aim, measured: Sequence[Measured]) -> str:
    """Return whether the supervisor, the first of `measured`, reached `aim`."""
    ours = measured[0].median(aim.measure)
    what = _MEASURES[aim.measure]
    shown = _amount(aim.measure, ours)
    if aim.most is not None:
        return verdict_text(f"{what} at most {_amount(aim.measure, aim.most)}", ours <= aim.most, shown)
    theirs = next(one for one in measured if one.name == aim.below).median(aim.measure)
    shown += f" against {_amount(aim.measure, theirs)}"
    if aim.factor != 1:
        return verdict_text(
            f"{what} at most {aim.factor:g} times that of {aim.below}", ours <= theirs * aim.factor, shown
        )
    return verdict_text(f"{what} below that of {aim.below}", ours < theirs, shown)


def verdict_text(aim: str, reached: bool, shown: str) -> str:  # noqa: FBT001  # clear where it is called
    """Return one line of the list of aims."""
    return f"- Aim: {aim}: {'reached' if reached else '**missed**'}, {shown}."


def _row(one: Measured, ours: Measured) -> str:
    least, most = one.range("cpu")
    name = f"**{one.name}**" if one is ours else one.name
    ratios = (
        ["", "", ""] if one is ours else [f"{ours.median(measure) / one.median(measure):.2f}" for measure in _MEASURES]
    )
    cells = [
        name,
        f"{one.median('cpu'):.3f}",
        f"{least:.3f} to {most:.3f}",
        f"{one.median('wall'):.3f}",
        f"{one.median('peak') / MIB:.0f}",
        *ratios,
    ]
    return f"| {' | '.join(cells)} |"


def _amount(measure: str, value: float) -> str:
    return f"{value / MIB:.0f} MiB" if measure == "peak" else f"{value:.3f} s"


def _processor() -> str:
    """Return the processor's name as the kernel has it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
