"""Base64 text that is too long to be held: decoded piece by piece, by the rule for shorter ones."""

from __future__ import annotations

import base64
import binascii
import codecs
from typing import Final

from faas_supervisor.events._payload import MAGIC, NARROWEST_LINE

__all__ = ["Base64Text", "NotBase64"]

_HEAD: Final = max(map(len, MAGIC))
_DIGITS: Final = b"0123456789"


class NotBase64(Exception):
    """The text is no base64."""


class Base64Text:
    """Decodes a long text piece by piece, holding no more than a piece.

    `faas_supervisor.events.payload` is the rule; this is the same for texts that are longer than a word.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._column = 0
        self._width: int | None = None
        self._last = False
        self._padded = False
        self._head = b""
        self._readable: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._kinds = {"upper": False, "lower": False, "digit": False}

    def feed(self, piece: bytes) -> bytes:
        """Return what the text decodes to as far as it is known by now.

        Raises:
            NotBase64: It is none.
        """
        text = self._rest + self._on_one_line(piece)
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        decoded = self._decoded(text[:whole])
        self._look_at(text, decoded)
        return decoded

    def end(self) -> bool:
        """Return whether the sender meant the text as base64, now that it is complete.

        Raises:
            NotBase64: It is none.
        """
        if self._column:
            self._break()
        if self._rest or self._width is None:
            raise NotBase64
        if self._head.startswith(MAGIC) or self._padded:
            return True
        return self._is_readable(b"", final=True) or all(self._kinds.values())

    def _on_one_line(self, piece: bytes) -> bytes:
        words = piece.split()
        if words and self._column and piece[:1].isspace():
            self._break()
        for word in words[:-1]:
            self._grow(word)
            self._break()
        for word in words[-1:]:
            self._grow(word)
        if self._column and piece[-1:].isspace():
            self._break()
        return b"".join(words)

    def _grow(self, word: bytes) -> None:
        if self._last or (self._width is not None and (self._width < NARROWEST_LINE or self._width % 4)):
            raise NotBase64
        self._column += len(word)

    def _break(self) -> None:
        """End a line: all have the same width, but the last one, which may be shorter."""
        if self._width is None:
            self._width = self._column
        elif self._column > self._width:
            raise NotBase64
        self._last = self._column < self._width
        self._column = 0

    def _decoded(self, text: bytes) -> bytes:
        if not text:
            return b""
        if self._padded:
            raise NotBase64
        try:
            decoded = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            raise NotBase64 from None
        self._padded = text.endswith(b"=")
        if self._padded and base64.b64encode(binascii.a2b_base64(text[-4:])) != text[-4:]:
            raise NotBase64  # bits that encode nothing are set
        return decoded

    def _look_at(self, text: bytes, decoded: bytes) -> None:
        if len(self._head) < _HEAD:
            self._head += decoded[:_HEAD]
        if self._readable is not None and not self._is_readable(decoded):
            self._readable = None
        if not all(self._kinds.values()):
            self._kinds["upper"] |= text != text.lower()
            self._kinds["lower"] |= text != text.upper()
            self._kinds["digit"] |= any(digit in text for digit in _DIGITS)

    def _is_readable(self, decoded: bytes, *, final: bool = False) -> bool:
        if self._readable is None:
            return False
        try:
            return self._readable.decode(decoded.translate(None, b"\t\n\r\f"), final).isprintable()
        except UnicodeDecodeError:
            return False
