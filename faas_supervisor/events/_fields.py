"""Look-ups in a JSON document whose errors name the place, such as `Records[1].s3.object.key`."""

from __future__ import annotations

from typing import Final

from faas_supervisor.errors import EventError, printable

__all__ = ["any_text", "child", "number", "optional_text", "quoted", "text", "text_at"]

_MISSING: Final = object()
_SHOWN: Final = 200


def text(document: object, path: str, *, at: str = "") -> str:
    """Return the non-empty string at the dotted `path` below `at`.

    Raises:
        EventError: It is not there, empty, or no string.
    """
    value = any_text(document, path, at=at)
    if not value:
        raise EventError(f"the event is incomplete: {_place(at, path)} is empty")
    return value


def any_text(document: object, path: str, *, at: str = "") -> str:
    """Return the string at `path`, which may be empty: the body of a message."""
    value = _look(document, path, at)
    if value is _MISSING or value is None:
        raise EventError(f"the event is incomplete: {_place(at, path)} is missing")
    if not isinstance(value, str):
        raise EventError(f"the event is malformed: {_place(at, path)} is not a string")
    return value


def optional_text(document: object, path: str, *, at: str = "") -> str | None:
    """Return the string at `path`, or None where there is none or an empty one; anything else is an `EventError`."""
    value = _look(document, path, at)
    if value is _MISSING or value is None or value == "":
        return None
    if not isinstance(value, str):
        raise EventError(f"the event is malformed: {_place(at, path)} is not a string")
    return value


def number(document: object, path: str, *, at: str = "") -> int | None:
    """Return the number of bytes at `path`, or None where there is none; anything else is an `EventError`."""
    value = _look(document, path, at)
    if value is _MISSING or value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    # Ceph's documentation shows sizes as strings.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:  # noqa: PLR2004  # 2**64
        return int(value)
    raise EventError(f"the event is malformed: {_place(at, path)} is not a number of bytes")


def text_at(document: object, name: str) -> str | None:
    """Return the non-empty string that an object holds under `name`, or None: to see whose event it is."""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) and value else None


def child(document: object, name: str) -> dict[str, object] | None:
    """Return the object that an object holds under `name`, or None: to see whose event it is."""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else None


def quoted(value: str) -> str:
    """Return `value` for a message: on one line, in quotes, cut where it is too long to read."""
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return f'"{printable(shown)}"'


def _look(document: object, path: str, at: str) -> object:
    steps = path.split(".")
    for i, step in enumerate(steps):
        if not isinstance(document, dict):
            above = ".".join(steps[:i])
            raise EventError(f"the event is malformed: {_place(at, above) if above else at or 'it'} is not an object")
        document = document.get(step, _MISSING)
        if document is _MISSING:
            return _MISSING
    return document


def _place(at: str, path: str) -> str:
    return f"{at}.{path}" if at else path
