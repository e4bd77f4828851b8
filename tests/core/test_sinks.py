"""Sinks for the script's output."""

from __future__ import annotations

import errno
from contextlib import closing

import pytest

from faas_supervisor.sinks import FileSink, Tee


class Grudging:
    """A stream that takes three bytes at a time, as on a disk that is nearly full."""

    def __init__(self, *, refuses=False):
        self.taken = b""
        self.refuses = refuses

    def write(self, data):
        if self.refuses and self.taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken += bytes(data[:3])
        return min(3, len(data))

    def close(self):
        if self.refuses:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")


@pytest.fixture
def on(tmp_path):
    """A sink on a stream in the place of its file."""

    def make(stream):
        sink = FileSink(tmp_path / "output")
        sink.close()
        sink._stream = stream
        return sink

    return make


def test_a_file_gets_everything_in_its_order(tmp_path):
    with closing(FileSink(tmp_path / "output")) as sink:
        sink.write(b"one\n")
        sink.write(b"\xff\0")
    assert (sink.file.read_bytes(), sink.failed) == (b"one\n\xff\0", None)


def test_a_file_that_takes_a_part_at_a_time_gets_everything(on):
    """A short write is no error, and must lose nothing."""
    stream = Grudging()
    sink = on(stream)
    sink.write(b"0123456789")
    assert (stream.taken, sink.failed) == (b"0123456789", None)


def test_what_comes_after_a_full_disk_is_dropped(on):
    stream = Grudging(refuses=True)
    sink = on(stream)
    sink.write(b"0123456789")
    failed = sink.failed
    stream.refuses = False
    sink.write(b"and more")
    assert (stream.taken, failed.errno) == (b"012", errno.ENOSPC)
    assert sink.failed is failed


def test_a_full_disk_that_is_told_at_the_end_is_noted(on):
    sink = on(Grudging(refuses=True))
    sink.close()
    assert sink.failed.errno == errno.EDQUOT


def test_a_file_that_can_not_be_made_is_noted(tmp_path):
    with closing(FileSink(tmp_path / "missing" / "output")) as sink:
        sink.write(b"x")
    assert sink.failed.errno == errno.ENOENT


def test_a_tee_gives_to_all(tmp_path):
    class Broken:
        def write(self, _data):
            raise RuntimeError

    kept = FileSink(tmp_path / "output")
    with closing(kept), pytest.raises(RuntimeError):
        Tee(kept, Broken()).write(b"kept, whatever comes of the next one")
    assert kept.file.read_bytes().startswith(b"kept")
