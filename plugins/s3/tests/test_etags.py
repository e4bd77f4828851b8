"""An ETag proves something only where it is the MD5 of the bytes, or of their parts' MD5s."""

from __future__ import annotations

import hashlib

import pytest

from faas_supervisor_s3.engine import MIB, PART
from faas_supervisor_s3.etags import fits


def md5(data):
    return hashlib.md5(data, usedforsecurity=False)


@pytest.fixture
def source(tmp_path):
    def made(content):
        file = tmp_path / "file"
        file.write_bytes(content)
        return file

    return made


@pytest.mark.parametrize("content", [b"", b"x", bytes(MIB), bytes(2 * MIB + 1)], ids=len)
def test_that_of_one_request_is_the_md5(source, content):
    assert fits(source(content), md5(content).hexdigest())
    assert not fits(source(content), md5(content + b"y").hexdigest())


@pytest.mark.parametrize("size", [PART, 2 * PART, 2 * PART + 1], ids=str)
def test_that_of_parts_is_the_md5_of_their_md5s(source, size):
    content = bytes(size)
    parts = [md5(content[start : start + PART]).digest() for start in range(0, size, PART)]
    etag = f"{md5(b''.join(parts)).hexdigest()}-{len(parts)}"
    assert fits(source(content), etag)
    assert not fits(source(content[:-1] + b"y"), etag)


@pytest.mark.parametrize("etag", ["", "abc", "0" * 32, f"{'0' * 32}-1", f"{'0' * 32}-99999", "x" * 32, f"{'0' * 32}-"])
def test_any_other_proves_nothing(source, etag):
    assert not fits(source(b"content"), etag)
