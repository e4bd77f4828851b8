"""A local file against what the server claims of the object."""

from __future__ import annotations

import hashlib
import zlib

import pytest

from faas_supervisor.storage import ObjectInfo
from faas_supervisor.storage._checksums import mismatch, strongest

CONTENT = b"some content, longer than nothing" * 50_000
SUMS = {
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "sha1": hashlib.sha1(CONTENT).hexdigest(),
    "md5": hashlib.md5(CONTENT).hexdigest(),
    "crc32": f"{zlib.crc32(CONTENT):08x}",
    "adler32": f"{zlib.adler32(CONTENT):08x}",
}


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return file


def info(checksums, size=None):
    return ObjectInfo("p", len(CONTENT) if size is None else size, checksums=checksums)


@pytest.mark.parametrize("algorithm", SUMS)
def test_a_right_checksum_is_no_difference(file, algorithm):
    assert mismatch(file, info({algorithm: SUMS[algorithm]})) == ""
    assert mismatch(file, info({algorithm: SUMS[algorithm].upper()})) == ""


@pytest.mark.parametrize("algorithm", SUMS)
def test_a_wrong_one_is_told_with_both_values(file, algorithm):
    wrong = "0" * len(SUMS[algorithm])
    assert (
        mismatch(file, info({algorithm: wrong})) == f"{algorithm} is {SUMS[algorithm]} here and {wrong} on the server"
    )


def test_another_size_is_told_first(file):
    told = mismatch(file, info(SUMS, size=5))
    assert told == f"the local file has {len(CONTENT)} bytes, the server's object 5"


@pytest.mark.parametrize("checksums", [{}, {"etag": "x"}, {"md5": ""}, {"blake3": "00"}])
def test_what_the_server_does_not_tell_is_not_compared(file, checksums):
    assert mismatch(file, info(checksums)) == ""
    assert strongest(info(checksums)) is None


def test_the_strongest_of_several_decides(file):
    assert mismatch(file, info(SUMS | {"adler32": "00000000", "crc32": "00000000"})) == ""
    assert "sha256" in mismatch(file, info(SUMS | {"sha256": "00"}))
    assert strongest(info(SUMS)) == f"sha256:{SUMS['sha256']}"


@pytest.mark.parametrize(("algorithm", "of_nothing"), [("crc32", "00000000"), ("adler32", "00000001")])
def test_an_empty_file_has_a_checksum_too(tmp_path, algorithm, of_nothing):
    empty = tmp_path / "empty"
    empty.touch()
    assert mismatch(empty, info({algorithm: of_nothing}, size=0)) == ""
