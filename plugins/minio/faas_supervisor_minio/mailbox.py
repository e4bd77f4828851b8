"""What stands between the thread that reads events and the one that uses them: first in, first out, and bounded."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["Mailbox"]


class Mailbox:
    """Items for one taker. Whoever puts more than `most` bytes waits until some are taken; nothing is dropped."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[bytes] = deque()
        self._held = 0
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()

    def is_closed(self) -> bool:
        """Whether nobody will take anything any more."""
        return self._closed

    def put(self, item: bytes) -> bool:
        """Add an item, waiting for room; return whether it had to wait."""
        with self._changed:
            waited = not self._has_room(item)
            self._changed.wait_for(lambda: self._closed or self._has_room(item))
            self._items.append(item)
            self._held += len(item)
            self._changed.notify_all()
            return waited

    def take(self) -> bytes:
        """Return the next item, waiting for one.

        Raises:
            BaseException: What `fail` was given, once all items are taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._error)
            if not self._items and self._error is not None:
                raise self._error
            item = self._items.popleft()
            self._held -= len(item)
            self._changed.notify_all()
            return item

    def fail(self, error: BaseException) -> None:
        """Let the taker know that nothing more will come, and why."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Let the putter know that nobody takes any more; nobody waits from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait that long, or until it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout=seconds)

    def _has_room(self, item: bytes) -> bool:
        return not self._items or self._held + len(item) <= self._most
