"""What is kept of the script's output: its end, and all of it where that is wanted."""

from __future__ import annotations

import pytest

from faas_supervisor.recording import Recording, Tail
from faas_supervisor.secrets import Secret

MIB = 1024 * 1024


class Sink:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


def tail_of(*pieces, size=100):
    tail = Tail(size)
    for piece in pieces:
        tail.write(piece)
    return tail.text()


class TestTail:
    def test_what_fits_is_kept_as_it_is(self):
        assert tail_of(b"one\n", b"two") == "one\ntwo"

    def test_of_more_the_end_is_kept_from_a_line_on(self):
        lines = [b"line %04d\n" % number for number in range(5000)]
        text = tail_of(*lines)
        assert text.encode() == b"".join(lines[-10:])

    @pytest.mark.parametrize("piece", [1, 7, 4096, MIB], ids=str)
    def test_the_pieces_in_which_it_comes_are_no_matter(self, piece):
        data = b"".join(b"line %d\n" % number for number in range(3000))
        assert tail_of(*(data[at : at + piece] for at in range(0, len(data), piece))) == tail_of(data)

    def test_a_line_that_is_longer_than_all_of_it_is_cut(self):
        assert tail_of(b"x" * MIB) == "x" * 100

    def test_bytes_that_are_no_utf8_are_shown_as_such(self):
        assert tail_of(b"\xffa") == "\ufffda"

    def test_no_character_is_cut_in_two(self):
        assert set(tail_of("äöü".encode() * 3000, size=101)) <= set("äöü")

    def test_secrets_are_masked(self):
        Secret("hunter22")
        assert tail_of(b"the password is hunter22\n") == "the password is ***\n"

    @pytest.mark.parametrize("size", range(100, 116))
    def test_a_secret_that_the_cut_goes_through_is_masked_too(self, size):
        Secret("hunter22-and-more")
        text = tail_of(b"x" * 9000 + b"hunter22-and-more" + b"y" * 99, size=size)
        assert not set("huntermo2") & set(text)

    def test_of_nothing_nothing_is_kept(self):
        assert tail_of(b"abc", size=0) == ""

    def test_little_is_held_whatever_is_written(self):
        tail = Tail(100)
        for _ in range(100):
            tail.write(b"x" * MIB)
        assert len(tail._kept) < 20_000


class TestFiles:
    @pytest.fixture
    def recording(self, tmp_path):
        """Make a recording, and what it leads to."""

        def make(**options):
            sinks, warnings = (Sink(), Sink()), []
            given = {"tail": 100, "files": True, "warn": warnings.append, **options}
            return Recording(sinks, tmp_path, **given), sinks, warnings

        return make

    def test_each_stream_has_one_and_is_passed_on(self, recording):
        recorded, sinks, warnings = recording()
        with recorded:
            recorded.stdout.write(b"out\n\xff")
            recorded.stderr.write(b"err\n")
        assert [(file.name, file.read_bytes()) for file in recorded.files] == [
            ("stdout.log", b"out\n\xff"),
            ("stderr.log", b"err\n"),
        ]
        assert [sink.data for sink in sinks] == [b"out\n\xff", b"err\n"]
        assert recorded.tail() == "out\n\ufffderr\n"
        assert warnings == []

    def test_there_are_none_where_nobody_wants_them(self, recording, tmp_path):
        recorded, sinks, _ = recording(files=False)
        with recorded:
            recorded.stdout.write(b"out")
        assert (recorded.files, list(tmp_path.iterdir()), sinks[0].data) == ([], [], b"out")

    def test_a_full_disk_is_told_and_everything_is_passed_on(self, recording, tmp_path):
        (tmp_path / "stdout.log").symlink_to("/dev/full")
        recorded, sinks, warnings = recording()
        with recorded:
            for _ in range(3):
                recorded.stdout.write(b"out")
        assert sinks[0].data == b"out" * 3
        assert len(warnings) == 1
        assert "stdout.log is not complete: [Errno 28] No space left" in warnings[0]

    def test_a_file_that_can_not_be_made_is_told(self, recording, tmp_path):
        (tmp_path / "stderr.log").mkdir()
        recorded, _, warnings = recording()
        with recorded:
            recorded.stderr.write(b"err")
        assert "stderr.log is not complete: [Errno 21] Is a directory" in warnings[0]
