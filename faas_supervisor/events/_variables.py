"""What a sender's parameters become in the script's environment."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.events._fields import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["variables"]

# Bytes for all values. Linux takes 128 KiB for one variable; the script needs its own ones, too.
_ROOM: Final = 64 * 1024


def variables(prefix: str, given: Iterable[tuple[str, object]]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the environment variables `prefix` + name, and one sentence for each that can't be one."""
    kept: dict[str, str] = {}
    notes: list[str] = []
    room = _ROOM
    for name, value in given:
        written = _written(value)
        problem = _problem(name and f"{prefix}{name}", written, room)
        if written is not None and problem is None:
            kept[f"{prefix}{name}"] = written
            room -= len(written.encode("utf-8"))
        else:
            notes.append(f"{quoted(name)} is not passed on as {prefix}…: {problem}")
    return MappingProxyType(kept), tuple(notes)


def _written(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def _problem(name: str, value: str | None, room: int) -> str | None:
    if not (name.isascii() and name.isidentifier()):
        return "no variable can have this name"
    if value is None:
        return "its value is not text"
    if "\0" in value:
        return "its value has a NUL character"
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        return "its value is not valid UTF-8"
    return f"the values have more than {_ROOM} bytes" if size > room else None
