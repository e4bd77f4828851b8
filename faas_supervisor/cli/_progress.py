"""A line on the terminal that tells how far a long transfer is."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_line"]

_AFTER_SECONDS: Final = 1.0
_EVERY_SECONDS: Final = 0.1
_WIDTH: Final = 30
_CLEAR: Final = "\r\x1b[K"


@contextmanager
def progress_line() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Give a watcher that draws on the terminal, or None when standard error is none."""
    if not sys.stderr.isatty():
        yield None
        return
    line = _Line()
    try:
        yield line.watch
    finally:
        line.clear()


class _Line:
    """One line for all transfers: it shows the one that moved last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[str, float] = {}
        self._drawn = 0.0
        self._visible = False

    def watch(self, label: str, moved: int, total: int | None) -> None:
        """Draw how far `label` is, if it takes long and was not drawn a moment ago."""
        now = time.monotonic()
        with self._lock:
            begun = self._begun.setdefault(label, now)
            if total is not None and moved >= total:
                self._begun.pop(label, None)
                self._erase()
            elif now - begun >= _AFTER_SECONDS and now - self._drawn >= _EVERY_SECONDS:
                self._drawn = now
                self._visible = True
                sys.stderr.write(_CLEAR + _bar(label, moved, total))
                sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            self._erase()

    def _erase(self) -> None:
        if self._visible:
            self._visible = False
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


def _bar(label: str, moved: int, total: int | None) -> str:
    mib = moved / 1024 / 1024
    if not total:
        return f"{label}: {mib:.1f} MiB"
    filled = int(_WIDTH * moved / total)
    return f"{label}: [{'#' * filled}{' ' * (_WIDTH - filled)}] {mib:.1f} of {total / 1024 / 1024:.1f} MiB"
