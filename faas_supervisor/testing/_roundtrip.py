"""What was uploaded is what is downloaded, and what the provider says about it is true."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Final

import pytest

from faas_supervisor.storage import ObjectRef
from faas_supervisor.testing._base import ContractBase
from faas_supervisor.testing._rig import Recorder, Rig, content, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from faas_supervisor.storage import ObjectInfo

__all__ = ["RoundTrip"]

_SIZES: Final[dict[str, Callable[[int], int]]] = {
    "empty": lambda part: part * 0,
    "one byte": lambda _part: 1,
    "a part less one": lambda part: part - 1,
    "a part": lambda part: part,
    "a part and one": lambda part: part + 1,
    "three parts and one": lambda part: 3 * part + 1,
}

_READ_ONLY: Final = 0o440

_CHECKSUMS: Final[dict[str, Callable[[bytes], str]]] = {
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "crc32": lambda data: f"{zlib.crc32(data):08x}",
    "adler32": lambda data: f"{zlib.adler32(data):08x}",
}


class RoundTrip(ContractBase):
    """Bytes come back as they went, and the provider says the truth about them."""

    @pytest.mark.parametrize("size", _SIZES.values(), ids=_SIZES.keys())
    def test_bytes_come_back_as_they_went(self, rig: Rig, size: Callable[[int], int]) -> None:
        """An object of any size is downloaded as it was uploaded."""
        data = content(size(self.part_size))
        uploading, downloading = Recorder(), Recorder()

        sent = rig.upload("folder/object", data, uploading)
        received, info = rig.download("folder/object", downloading)

        require(received == data, "download must write exactly the bytes that were uploaded", len(received))
        require(sent.size == len(data), "upload must return the size that the store now has", sent)
        require(info.size == len(data), "download must return the size of the object", info)
        require(sent.path == info.path == rig.path("folder/object"), "ObjectInfo.path is the caller's path", info)
        _require_true_checksums(rig, (sent, info), data)
        _require_good_progress(uploading, len(data))
        _require_good_progress(downloading, len(data))
        require(rig.leftovers() == [], "download must leave no file but `destination`", rig.leftovers())

    def test_stat_says_what_upload_and_list_say(self, rig: Rig) -> None:
        """`stat`, `list`, `upload` and `download` agree about an object."""
        data = content(1000)
        sent = rig.upload("folder/object", data)
        _, received = rig.download("folder/object")
        asked = rig.provider.stat(rig.path("folder/object"))
        (listed,) = rig.provider.list(rig.path("folder"))

        for info in (sent, received, asked, listed):
            require(info.path == rig.path("folder/object"), "ObjectInfo.path is the caller's path", info)
            require(info.size == len(data), "ObjectInfo.size is the number of bytes in the object", info)
            require(
                info.modified is None or info.modified.tzinfo is not None, "ObjectInfo.modified has a time zone", info
            )
        etags = {info.etag for info in (sent, received, asked, listed)} - {None}
        require(len(etags) <= 1, "the etag of an object is the same whoever tells it", etags)
        _require_true_checksums(rig, (sent, received, asked, listed), data)

    def test_upload_leaves_its_source_as_it_is(self, rig: Rig) -> None:
        """The bytes and the mode of the uploaded file stay; the source may be read-only."""
        source = rig.local("source")
        source.write_bytes(b"as it is")
        source.chmod(_READ_ONLY)

        rig.provider.upload(source, rig.path("object"), Recorder())

        require(source.read_bytes() == b"as it is", "upload must not change its source")
        require(source.stat().st_mode & 0o777 == _READ_ONLY, "upload must not change the mode of its source")

    def test_a_download_has_the_mode_of_any_new_file(self, rig: Rig) -> None:
        """The script, maybe another user, must be able to read what `download` wrote."""
        rig.upload("object", b"readable")
        ordinary, destination = rig.local("ordinary"), rig.local("destination")
        ordinary.touch()

        rig.provider.download(ObjectRef(rig.path("object")), destination, Recorder())

        mode = destination.stat().st_mode & 0o777
        require(
            mode == ordinary.stat().st_mode & 0o777, "a downloaded file has the mode that the umask gives", oct(mode)
        )


def _require_true_checksums(rig: Rig, infos: tuple[ObjectInfo, ...], data: bytes) -> None:
    declared = rig.provider.capabilities.checksums
    for info in infos:
        require(set(info.checksums) <= declared, "`capabilities.checksums` must name every algorithm used", info)
        for algorithm, value in info.checksums.items():
            if algorithm in _CHECKSUMS:
                right = _CHECKSUMS[algorithm](data)
                require(value == right, f"ObjectInfo.checksums must hold the {algorithm} of the content", info)


def _require_good_progress(progress: Recorder, size: int) -> None:
    require(len(progress.totals) == 1, "Progress.start must be called once in each transfer", progress.totals)
    require(progress.totals[0] in {size, None}, "Progress.start must be told the size of the object", progress.totals)
    require(progress.moved_before_start == 0, "Progress.start must be called before any Progress.advance")
    require(progress.moved == size, "the calls of Progress.advance must add up to the size", progress.moved)
