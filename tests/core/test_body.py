"""Bodies in files: small ones are events as ever, large ones stay on disk."""

from __future__ import annotations

import base64
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.body import decoded
from faas_supervisor.errors import EventError
from faas_supervisor.events import LARGEST, decode
from faas_supervisor.events._payload import payload
from faas_supervisor.events._text import Base64Text, NotBase64

MIB = 1024 * 1024


def event_of(file, headers=None):
    return decoded(file, headers or {}, lambda *_: None)


def in_pieces(text, cuts):
    """What the streaming decoder makes of `text`, given in pieces; the text itself where it is no base64."""
    decoder, parts, at = Base64Text(), [], 0
    try:
        for cut in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
            parts.append(decoder.feed(text[at:cut]))
            at = cut
        return b"".join(parts) if decoder.end() else text
    except NotBase64:
        return text


class TestText:
    """The streaming decoder follows the rule of `payload`, wherever the pieces end."""

    @given(st.binary(min_size=24, max_size=300), st.sampled_from([0, 60, 61, 64, 76]), st.lists(st.integers(0, 999)))
    def test_what_is_base64(self, data, width, cuts):
        text = base64.b64encode(data)
        if width:
            text = b"\n".join(text[at : at + width] for at in range(0, len(text), width)) + b"\n"
        assert in_pieces(text, cuts) == payload(text)

    @given(
        st.text("AaZz09+/=\n ", min_size=32, max_size=200).map(str.encode) | st.binary(min_size=32, max_size=99),
        st.lists(st.integers(0, 999)),
    )
    def test_what_may_not_be(self, text, cuts):
        words = text.split()
        if sum(map(len, words)) >= 32:
            assert in_pieces(text, cuts) == payload(text)


class TestSmall:
    @pytest.mark.parametrize("body", [b"", b"text", base64.b64encode(b"\x89PNG more"), b'{"a": 1}'])
    def test_is_what_its_bytes_are(self, tmp_path, body):
        (tmp_path / "body").write_bytes(body)
        assert event_of(tmp_path / "body") == decode(body)

    def test_one_that_cant_be_read_is_an_error(self, tmp_path):
        with pytest.raises(EventError, match="can't be read"):
            event_of(tmp_path / "none")


@pytest.fixture(scope="module")
def data():
    return random.Random(1).randbytes(LARGEST + 3 * MIB + 1)


class TestLarge:
    def test_stays_in_its_file(self, tmp_path, data):
        (tmp_path / "body").write_bytes(data)
        (record,) = event_of(tmp_path / "body").records
        assert (record.file, record.data, record.size) == (tmp_path / "body", None, len(data))
        assert [file.name for file in tmp_path.iterdir()] == ["body"]

    @pytest.mark.parametrize("encode", [base64.b64encode, base64.encodebytes], ids=["one line", "lines of 76"])
    def test_base64_is_decoded_into_another_one(self, tmp_path, data, encode):
        (tmp_path / "body").write_bytes(encode(data))
        (record,) = event_of(tmp_path / "body").records
        assert record.file.read_bytes() == data
        assert record.size == len(data)
        assert [file.name for file in tmp_path.iterdir()] == ["body.decoded"], "the encoded one still takes room"

    def test_what_only_begins_like_base64_stays(self, tmp_path, data):
        text = base64.b64encode(data) + b"!"
        (tmp_path / "body").write_bytes(text)
        (record,) = event_of(tmp_path / "body").records
        assert record.file.read_bytes() == text
        assert [file.name for file in tmp_path.iterdir()] == ["body"]

    def test_headers_of_a_cloudevent_are_heeded_and_its_data_is_not_decoded(self, tmp_path, data):
        (tmp_path / "body").write_bytes(base64.b64encode(data))
        headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/s", "ce-type": "t", "ce-color": "red"}
        event = event_of(tmp_path / "body", headers)
        assert (event.id, event.variables["CE_COLOR"]) == ("7", "red")
        assert event.records[0].file == tmp_path / "body"

    def test_memory_does_not_grow_with_it(self, tmp_path):
        """Measured in a process of its own, whose peak nobody else has raised."""
        with (tmp_path / "body").open("wb") as stream:
            for _ in range(256):
                stream.write(base64.b64encode(random.randbytes(3 * MIB // 4)))
        code = (
            "import sys, pathlib; from faas_supervisor.body import decoded\n"
            "pathlib.Path('/proc/self/clear_refs').write_text('5')\n"  # forget the peak, which was our parent's
            "decoded(pathlib.Path(sys.argv[1]), {}, lambda *_: None)\n"
            "print(pathlib.Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        )
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "body"], capture_output=True, check=True)
        assert int(done.stdout) * 1024 < 100 * MIB
