"""Values that must never be seen: the `Secret` type and the mask that every output passes."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote, quote_plus

__all__ = ["Secret", "mask", "remember"]

MASKED: Final = "***"

# Shorter values would blot out ordinary words; no store hands out credentials of three characters.
_SHORTEST: Final = 4

_known: set[str] = set()

# What signed URLs carry. The values are not known beforehand, so they are found by their names.
_IN_URLS: Final = re.compile(
    r"""(?ix)
    ( [?&](?:x-amz-signature|x-amz-credential|x-amz-security-token|signature|authz|access_token)= )[^&\s"'<>]+
    | ( \b[a-z][a-z0-9+.-]*:// )[^/\s:@"']+:[^/\s@"']+@
    """
)


class Secret:
    """A string that shows itself as `***` wherever it is printed; `reveal()` gives the value.

    Creating one makes `mask` hide its value, its base64 form and its URL-quoted form from then on.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value
        remember(value)

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASKED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASKED, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


def remember(value: str) -> None:
    """Have `mask` hide `value` and the forms in which it is written into headers and URLs."""
    if len(value) < _SHORTEST:
        return
    raw = value.encode("utf-8", "surrogateescape")
    forms = {value, quote(raw, safe=""), quote(raw), quote_plus(raw), base64.b64encode(raw).decode("ascii")}
    # Inside a longer base64 text (a whole configuration, "user:password") only the middle of the
    # value's encoding is the same; it depends on where the value begins, so there are three of them.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode("ascii")
        start, end = (0, 2, 3)[shift], len(encoded) - (0, 4, 4)[(shift + len(raw)) % 3]
        forms.add(encoded[start:end])
    _known.update(form for form in forms if len(form) >= _SHORTEST)


def mask(text: str) -> str:
    """Return `text` with every known secret, signed URL parameter and URL password replaced by `***`."""
    for value in sorted(_known, key=len, reverse=True):
        if value in text:
            text = text.replace(value, MASKED)
    if "://" in text or "=" in text:
        text = _IN_URLS.sub(lambda found: f"{found[1] or found[2]}{MASKED}{'@' if found[2] else ''}", text)
    return text
