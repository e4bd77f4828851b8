"""How often a watch looks: as often as what it watches may change, and never for more than its share of a processor."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Growth", "Pace"]

# Of one processor, on average. What a look may cost altogether is 0.5 %.
_SHARE: Final = 0.004

# Seconds of processor time that may be spent above that at a stretch, while something grows.
_SAVINGS: Final = 0.02


class Pace:
    """Says when to look again.

    While there is much room it is rarely; where room gets short it is often. Looking costs time, so a watch saves up
    while it looks rarely, and spends that when it matters; when nothing is left it looks as often as its share allows.
    """

    def __init__(self, *, shortest: float, longest: float, share: float = _SHARE) -> None:
        self._shortest: Final = shortest
        self._longest: Final = longest
        self._share: Final = share
        self._savings = _SAVINGS
        self._cost = 0.0
        self._looked: tuple[float, float] | None = None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what this thread has spent since the last look: waking up costs more than looking."""
        try:
            yield
        finally:
            now, spent = time.monotonic(), time.thread_time()
            if self._looked is not None:
                cost = spent - self._looked[1]
                self._savings = min(_SAVINGS, self._savings + (now - self._looked[0]) * self._share) - cost
                # The dearest of late: after a cheap look the next may be dear again.
                self._cost = max(cost, 0.9 * self._cost)
            self._looked = now, spent

    def wait(self, wanted: float, urgent: float = math.inf) -> float:
        """Return the seconds until the next look.

        Args:
            wanted: What would be right for what is watched, if looking cost nothing.
            urgent: After what time a look is needed whatever it costs.
        """
        seconds = min(max(wanted, self._shortest), self._longest)
        if self._savings <= 0:
            seconds = max(seconds, self._cost / self._share)
        return max(self._shortest, min(seconds, urgent))


class Growth:
    """Tells from what was used at each look when the next has to be, lest a limit is passed in between."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._rate = 0.0

    def urgent(self, used: float, limit: float) -> float:
        """Return a quarter of the time that is left at the fastest growth of late: a few looks until the limit."""
        now = time.monotonic()
        if self._last is not None and now > self._last[0]:
            self._rate = max((used - self._last[1]) / (now - self._last[0]), self._rate / 2)
        self._last = now, used
        return (limit - used) / (4 * self._rate) if self._rate > 1 else math.inf
