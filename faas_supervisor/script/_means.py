"""By which means this container keeps each limit, and why by none better: what `check` tells."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.cgroup import limited_memory
from faas_supervisor.script._exceeded import amount_of, bytes_of
from faas_supervisor.script._processes import can_be_read
from faas_supervisor.script._subgroup import make
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faas_supervisor.config import Limits, Threshold

__all__ = ["Means", "means"]

# To try a group out: more than any script needs.
_TRIAL: Final = {"memory": 1 << 40, "processes": 1 << 16}

_RLIMITS: Final = {"open_files": "RLIMIT_NOFILE", "file_size": "RLIMIT_FSIZE", "core": "RLIMIT_CORE"}
_WATCHES: Final = {
    "memory": "a watch that adds up what the processes hold",
    "processes": "a watch that counts processes and threads",
}

_NEED_PROC: Final = ("cpu_time", *_WATCHES)


@value
class Means:
    """How one limit is kept.

    Attributes:
        text: A sentence for a person.
        kept: False for a limit that is set and that nothing keeps.
    """

    text: str
    kept: bool = True


def means(limits: Limits, guard: Threshold) -> Iterator[Means]:
    """Yield how each limit is kept here, those that aren't set included, and what the memory guard does.

    Groups are tried out, and removed again.
    """
    trial = {name: getattr(limits, name) or size for name, size in _TRIAL.items()}
    made, refusals = make(limits._replace(**trial))
    try:
        for name in limits._fields:
            set_to = getattr(limits, name)
            told = "not set" if set_to is None else amount_of(name, set_to)
            how, kept = _how(name, set_to, made.version if name in made.limits else 0, refusals)
            yield Means(f"limits.{name} ({told}): {how}", kept=kept or set_to is None)
    finally:
        made.close()
    yield Means(f"memory guard: {_guard(guard)}")


def _how(name: str, wanted: Any, version: int, refusals: Mapping[str, str]) -> tuple[str, bool]:  # noqa: ANN401
    """Return what keeps a limit, and whether anything does."""
    if version:
        return f"a cgroup of its own, version {version}", True
    if name in _RLIMITS:
        return _rlimit(_RLIMITS[name], wanted)
    if name not in _NEED_PROC:
        return ("the nice value" if name == "nice" else "a watch"), True
    there = can_be_read()
    if name == "cpu_time":
        rest = ", and a watch that adds them up" if there else " alone, because there is no /proc to add them up"
        return f"RLIMIT_CPU for each process{rest}", there
    watch = _WATCHES[name] if there else "nothing, because there is no /proc"
    return f"{watch}; no cgroup, because {refusals.get(name, '')}", there


def _rlimit(constant: str, wanted: int | None) -> tuple[str, bool]:
    _, hard = resource.getrlimit(getattr(resource, constant))
    if hard == resource.RLIM_INFINITY:
        return f"{constant}, soft", True
    enough = wanted is None or wanted <= hard
    return f"{constant}, soft; this container allows {hard}{'' if enough else ' only'}", enough


def _guard(guard: Threshold) -> str:
    found = limited_memory()
    if found is None:
        return "off, because the container has no memory limit that can be seen"
    threshold = guard.of(found.limit)
    if threshold is None:
        return f"off; the kernel ends everyone at {amount_of('memory', found.limit)}"
    return f"the script is ended at {bytes_of(threshold, found.limit)}"
