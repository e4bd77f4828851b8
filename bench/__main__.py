"""`python -m bench`: measures, prints, and writes `docs/benchmarks.md` when everything was measured."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import signal
import sys
import tempfile
from pathlib import Path

from bench import tools
from bench.cases import Objects, make_cases
from bench.decoding import measure_decoding
from bench.measure import Failed, race
from bench.report import Circumstances, case_section, decoding_section, replaced
from tests.servers import seaweedfs

PAGE = tools.ROOT / "docs" / "benchmarks.md"
DECODING = "e"
CASES = f"abcd{DECODING}"


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
    # The fixture is a plain generator once its decorator is taken off.
    running = contextlib.contextmanager(inspect.unwrap(seaweedfs))
    sections = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, running() as server:
        folder, objects = Path(name), Objects(server)
        for letter, case in make_cases(server, objects, folder).items():
            if letter in wanted:
                print(f"{letter}: {case.title}", end=" ", flush=True)
                verify = lambda outputs=case.outputs: objects.verify(outputs)  # noqa: E731
                measured = race(case.contestants, runs=runs, folder=folder, verify=verify, clear=objects.clear)
                sections.append(case_section(letter, case, measured))
    if DECODING in wanted:
        sections.append(decoding_section(DECODING, measure_decoding(runs)))
    return sections


if __name__ == "__main__":
    main()
