"""One contestant after the other in a container with a fifth of a processor, as OSCAR gives it by default."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.builds import FROZEN
from bench.measure import Failed, Measured, Usage
from bench.tools import OURS, ROOT
from tests.containers import Containers, Mount

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.measure import Contestant

CPUS = 0.2
_RUNNER = "/bench/runner.py"


def race_in_containers(
    contestants: Sequence[Contestant], *, runs: int, folder: Path, verify: Callable[[], None], clear: Callable[[], None]
) -> list[Measured]:
    """Run every contestant as `measure.race` does, each time in a new container.

    Raises:
        Failed: One of them ended with an error, or left something else than it should.
    """
    state = folder / "containers"
    state.mkdir(exist_ok=True)
    containers = Containers(state)
    usages: dict[str, list[Usage]] = {contestant.name: [] for contestant in contestants}
    try:
        for number in range(runs + 1):
            for contestant in contestants:
                usage = _run(containers, contestant)
                if number:
                    usages[contestant.name].append(usage)
                else:
                    verify()
                clear()
            print(".", end="", flush=True)
    finally:
        containers.close()
    print()
    return [Measured(name, taken) for name, taken in usages.items()]


def _run(containers: Containers, contestant: Contestant) -> Usage:
    mounts = [
        Mount("/bench", ROOT / "bench"),
        Mount(str(FROZEN), FROZEN),
        Mount(str(ROOT / ".bench"), ROOT / ".bench"),
        Mount(str(ROOT / "build" / "bench"), ROOT / "build" / "bench"),
        Mount(str(OURS), OURS),  # the peers' Python is a link to this one
        Mount(sys.base_prefix, Path(sys.base_prefix)),
    ]
    ended = containers.run(
        ["/usr/bin/python3", "-I", "-S", _RUNNER, "300", "/tmp/log", *contestant.argv],
        user=0,
        cpus=CPUS,
        mounts=mounts,
        environment={"TMPDIR": "/tmp", "HOME": "/tmp", **contestant.environment},
        change=lambda document: document["process"].update(cwd="/tmp"),
        timeout=330,
    )
    fields = ended.stdout.split()
    if ended.code or not fields or int(fields[0]):
        raise Failed(f"{contestant.name} failed in a container: {ended.log[-2000:]} {ended.stdout[-200:]!r}")
    cpu, wall, peak = map(float, fields[1:4])
    return Usage(cpu, wall, peak * 1024)
