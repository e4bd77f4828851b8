"""The memory that all transfers of a process share."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MIB", "MemoryBudget"]

MIB: Final = 1024 * 1024

# A share is given back when another transfer ends, and every transfer ends by its own time-outs;
# this bound only keeps a provider that never gives back from stopping the others for ever.
_LONGEST_WAIT: Final = 3600.0


class MemoryBudget:
    """Bytes that transfers may hold in buffers at the same time, shared among all providers.

    A provider takes its share before it allocates, and sizes its concurrency by what it was given:

        with self.memory.share(least=part_size, most=10 * part_size) as granted:
            concurrency = max(1, granted // part_size)

    A single big file so gets everything, many files get a part each, and the sum never exceeds `total`.
    """

    def __init__(self, total: int) -> None:
        self.total: Final = total
        self._free = total
        self._returned = threading.Condition()

    @contextmanager
    def share(self, *, least: int, most: int) -> Iterator[int]:
        """Give between `least` and `most` bytes, waiting until `least` are free, and take them back at the end.

        A `least` above the total gets the total: a small budget makes transfers take turns, not fail.

        Raises:
            Unavailable: The share did not become free within an hour.
        """
        least = min(least, self.total)
        with self._returned:
            if not self._returned.wait_for(lambda: self._free >= least, timeout=_LONGEST_WAIT):
                raise Unavailable("no transfer memory became free within an hour")
            granted = max(least, min(most, self._free))
            self._free -= granted
        try:
            yield granted
        finally:
            with self._returned:
                self._free += granted
                self._returned.notify_all()
