"""Comparing a local file with the checksums that a server claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from faas_supervisor.storage._provider import ObjectInfo

__all__ = ["mismatch", "proven", "strongest"]

_PIECE: Final = 1024 * 1024

# One is enough, so the one that proves most comes first.
_BY_STRENGTH: Final = ("sha256", "sha1", "md5", "crc32", "adler32")


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Rolling:
    """adler32 and crc32 of zlib, shaped like the digests of hashlib."""

    def __init__(self, algorithm: str) -> None:
        import zlib  # noqa: PLC0415  # most stores have no checksums to compare

        self._step = zlib.adler32 if algorithm == "adler32" else zlib.crc32
        self._value = 1 if algorithm == "adler32" else 0

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def mismatch(file: Path, info: ObjectInfo) -> str:
    """Return how `file` differs from what the server said of the object, or "" when nothing does."""
    size = file.stat().st_size
    if size != info.size:
        return f"the local file has {size} bytes, the server's object {info.size}"
    claim = strongest(info)
    if claim is None:
        return ""
    algorithm, _, claimed = claim.partition(":")
    actual = _hash(file, algorithm)
    return "" if actual == claimed else f"{algorithm} is {actual} here and {claimed} on the server"


def proven(file: Path, info: ObjectInfo) -> bool:
    """Whether what the server said proves that the object holds what `file` holds: size and a checksum agree."""
    return strongest(info) is not None and not mismatch(file, info)


def strongest(info: ObjectInfo) -> str | None:
    """Return the most telling checksum that the server gave, as `algorithm:hexadecimal`, or None."""
    for algorithm in _BY_STRENGTH:
        if claimed := info.checksums.get(algorithm):
            return f"{algorithm}:{claimed.lower()}"
    return None


def _hash(file: Path, algorithm: str) -> str:
    digest: _Digest
    if algorithm in {"adler32", "crc32"}:
        digest = _Rolling(algorithm)
    else:
        import hashlib  # noqa: PLC0415  # as above

        digest = hashlib.new(algorithm, usedforsecurity=False)
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
