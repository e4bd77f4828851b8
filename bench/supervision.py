"""Running the script, in this process: what supervision adds to a program that does nothing, and how output passes."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import tools
from faas_supervisor.recording import Tail
from faas_supervisor.script import _start, run
from faas_supervisor.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TIMES = 50
_GIB = 1 << 30
_STARTER = tools.ROOT / "packaging" / "starter.c"


class _Nowhere:
    """Takes output as the job front does, and writes it to /dev/null."""

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_WRONLY)
        self._tail = Tail(64 * 1024)

    def write(self, data: bytes) -> None:
        self._tail.write(data)
        os.write(self._null, data)


@dataclass(frozen=True, slots=True)
class Supervised:
    """One way of starting: median wall seconds of `true`, alone and supervised, and bytes of output a second."""

    name: str
    bare: float
    supervised: float
    throughput: float

    @property
    def overhead(self) -> float:
        """What supervision adds."""
        return self.supervised - self.bare


def measure_supervision(runs: int) -> list[Supervised]:
    """Measure both ways of starting; that of the frozen supervisor only where there is a compiler for it."""
    found = [_measured("fork, as installed by pip", runs)]
    if shutil.which("musl-gcc"):
        with _starter() as program:
            found.insert(0, _measured("starter, as in the frozen supervisor", runs, program))
    return found


def _measured(name: str, runs: int, program: str | None = None) -> Supervised:
    _start.adopt_orphans()
    before, _start._starter = _start._starter, lambda: program  # noqa: SLF001  # there is no other way in
    try:
        alone, supervised = [], []
        for _ in range(runs * _TIMES):  # in turn, so that a drift of the machine meets both
            alone.append(_seconds(_alone))
            supervised.append(_seconds(lambda: _run(["/bin/true"])))
        passed = [_GIB / _seconds(lambda: _run(["/usr/bin/head", "-c", str(_GIB), "/dev/zero"])) for _ in range(runs)]
    finally:
        _start._starter = before  # noqa: SLF001  # as above
    return Supervised(name, *map(statistics.median, (alone, supervised, passed)))


def _alone() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def _run(argv: list[str]) -> None:
    with Stop() as stop:
        run(argv, {}, stdout=_NOWHERE, stderr=_NOWHERE, stop=stop)


def _seconds(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


@contextmanager
def _starter() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "starter"
        subprocess.run(["musl-gcc", "-std=gnu11", "-Os", "-s", "-static", _STARTER, "-o", program], check=True)
        yield str(program)


_NOWHERE = _Nowhere()
