"""Counts the instructions of whole process trees with callgrind: a figure that a busy machine does not change."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measure import Contestant

PATIENCE = 300
_COUNT = re.compile(r"Collected : (\d+)")


def counted(contestant: Contestant, folder: Path) -> int | None:
    """Return how many instructions the contestant and its children take; None where callgrind can't tell."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    work, logs = folder / "work", folder / "callgrind"
    for made in (work, logs):
        made.mkdir()
    options = ["--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null", f"--log-file={logs}/%p"]
    try:
        done = subprocess.run(
            [valgrind, *options, *contestant.argv],
            cwd=work,
            env={"TMPDIR": str(work), "HOME": str(work), **contestant.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        counts = [int(found) for log in logs.iterdir() for found in _COUNT.findall(log.read_text(errors="replace"))]
    except subprocess.TimeoutExpired:
        return None
    finally:
        shutil.rmtree(work)
        shutil.rmtree(logs, ignore_errors=True)
    return sum(counts) if done.returncode == 0 and counts else None
