"""Values that must never be seen: the `Secret` type and the mask that every output passes."""

from __future__ import annotations

import base64
import json
import re
from typing import Final

__all__ = ["Secret", "mask", "masked", "remember"]

MASKED: Final = "***"

# Shorter values would blot out ordinary words; no store hands out credentials of three characters.
_SHORTEST: Final = 4

# The longest first, so that no part of a secret stays when a shorter one is in it.
_known: list[str] = []

_URL_SAFE: Final = str.maketrans("+/", "-_")

# What signed URLs carry, and who signs in. The values are not known beforehand, so they are found by their places.
# The scheme has a bound, since looking for one at every point of "a.a.a.a" takes quadratic time.
_IN_URLS: Final = re.compile(
    r"""(?ix)
    ( [?&](?:x-amz-signature|x-amz-credential|x-amz-security-token|signature|authz|access_token)= )[^&\s"'<>]+
    | ( \b[a-z][a-z0-9+.-]{0,20}:// )[^/?\#\s"'<>]*@
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
    """Have `mask` hide `value` and the forms in which it is written into headers, URLs, JSON and messages."""
    if len(value) < _SHORTEST:
        return
    from urllib.parse import quote, quote_plus  # noqa: PLC0415  # 2 ms that a run without secrets need not take

    raw = value.encode("utf-8", "surrogatepass")
    forms = {value, quote(raw, safe=""), quote(raw), quote_plus(raw), repr(value)[1:-1]}
    forms.update(json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    # Inside a longer base64 text (a whole configuration, "user:password") only the middle of the
    # value's encoding is the same; it depends on where the value begins, so there are three of them.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode("ascii")
        start, end = (0, 2, 3)[shift], len(encoded) - (0, 3, 2)[(shift + len(raw)) % 3]
        forms.update((encoded[start:end], encoded[start:end].translate(_URL_SAFE)))
    forms.add(base64.b64encode(raw).decode("ascii"))
    _known.extend(form for form in forms.difference(_known) if len(form) >= _SHORTEST)
    _known.sort(key=len, reverse=True)


def mask(text: str) -> str:
    """Return `text` with every known secret, signed URL parameter and URL user replaced by `***`."""
    for value in _known:
        if value in text:
            text = text.replace(value, MASKED)
    if "://" in text or "=" in text:
        text = _IN_URLS.sub(lambda found: f"{found[1] or found[2]}{MASKED}{'@' if found[2] else ''}", text)
    return text


def masked(document: object) -> object:
    """Return a JSON `document` with its texts masked. Masking the JSON itself could leave something else than JSON."""
    if isinstance(document, dict):
        return {key: masked(value) for key, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [masked(value) for value in document]
    if document is None or isinstance(document, (bool, int, float)):
        return document
    return mask(str(document))
