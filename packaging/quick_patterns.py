"""Makes regular expressions of the table that patterns.py wrote, and compiles all others as ever."""

from __future__ import annotations

import re._compiler as compiler
from typing import TYPE_CHECKING, Any

from pattern_table import TABLE

if TYPE_CHECKING:
    import re

__all__ = ["install"]

_compile = compiler.compile


def install() -> None:
    """Have `re` look into the table first."""
    compiler.compile = _quick


def _quick(pattern: Any, flags: int = 0) -> re.Pattern[Any]:  # noqa: ANN401  # text, bytes or a pattern
    known = TABLE.get((pattern, int(flags))) if isinstance(pattern, str) else None
    if known is None:
        return _compile(pattern, flags)
    final, code, groups, names, order = known
    instructions = memoryview(code).cast("I").tolist()
    return compiler._sre.compile(pattern, final, instructions, groups, names, order)  # noqa: SLF001
