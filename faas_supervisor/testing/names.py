"""Names that have broken storage clients before. The ids are what `refused_names` speaks of."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DISTINCT", "NAMES", "OPAQUE_NAMES"]

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "plain": "plain.txt",
        "blank": "a b",
        "plus": "a+b",
        "hash": "a#b",
        "question mark": "a?b=c&d",
        "encoded blank": "a%20b",
        "lone percent": "100%",
        "encoded letter": "%48",
        "encoded slash": "a%2Fb",
        "backslash": "a\\b",
        "quotes": "'a' \"b\" `c`",
        "brackets": "[a] {b} (c) <d>",
        "punctuation": "!$*,;:@=&|~^",
        "colon": "C:a",
        "leading blank": " a",
        "trailing blank": "a ",
        "leading dot": ".a",
        "trailing dot": "a.",
        "leading tilde": "~a",
        "leading dash": "-a",
        "emoji": "\N{GRINNING FACE}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}",
        "composed": "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
        "decomposed": "cafe\N{COMBINING ACUTE ACCENT}",
        "right to left": "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}",
        "no-break blank": "a\N{NO-BREAK SPACE}b",
        "tab": "a\tb",
        "trailing line feed": "a\n",
        "leading carriage return": "\ra",
        "control characters": "a\x01\x1f\x7fb",
        "255 bytes": "n" * 255,
        "255 bytes of letters": "\N{LATIN SMALL LETTER E WITH ACUTE}" * 127 + "n",
        "20 folders": "/".join(f"folder{n}" for n in range(20)) + "/file",
    }
)
"""Names that every store should hold."""

OPAQUE_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "empty segment": "a//b",
        "dot segment": "a/./b",
        "dot-dot segment": "a/../b",
        "leading slash": "/a",
        "not unicode": "a\udcffb",
    }
)
"""Names of which only stores with opaque keys can hold some; the core keeps them from all others."""

DISTINCT: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "blank or its code": ("a b", "a%20b"),
        "blank or plus": ("a b", "a+b"),
        "slash or its code": ("a/b", "a%2Fb"),
        "one blank or two": ("a b", "a  b"),
        "trailing blank or none": ("a", "a "),
        "letter or its code": ("H", "%48"),
        "file or beginning of a name": ("a/b", "a/bc"),
        "composed or decomposed": ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"),
        "capital or not": ("A", "a"),
    }
)
"""Pairs of names that are two objects."""
