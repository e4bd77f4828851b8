"""`python -m bench.frozen`: measures the frozen supervisor, prints, and writes its part of `docs/benchmarks.md`."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import tools
from bench.builds import FROZEN, phases, stock
from bench.cases import MIB, Aim, Case, Objects, make_cases
from bench.contestants import SUPERVISOR
from bench.instructions import counted
from bench.measure import Contestant, Failed, race
from bench.report import FROZEN_BEGIN, FROZEN_END, Circumstances, case_section, replaced, verdict_text
from bench.small_share import CPUS, race_in_containers
from tests.servers import running_seaweedfs

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = tools.ROOT / "docs" / "benchmarks.md"
CASES = "abcde"
STOCK = "stock PyInstaller build"
BARE = "python -I -S -c pass"

_LARGEST_FOLDER = 60 * 10**6
_LARGEST_ZIP = 28 * 10**6
_START = 0.045
_BARE_START = 0.011


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(prog="python -m bench.frozen", description="Measure the frozen supervisor.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each contestant (5)")
    parser.add_argument("--cases", default=CASES, help=f"some of {CASES}; all of them also write {PAGE.name}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped, too
    tools.install()
    plain, early = stock(), phases()
    circumstances = Circumstances(options.runs, tools.versions(), os.getloadavg()[0])
    try:
        sections = _measure(options.runs, options.cases, plain, early)
    except Failed as problem:
        sys.exit(f"bench: {problem}")
    report = "\n".join([circumstances.render(), *sections, _sizes()])
    print(report)
    if set(options.cases) == set(CASES):
        PAGE.write_text(replaced(PAGE.read_text("utf-8"), report, FROZEN_BEGIN, FROZEN_END), "utf-8")


def _measure(runs: int, wanted: str, plain: Path, early: Mapping[str, Path]) -> list[str]:
    sections = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # The fixture is a plain generator once its decorator is taken off.
        with running_seaweedfs() as (server, _):
            cases = _frozen_cases(make_cases(server, Objects(server), folder), plain)
            for letter, case in cases.items():
                if letter in wanted:
                    print(f"{letter}: {case.title}", end=" ", flush=True)
                    sections.append(_section(letter, case, runs, folder))
            if "a" in wanted:
                sections.insert(1, _phases(cases["a"], early, runs, folder))
    return sections


def _frozen_cases(unfrozen: Mapping[str, Case], plain: Path) -> dict[str, Case]:
    """Return the cases with the frozen supervisor in the place of the installed one, and the stock build beside it."""
    cases = {}
    for letter in "abcd":
        case = unfrozen[letter]
        ours, *others = case.contestants
        peers = [one for one in others if not one.name.startswith(SUPERVISOR)]
        contestants = [_started(ours, FROZEN / "supervisor", SUPERVISOR), _started(ours, plain, STOCK), *peers]
        cases[letter] = replace(case, contestants=contestants, aims=_AIMS[letter], text=_TEXTS[letter])
    share = f"{cases['b'].title}, with {CPUS:g} of a processor"
    text = "The same in a container with this limit (`cpu.max`), which is what OSCAR gives a service by default. "
    cases["e"] = replace(cases["b"], title=share, aims=[], text=text)
    return cases


_AIMS: dict[str, list[Aim]] = {
    "a": [Aim("cpu", most=_START)],
    "b": [Aim("cpu", below="s5cmd", factor=2.0)],
    "c": [Aim("cpu", below="s5cmd"), Aim("peak", most=96 * MIB)],
    "d": [Aim("cpu", below="s5cmd")],
}
_TEXTS = {
    "a": f"An event without a file, the script `true`, no output. The aim is for a machine on which `{BARE}` takes "
    f"{_BARE_START * 1000:.0f} ms of CPU; see its row.",
    "b": "MinIO's event for an object of 1 KiB; the script copies its input. A peer is run twice, with a `cp` between.",
    "c": "The same with an object of 256 MiB.",
    "d": "The script copies a folder of 500 files of 10 KiB into its output folder; nothing is downloaded.",
}


def _started(ours: Contestant, program: Path, name: str) -> Contestant:
    return Contestant(name, ["sh", "-c", f"echo $EVENT | {program}"], ours.environment)


def _section(letter: str, case: Case, runs: int, folder: Path) -> str:
    runner = race_in_containers if letter == "e" else race
    measured = runner(
        case.contestants,
        runs=runs,
        folder=folder,
        verify=lambda: case.store.verify(case.outputs),
        clear=case.store.clear,
    )
    section = case_section(letter, case, measured, module="bench.frozen")
    return section + (_instructions(case, folder) if letter in "ab" else "")


def _instructions(case: Case, folder: Path) -> str:
    rows = []
    for contestant in case.contestants:
        count = counted(contestant, folder)
        rows.append(f"| {contestant.name} | {'?' if count is None else f'{count / 1e6:.0f}'} |")
        case.store.clear()
    return "\n".join(["Instructions, by callgrind:", "", "| | million |", "|---|--:|", *rows, "", ""])


def _phases(case: Case, early: Mapping[str, Path], runs: int, folder: Path) -> str:
    """Return the table that tells where the CPU time of a start goes, from programs that end after each phase."""
    ours = case.contestants[0]
    bare = next(one for one in case.contestants if one.name == BARE)
    steps = [bare, *(_alone(name, program, ours) for name, program in early.items()), _alone("run", FROZEN, ours)]
    measured = race(steps, runs=max(runs, 9), folder=folder, verify=lambda: None, clear=lambda: None)
    before, rows = 0.0, []
    names = ["of it a bare Python", *early, "the run: reading, deciding, starting the script, telling the result"]
    for name, one in zip(names, measured, strict=True):
        median = statistics.median(run.cpu for run in one.runs)
        counts = counted(next(step for step in steps if step.name == one.name), folder)
        count = "?" if counts is None else f"{counts / 1e6:.0f}"
        own = median if one is measured[0] else median - before
        rows.append(f"| {name} | {own * 1000:.1f} | {median * 1000:.1f} | {count} |")
        before = 0.0 if one is measured[0] else median
    return "\n".join(
        [
            "Where it goes, from builds that end after each phase:",
            "",
            "| phase | CPU, ms | until its end, ms | until its end, million instructions |",
            "|---|--:|--:|--:|",
            *rows,
            "",
            "",
        ]
    )


def _alone(name: str, program: Path, ours: Contestant) -> Contestant:
    """Return a start without a shell around it; what is not the program itself reads an empty event."""
    start = program / "supervisor" if program.is_dir() else program
    return Contestant(name, [str(start)], ours.environment)


def _sizes() -> str:
    folder = sum(path.stat().st_size for path in FROZEN.rglob("*") if path.is_file())
    archive = (FROZEN.parent / "supervisor.zip").stat().st_size
    aims = (("the folder", folder, _LARGEST_FOLDER), ("supervisor.zip", archive, _LARGEST_ZIP))
    lines = [
        verdict_text(f"{name} at most {most / 1e6:.0f} MB", size <= most, f"{size / 1e6:.1f} MB")
        for name, size, most in aims
    ]
    return "\n".join(["## Size", "", *lines, ""])


if __name__ == "__main__":
    main()
