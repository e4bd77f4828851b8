"""The archives of the frozen folder: zip, tar, and the bare file. The same folder gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import tarfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from native import static_program

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["make_bare", "make_sums", "make_tar", "make_zip"]

_MAGIC: Final = b"supervisor-bare\n"


def make_zip(folder: Path, destination: Path, epoch: int) -> None:
    """Pack `folder`, with the modes of its files, so that any unzip, busybox's too, gives them back."""
    date = time.gmtime(max(epoch, 315532800))[:6]  # a zip archive knows no time before 1980
    with zipfile.ZipFile(destination, "w") as archive:
        for path, name in _walk(folder):
            info = zipfile.ZipInfo(f"{name}/" if path.is_dir() else name, date)
            info.create_system = 3  # Unix: the mode below counts
            info.external_attr = path.stat().st_mode << 16
            if path.is_dir():
                info.external_attr |= 0x10  # as MS-DOS marks a folder
                archive.writestr(info, b"")
            else:
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes(), compresslevel=9)


def make_tar(folder: Path, epoch: int) -> bytes:
    """Return `folder` as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, name in _walk(folder):
            info = tarfile.TarInfo(name)
            info.mode = stat.S_IMODE(path.stat().st_mode)
            info.mtime = epoch
            if path.is_dir():
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = path.stat().st_size
                with path.open("rb") as stream:
                    archive.addfile(info, stream)
    return buffer.getvalue()


def make_bare(folder: Path, destination: Path, epoch: int) -> None:
    """Make the one file that unpacks `folder` and starts it: bare.c, the archive, the trailer."""
    static_program(Path(__file__).with_name("bare.c"), destination)
    archive = make_tar(folder, epoch)
    program = destination.read_bytes()
    digest = hashlib.sha256(archive).hexdigest()[:32].encode()
    trailer = _MAGIC + digest + struct.pack("=QQ", len(program), len(archive))
    destination.write_bytes(program + archive + trailer)
    destination.chmod(0o755)


def make_sums(folder: Path) -> None:
    """Write SHA256SUMS for what is released of `folder`: not the frozen folder itself, which is in the archives."""
    lines = []
    for path, _ in _walk(folder):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in {"supervisor", "arm64"} and name.name != "SHA256SUMS":
            with path.open("rb") as stream:
                lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {name}\n")
    (folder / "SHA256SUMS").write_text("".join(lines))


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield `folder` and all below it, sorted, with names that begin with its own."""
    for path in (folder, *sorted(folder.rglob("*"))):
        yield path, os.fspath(path.relative_to(folder.parent))
