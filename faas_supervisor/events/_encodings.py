"""Several events in one body, and events in base64, base32 or hexadecimal, as DCNiOS sends them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Final

from faas_supervisor.events._message import LARGEST, Wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor.events._message import Message

__all__ = ["array", "documents", "encoded"]

_BLANK: Final = " \t\r\n"
_BOM: Final = b" \t\r\n\xef\xbb\xbf"
_HEXADECIMAL: Final = b"0123456789abcdefABCDEF"
_BASE32: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567="

# Encoders that break lines do so here.
_WIDTHS: Final = (64, 76)


def array(message: Message) -> Wrapped | None:
    """Recognise a JSON array whose elements all are events."""
    elements = message.document
    if not isinstance(elements, list) or not elements or not all(isinstance(element, dict) for element in elements):
        return None
    return Wrapped("array", (message.holding(element) for element in elements), sure=False)


def documents(message: Message) -> Wrapped | None:
    """Recognise several JSON documents, one after the other, that all are events.

    They come in lines; `echo $EVENT` makes blanks of those.
    """
    if message.document is not None or len(message.data) > LARGEST:
        return None
    if message.data.lstrip(_BOM)[:1] not in {b"{", b"["}:
        return None
    try:
        text = message.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return Wrapped("documents", _documents(message, text), sure=False)


def encoded(message: Message) -> Wrapped | None:
    """Recognise one or several events in base64, base32 or hexadecimal."""
    if message.document is not None or not message.data.strip() or len(message.data) > LARGEST:
        return None
    return Wrapped("encoded", _decoded(message), sure=False)


def _documents(message: Message, text: str) -> Iterator[Message]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at] in _BLANK:
            at += 1
            continue
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield message.inside(b"")  # no event
            return
        yield message.inside(text[at:end])
        at = end


def _decoded(message: Message) -> Iterator[Message]:
    for word in _joined(message.data.split()):
        yield message.inside(_content(word))


def _joined(lines: list[bytes]) -> Iterator[bytes]:
    """Put together what was broken into lines: one of another width, or with padding, ends a text.

    Where a full line ends one, the next one is joined to it; decoded, these are two documents again.
    """
    text: list[bytes] = []
    for line in lines:
        text.append(line)
        if len(line) not in _WIDTHS or line.endswith(b"="):
            yield b"".join(text)
            text = []
    if text:
        yield b"".join(text)


def _content(word: bytes) -> bytes:
    """Return what `word` encodes; nothing if it encodes nothing, which is no event."""
    try:
        if len(word) % 2 == 0 and not word.translate(None, _HEXADECIMAL):
            return binascii.a2b_hex(word)
        if len(word) % 8 == 0 and not word.translate(None, _BASE32):
            return base64.b32decode(word)
        return binascii.a2b_base64(word, strict_mode=True)
    except binascii.Error:
        return b""
