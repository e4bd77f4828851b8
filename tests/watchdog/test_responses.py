"""What a script sets by response.json, as it arrives at a client: never more than one well-formed answer."""

from __future__ import annotations

import json

import pytest

from tests.watchdog.support import started

# The request's body is the response.json; the answer has as many bytes as its query says.
SCRIPT = """#!/bin/sh
cp "$INPUT_FILE_PATH" "$RESPONSE_META"
head -c "$Http_Query" /dev/zero | tr '\\000' x
"""


@pytest.fixture(scope="module")
def watchdog(tmp_path_factory):
    with started(tmp_path_factory.mktemp("responses"), in_process=True, script=SCRIPT) as watchdog:
        yield watchdog


@pytest.fixture
def ask(watchdog):
    """Have the script set a response, and return the answer as it came: status, headers, the stream of the rest."""
    with watchdog.connected() as connection, connection.makefile("rb") as stream:

        def say(response, size=5, version="1.1"):
            text = json.dumps(response).encode()
            head = f"POST /?{size} HTTP/{version}\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
            connection.sendall(head.encode() + text)
            status = int(stream.readline().split()[1])
            headers = []
            while (line := stream.readline()) != b"\r\n":
                assert line.endswith(b"\r\n")
                headers.append(line.decode().rstrip("\r\n").split(": ", 1))
            return status, headers, stream

        yield say


def values(headers, name):
    """All values of a header."""
    return [value for given, value in headers if given.lower() == name]


def chunks(stream):
    """Read a body in chunks to its end (RFC 9112, 7.1)."""
    pieces = []
    while size := int(stream.readline().removesuffix(b"\r\n"), 16):
        pieces.append(stream.read(size))
        assert stream.readline() == b"\r\n"
    assert stream.readline() == b"\r\n"
    return b"".join(pieces)


class TestChunks:
    @pytest.mark.parametrize("size", [0, 5, 300_000])
    @pytest.mark.parametrize("header", [("Transfer-Encoding", "chunked"), ("transfer-encoding", " Chunked ")])
    def test_are_sent_when_the_script_asks_for_them_and_the_connection_goes_on(self, ask, header, size):
        for _ in range(2):
            status, headers, stream = ask({"headers": dict([header])}, size)
            assert (status, values(headers, "content-length")) == (200, [])
            assert [value.lower() for value in values(headers, "transfer-encoding")] == ["chunked"]
            assert chunks(stream) == b"x" * size

    @pytest.mark.parametrize("size", [5, 300_000])
    def test_are_nothing_for_a_client_of_http_1_0(self, ask, size):
        _, headers, stream = ask({"headers": {"Transfer-Encoding": "chunked"}}, size, "1.0")
        assert values(headers, "transfer-encoding") == []
        assert values(headers, "content-length") == [str(size)]
        assert stream.read() == b"x" * size

    @pytest.mark.parametrize("status", [204, 304])
    def test_are_nothing_where_there_is_no_body(self, ask, status):
        for _ in range(2):
            said, headers, _ = ask({"status": status, "headers": {"Transfer-Encoding": "chunked"}})
            assert (said, values(headers, "transfer-encoding")) == (status, [])


class TestHarm:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-A", "a\r\nSet-Cookie: evil=1"),
            ("X-A", "a\nSet-Cookie: evil=1"),
            ("X-A", "a\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: evil=1\r\n\r\n"),
            ("X-A", "a\0"),
            ("X-A", "\x7f"),
            ("X-A", "\x0b"),
            ("X-A", "\x85Set-Cookie: evil=1"),
            ("X-A", "\u010a\u010dSet-Cookie: evil=1"),
            ("X-A", "\ud800"),
            ("X-A", "x" * 8193),
            ("X-A\r\nSet-Cookie", "evil=1"),
            ("X-A: 1\r\nSet-Cookie", "evil=1"),
            ("X A", "a"),
            ("X-A ", "a"),
            ("(X)", "a"),
            ("\u212aeep-Alive", "a"),
            ("x" * 257, "a"),
            ("Content-Length", "1"),
            ("content-length", "5"),
            ("Content-Length", "99999999999999999999"),
            ("Connection", "close"),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Keep-Alive", "timeout=1000"),
            ("Trailer", "Set-Cookie"),
            ("Transfer-Encoding", "identity"),
            ("Transfer-Encoding", "chunked, chunked"),
            ("Transfer-Encoding", ""),
        ],
        ids=lambda text: ascii(text[:30]),
    )
    def test_a_header_that_could_break_an_answer_is_a_failure_and_the_connection_goes_on(self, ask, name, value):
        for header in ({name: value}, {"X-B": "b"}):
            status, headers, stream = ask({"headers": header})
            (length,) = values(headers, "content-length")
            body = stream.read(int(length))
            assert values(headers, "set-cookie") == values(headers, "connection") == []
            if name in header:
                assert status == 500
                assert body.startswith(b"exit status 119\n")
                assert b"response.json" in body
        assert (status, values(headers, "x-b"), body) == (200, ["b"], b"xxxxx")

    @pytest.mark.parametrize("status", [100, 101, 199, 600, -200, 1e400, "200\r\n", None])
    def test_so_is_a_status_that_is_none_of_an_answer(self, ask, status):
        assert ask({"status": status})[0] == 500

    @pytest.mark.parametrize(
        "value", ["", " ", "\t", " a", "a \t", "a\tb", "x" * 8192], ids=lambda text: ascii(text[:9])
    )
    def test_white_space_around_a_value_is_no_part_of_it(self, ask, value):
        status, headers, stream = ask({"headers": {"X-A": value}})
        assert (status, [text.strip() for text in values(headers, "x-a")]) == (200, [value.strip()])
        assert stream.read(5) == b"xxxxx"

    @pytest.mark.parametrize("name", ["date", "x-duration-seconds", "content-type", "CONTENT-TYPE"])
    def test_what_the_server_says_as_well_is_said_once(self, ask, name):
        _, headers, _ = ask({"headers": {name: "text/plain"}})
        assert len(values(headers, name.lower())) == 1
