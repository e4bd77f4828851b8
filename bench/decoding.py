"""Decoding alone, in this process: what an event costs once its bytes have been read."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.events import notification, record
from faas_supervisor.events import decode

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMES = 50
_LARGE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Decoded:
    """One event, and the medians of the CPU seconds for decoding it and for parsing its JSON alone."""

    name: str
    size: int
    records: int
    cpu: float
    parsing: float


def measure_decoding(runs: int) -> list[Decoded]:
    """Decode a usual and a large event in turn, `runs` times fifty times each."""
    events = {"one record": _event(1), "many records": _large()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in events}
    for _ in range(runs):
        for name, body in events.items():
            taken[name].append((_seconds(decode, body), _seconds(json.loads, body)))
    return [
        Decoded(
            name,
            len(body),
            len(decode(body).records),
            statistics.median(cpu for cpu, _ in taken[name]),
            statistics.median(parsing for _, parsing in taken[name]),
        )
        for name, body in events.items()
    ]


def _seconds(work: Callable[[bytes], object], body: bytes) -> float:
    begun = time.process_time()
    for _ in range(_TIMES):
        work(body)
    return (time.process_time() - begun) / _TIMES


def _large() -> bytes:
    record_size = len(_event(2)) - len(_event(1))
    return _event(_LARGE // record_size + 1)


def _event(records: int) -> bytes:
    etag = "e59ff97941044f85df5297e1c302d260"
    return notification(
        *(record("simple-test", f"input/picture {number}.jpg", size=180_000, etag=etag) for number in range(records))
    ).encode()
