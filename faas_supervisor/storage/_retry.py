"""When to try again, and after how long: one policy for every provider."""

from __future__ import annotations

import time

from faas_supervisor.errors import IntegrityError, StorageError
from faas_supervisor.values import value

__all__ = ["Retry"]


@value
class Retry:
    """Exponential back-off with full jitter, inside a deadline.

    Attributes:
        deadline: Seconds after which no further attempt is begun, counted from the first.
        attempts: How often at the most.
        base: The longest wait after the first attempt, in seconds; it doubles from there.
        cap: The longest wait of all, unless the server asks for more.
    """

    deadline: float = 600.0
    attempts: int = 8
    base: float = 0.5
    cap: float = 30.0

    def delay(self, error: StorageError, attempt: int, started: float, *, again: bool = False) -> float | None:
        """Return the seconds to wait after the failed `attempt` (1 is the first), or None to give up.

        `again` says that bytes were wrong before: that may happen once.
        """
        if not error.retryable or attempt >= self.attempts or (again and isinstance(error, IntegrityError)):
            return None
        import random  # noqa: PLC0415  # only when something failed

        wait = random.uniform(0, min(self.cap, self.base * 2 ** (attempt - 1)))  # noqa: S311  # spreads load, no secret
        if error.retry_after is not None:
            wait = max(wait, error.retry_after)
        return wait if time.monotonic() + wait - started <= self.deadline else None
