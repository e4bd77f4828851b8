"""`python -m bench`: measures, prints, and writes `docs/benchmarks.md` when everything was measured."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from bench import tools
from bench.cases import Case, Objects, large_object, make_cases
from bench.decoding import measure_decoding
from bench.guard import measure_guard
from bench.measure import Failed, race
from bench.report import Circumstances, case_section, decoding_section, replaced, supervision_section
from bench.science import onedata, webdav
from bench.serving import measure_serving
from bench.supervision import measure_supervision
from tests.servers import running_seaweedfs

PAGE = tools.ROOT / "docs" / "benchmarks.md"
DECODING = "e"
SUPERVISION = "s"
SCIENCE = {"f": webdav, "g": onedata}
SERVING = "h"
GUARD = "m"
CASES = f"abcd{DECODING}{''.join(SCIENCE)}{SERVING}{SUPERVISION}{GUARD}"


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the supervisor beside its peers.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each contestant (5)")
    parser.add_argument("--cases", default=CASES, help=f"some of {CASES}; all of them also write {PAGE.name}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped, too
    tools.install()
    circumstances = Circumstances(options.runs, tools.versions(), os.getloadavg()[0])
    try:
        sections = _measure(options.runs, options.cases)
    except Failed as problem:
        sys.exit(f"bench: {problem}")
    report = "\n".join([circumstances.render(), *sections])
    print(report)
    if set(options.cases) == set(CASES):
        PAGE.write_text(replaced(PAGE.read_text("utf-8"), report), "utf-8")


def _measure(runs: int, wanted: str) -> list[str]:
    sections = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        if set(wanted) & set("abcd"):
            # The fixture is a plain generator once its decorator is taken off.
            with running_seaweedfs() as (server, _):
                cases = make_cases(server, Objects(server), folder)
                sections += [_raced(letter, case, runs, folder) for letter, case in cases.items() if letter in wanted]
        if DECODING in wanted:
            sections.append(decoding_section(DECODING, measure_decoding(runs)))
        for letter, running in SCIENCE.items():
            if letter in wanted:
                with running(folder, large_object()) as case:
                    sections.append(_raced(letter, case, runs, folder))
        if SERVING in wanted:
            sections.append(measure_serving(runs, folder))
    if SUPERVISION in wanted:
        sections.append(supervision_section(SUPERVISION, measure_supervision(runs)))
    if GUARD in wanted:
        sections.append(measure_guard(GUARD))
    return sections


def _raced(letter: str, case: Case, runs: int, folder: Path) -> str:
    print(f"{letter}: {case.title}", end=" ", flush=True)
    store = case.store
    verify = lambda: store.verify(case.outputs)  # noqa: E731
    measured = race(case.contestants, runs=runs, folder=folder, verify=verify, clear=store.clear)
    return case_section(letter, case, measured)


if __name__ == "__main__":
    main()
