"""An event that is nobody's notification: its data is the input, decoded when it is base64."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from faas_supervisor.events._model import PAYLOAD_NAME, Event, Record

if TYPE_CHECKING:
    from faas_supervisor.events._message import Message

__all__ = ["MAGIC", "NARROWEST_LINE", "payload", "unknown"]

NARROWEST_LINE: Final = 60
_SHORTEST_WORD: Final = 12
_SHORTEST_PADDED: Final = 8
_SHORTEST_BINARY: Final = 32

# How files begin that people send to functions: JPEG, PNG, GIF, PDF, ZIP, gzip, bzip2, xz, zstd, 7z, RIFF (WAV, WebP,
# AVI), Ogg, FLAC, MP3, TIFF, HDF5, NumPy, ELF.
MAGIC: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG",
    b"GIF8",
    b"%PDF",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf",
    b"RIFF",
    b"OggS",
    b"fLaC",
    b"ID3",
    b"II*\x00",
    b"MM\x00*",
    b"\x89HDF",
    b"\x93NUMPY",
    b"\x7fELF",
)


def unknown(message: Message) -> Event:
    """Return the event whose one record is the message's data, decoded when it is base64; empty data is a payload."""
    content = message.data if message.exact else payload(message.data)
    return Event("unknown", (Record(PAYLOAD_NAME, size=len(content), data=content),))


def payload(data: bytes) -> bytes:
    """Return what `data` means as a file: the decoded bytes of base64 text, else `data` itself.

    Clients send files as base64, but also plain text, and a word such as `test` is valid base64. So the text
    must be canonical (standard alphabet, padded, no spare bits, at most wrapped at 60 columns or more) and:

    - what it decodes to is readable text, and it does not look like a word or a number itself, or is longer
      than words are; or
    - what it decodes to begins like a well-known kind of file; or
    - it is padded and has 8 characters; or it has 32, upper and lower case and digits among them (hexadecimal
      digests have one case; sequences of bases and amino acids have no digits).
    """
    encoded = _on_one_line(data)
    if encoded is None:
        return data
    decoded = _canonical(encoded)
    return data if decoded is None or not _meant(encoded, decoded) else decoded


def _on_one_line(data: bytes) -> bytes | None:
    """Return `data` on one line, if it could be base64 by its length and by where its lines break."""
    lines = data.split()
    if not lines:
        return None
    width = len(lines[0])
    if len(lines) > 1:
        # Blanks count as line breaks: the shell turns one into the other.
        even = all(len(line) == width for line in lines[1:-1]) and len(lines[-1]) <= width
        if width < NARROWEST_LINE or width % 4 or not even:
            return None
    encoded = b"".join(lines)
    return None if len(encoded) % 4 else encoded


def _canonical(encoded: bytes) -> bytes | None:
    try:
        decoded = binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error:
        return None
    return decoded if base64.b64encode(decoded) == encoded else None


def _meant(encoded: bytes, decoded: bytes) -> bool:
    if decoded.startswith(MAGIC):
        return True
    if _readable(decoded):
        return len(encoded) >= _SHORTEST_WORD or not _word(encoded)
    if encoded.endswith(b"="):
        return len(encoded) >= _SHORTEST_PADDED
    return len(encoded) >= _SHORTEST_BINARY and _mixed(encoded)


def _readable(decoded: bytes) -> bool:
    try:
        return decoded.translate(None, b"\t\n\r\f").decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


def _word(encoded: bytes) -> bool:
    """Tell whether this is `word`, `Word`, `WORD`, with or without digits behind it, or digits alone."""
    letters = encoded.rstrip(b"0123456789")
    return not letters or (letters.isalpha() and (letters.islower() or letters.isupper() or letters.istitle()))


def _mixed(encoded: bytes) -> bool:
    return encoded.upper() != encoded != encoded.lower() and any(digit in encoded for digit in b"0123456789")
