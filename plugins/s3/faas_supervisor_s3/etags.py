"""What an ETag may prove: the MD5 of the content, or, of an object that came in parts, the MD5 of its parts' MD5s.

A store makes other ETags too (with SSE-KMS, say). So one that fits proves that the bytes are the same, since nothing
else gives those digits; one that doesn't proves nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from faas_supervisor_s3.engine import MIB, part_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["fits"]

_SHAPE: Final = re.compile(r"([0-9a-f]{32})(?:-([0-9]{1,5}))?")


def fits(source: Path, etag: str) -> bool:
    """Whether `etag` is what a store gives to an object that holds what `source` holds, in parts as we send them."""
    shape = _SHAPE.fullmatch(etag)
    if shape is None:
        return False
    digest, parts = shape.groups()
    size = source.stat().st_size
    part = part_size(size) if parts else max(size, 1)
    if parts and int(parts) != -(-size // part):
        return False
    found = b"".join(_digests(source, part))
    return (hashlib.md5(found, usedforsecurity=False).digest() if parts else found).hex() == digest


def _digests(source: Path, part: int) -> Iterator[bytes]:
    """Yield the MD5 of each `part` bytes of the file; of nothing, if it is empty."""
    with source.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for _ in range(max(1, -(-size // part))):
            digest, left = hashlib.md5(usedforsecurity=False), part
            while left and (piece := file.read(min(left, MIB))):
                digest.update(piece)
                left -= len(piece)
            yield digest.digest()
