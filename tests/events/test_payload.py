"""Events that nobody knows: the bytes are the input, base64 is decoded, words are not."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.events import PAYLOAD_NAME, decode


def content(body: bytes) -> bytes:
    event = decode(body)
    (record,) = event.records
    assert event.type == "unknown"
    assert event.skipped is None
    assert event.raw == body
    assert (record.name, record.provider, record.path, record.key) == (PAYLOAD_NAME, None, None, None)
    assert record.size == len(record.data)
    return record.data


PLAIN = {
    "empty": b"",
    "blank": b" \n",
    "four letters": b"abcd",
    "word": b"test",
    "hexadecimal word": b"deadbeef",
    "word with digits": b"hello123",
    "word that decodes to readable text": b"file",
    "name that decodes to readable text": b"Jill",
    "upper case": b"YES!",
    "upper case that could be ABC": b"QUJD",
    "long word": b"incomprehensibilities",
    "camel case": b"helloWorldAgain1",
    "sentence": b"the quick brown fox jumps over the lazy dog",
    "two words of four letters": b"more data",
    "lines of four letters": b"more\ndata\nhere\n",
    "number": b"12345678",
    "long number": b"12345678901234567890123456789012",
    "digest": b"d41d8cd98f00b204e9800998ecf8427e",
    "digest in upper case": b"D41D8CD98F00B204E9800998ECF8427E",
    "SHA-256": b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "UUID": b"2f1e4fc0-81fd-4d27-9a9b-0c8b5c7d1e2f",
    "bases": b"ACGT" * 30,
    "bases in lines": (b"ACGT" * 15 + b"\n") * 4,
    "amino acids": b"MKVLAAGIVGLCAKAYAEPTWDRKLQHSNFYE" * 3,
    "key with equals sign": b"foo=",
    "form": b"name=value&b=2==",
    "not canonical": b"aGVsbG9=",
    "not padded": b"aGVsbG8",
    "padded too much": b"aGVsbG8==",
    "padded in the middle": b"aGVsbG8=aGVsbG8=",
    "URL alphabet": base64.urlsafe_b64encode(b"\xfb\xff\xfe" * 20),
    "base64 with a sign": b"aGVsbG8gd29ybGQ!",
    "base64 in narrow lines": b"SGVs\nbG8s\nIHdv\ncmxk",
    "base64 in uneven lines": b"\n".join(base64.b64encode(b"text " * n) for n in (12, 6, 12)),
    "data URL": b"data:text/plain;base64,aGVsbG8=",
    "PNG": b"\x89PNG\r\n\x1a\n\x00",
    "NUL": b"\0",
    "not UTF-8": b"\xff\xfe\xfa",
    "UTF-16": "text".encode("utf-16"),
    "JSON object": b'{"b": 1,\n "a":  2}',
    "JSON string": b'"abc"',
    "JSON string of base64": b'"aGVsbG8="',
    "JSON number": b"5",
    "JSON null": b"null",
    "JSON array": b"[1,2]",
    "JSON with the same key twice": b'{"a":1,"a":2}',
    "JSON lines": b'{"a":1}\n{"a":2}\n{"a":3}\n',
    "broken JSON": b'{"a":',
    "no delegation": b'{"event":"concert"}',
    "oscar-batch": b'{"start": 0, "end": 10}',
    "oscar-batch archive": b'{"zip_file": "frames.zip"}',
    "records of something else": b'{"Records":[{"title":"Kind of Blue"}]}',
    "no records": b'{"Records":[]}',
    "records that are no list": b'{"Records":{"eventSource":"minio:s3"}}',
    "huge number": b'{"a":' + b"9" * 5000 + b"}",
    "deep JSON": b"[" * 100_000,
    "deep JSON that ends": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "not a number": b'{"a": NaN}',
    "surrogate": b'{"a": "\\ud800"}',
}


@pytest.mark.parametrize("body", PLAIN.values(), ids=PLAIN)
def test_these_bytes_stay_as_they_are(body):
    assert content(body) == body


ENCODED = {
    "hello": b"hello",
    "one digit": b"1",
    "three letters": b"abc",
    "word": b"yes",
    "three digits": b"123",
    "two letters": b"hi",
    "text": b"The quick brown fox.\n",
    "capitals": b"HELLO WORLD!",
    "umlauts": "Grüße aus Köln".encode(),
    "Chinese": "你好世界".encode(),
    "JSON": b'{"a": 1}',
    "lines": b"a\tb\r\nc\n",
    "four bytes": b"\0\1\2\3",
    "numbers": bytes(range(256)),
    "zeroes": bytes(1000),
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10",
    "PNG": b"\x89PNG\r\n\x1a\n\x00",
    "ZIP": b"PK\x03\x04\x14\x00\x00\x00\x08",
    "WAV": b"RIFF\x24\x08\x00\x00WAVEfmt ",
    "Latin 1 text": "Straße nach Überall, ein schöner Weg".encode("latin-1"),
    "random": os.urandom(300),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED)
def test_base64_is_decoded(data):
    assert content(base64.b64encode(data)) == data


@pytest.mark.parametrize("data", [b"text " * 40, bytes(range(256))], ids=["text", "binary"])
@pytest.mark.parametrize("gap", [b"\n", b"\r\n", b" "], ids=["lines", "DOS lines", "blanks, as echo leaves them"])
def test_base64_in_lines_is_decoded(data, gap):
    assert content(gap.join(base64.encodebytes(data).split())) == data
    assert content(base64.encodebytes(data)) == data


def test_only_one_layer_of_base64_is_taken_off():
    once = base64.b64encode(b"some text")
    assert content(base64.b64encode(once)) == once


@given(st.binary(min_size=48).filter(lambda data: len(set(data)) > 24))
def test_every_file_of_some_size_can_be_sent_as_base64(data):
    assert content(base64.b64encode(data)) == data


@given(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=11).map(str.encode))
def test_no_word_is_taken_for_base64(word):
    for written in (word, word.capitalize(), word.upper(), word + b"2"):
        assert content(written) == written


@given(st.lists(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzABC123"), min_size=1, max_size=12), min_size=2))
def test_no_text_of_words_is_taken_for_base64(words):
    body = " ".join(words).encode()
    assert content(body) == body


def test_what_is_too_large_for_an_event_is_data():
    body = b'{"Records":[{"eventSource":"minio:s3"}],"filler":"' + b"x" * 2**24 + b'"}'
    assert content(body) == body
