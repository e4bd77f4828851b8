"""What a client, or the script, sees of a watchdog: a table of requests, for ours in both modes or for any other one.

`pytest tests/watchdog/test_conformance.py --watchdog-url http://127.0.0.1:8080` asks one that somebody has started
with `fprocess=tests/watchdog/probe.sh`; rows that need other settings are then left out.
"""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.watchdog.support import Client, answer, started

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Row:
    """A request, and what comes of it.

    Attributes:
        seen: Variables that the script must see; None for one that it must not.
        settings: Variables that the watchdog is started with.
        external: Whether it concerns programs only, not invocations in process.
    """

    name: str
    method: str = "GET"
    target: str = "/"
    body: Any = None
    sent: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    status: int = 200
    headers: Mapping[str, str | None] = field(default_factory=dict)
    answer: bytes | None = None
    seen: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    external: bool = False


def chunks(*pieces: bytes):
    return list(pieces)


ENV = "/?do=env"
TEXT = "text/plain; charset=utf-8"
ROWS = [
    *(
        Row(f"{method} runs the function", method, ENV, seen={"Http_Method": method})
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
    *(
        Row(f"{method} is not allowed", method, status=405, answer=b"")
        for method in ("HEAD", "OPTIONS", "TRACE", "PROPFIND", "get")
    ),
    Row("any path runs the function", "POST", "/a/b%20c/%C3%BC?do=env", seen={"Http_Path": "/a/b c/ü"}),
    Row(
        "a path below the health check's runs the function",
        "GET",
        "/_/health/x?do=env",
        seen={"Http_Path": "/_/health/x"},
    ),
    Row("the health check says OK", "GET", "/_/health", answer=b"OK", headers={"content-type": TEXT}),
    *(
        Row(f"the health check takes no {method}", method, "/_/health", status=405, answer=b"")
        for method in ("POST", "HEAD", "PUT", "DELETE")
    ),
    Row("the query is seen as it was sent", target="/?do=env&a=%20+b", seen={"Http_Query": "do=env&a=%20+b"}),
    Row(
        "the host is seen", target=ENV, sent={"Host": "function.example:81"}, seen={"Http_Host": "function.example:81"}
    ),
    Row(
        "headers are seen by their canonical names",
        target=ENV,
        sent={"x-FOO-bar": "1", "Ce-Id": "2", "X_under_Score": "3", "AUTHORIZATION": "Bearer t"},
        seen={"Http_X_Foo_Bar": "1", "Http_Ce_Id": "2", "Http_X_under_score": "3", "Http_Authorization": "Bearer t"},
    ),
    Row(
        "a header that looks like a proxy's is seen as any other",
        target=ENV,
        sent={"Proxy": "http://evil:1"},
        seen={"Http_Proxy": "http://evil:1", "HTTP_PROXY": None, "http_proxy": None},
    ),
    Row("a header can't pretend to be the method", target=ENV, sent={"Method": "PUT"}, seen={"Http_Method": "GET"}),
    Row(
        "the length of the body is seen, twice",
        "POST",
        ENV,
        body=b"12345",
        seen={"Http_Content_Length": "5", "Http_ContentLength": "5", "Http_Transfer_Encoding": None},
    ),
    Row("no body has the length 0", target=ENV, seen={"Http_Content_Length": "0", "Http_ContentLength": "0"}),
    Row(
        "a body in chunks has the length -1",
        "POST",
        ENV,
        body=chunks(b"123", b"45"),
        chunked=True,
        seen={"Http_Content_Length": "-1", "Http_ContentLength": "-1", "Http_Transfer_Encoding": "chunked"},
    ),
    Row("the body goes in, the output comes out", "POST", body=b"some text\n", answer=b"some text\n"),
    Row(
        "a body in chunks goes in whole",
        "POST",
        body=chunks(b"some", b" te", b"xt\n"),
        chunked=True,
        answer=b"some text\n",
    ),
    Row("bytes stay what they are", "POST", body=bytes(range(256)), answer=bytes(range(256)), external=True),
    Row(
        "the answer has the type of the request",
        "POST",
        body=b"{}",
        sent={"Content-Type": "application/json"},
        answer=b"{}",
        headers={"content-type": "application/json"},
    ),
    Row("text without a type is told to be text", "POST", body=b"words", headers={"content-type": TEXT}),
    Row(
        "bytes without a type are told to be bytes",
        target="/?do=binary",
        headers={"content-type": "application/octet-stream"},
    ),
    Row("no output is an empty answer", target="/?do=nothing", answer=b"", headers={"content-length": "0"}),
    Row("what goes to standard error is mixed in", target="/?do=both", answer=b"one\ntwo\nthree\n"),
    Row(
        "a script that fails is told with its status",
        target="/?do=exit3",
        status=500,
        answer=b"exit status 3\nbefore the end\n",
        headers={"content-type": TEXT, "x-duration-seconds": None},
    ),
    Row(
        "a script that was killed is told with the signal",
        target="/?do=kill",
        status=500,
        answer=b"signal: killed\n",
        external=True,
    ),
    Row(
        "content_type decides about the type",
        "POST",
        body=b"x",
        sent={"Content-Type": "a/b"},
        headers={"content-type": "image/png"},
        settings={"content_type": "image/png"},
    ),
    Row(
        "combine_output=false leaves standard error out",
        target="/?do=both",
        answer=b"one\nthree\n",
        settings={"combine_output": "false"},
    ),
    Row("anything but true is false", target="/?do=both", answer=b"one\nthree\n", settings={"combine_output": "1"}),
    Row(
        "cgi_headers=false tells nothing of the request",
        "POST",
        "/?do=env",
        body=b"the body",
        answer=b"the body",
        settings={"cgi_headers": "false"},
        external=True,
    ),
    Row(
        "marshal_request gives headers and body as JSON",
        "POST",
        "/",
        body=b"a\xff",
        sent={"X-One": "1"},
        settings={"marshal_request": "true"},
        external=True,
    ),
    Row(
        "exec_timeout kills",
        target="/?do=sleep60",
        status=408,
        answer=b"Killed process.\n",
        settings={"exec_timeout": "300ms"},
    ),
    Row(
        "X-Timeout shortens exec_timeout",
        target="/?do=sleep60",
        sent={"X-Timeout": "1"},
        status=408,
        answer=b"Killed process.\n",
        settings={"exec_timeout": "1m"},
    ),
]
# What only ours does.
OURS = {"X-Timeout shortens exec_timeout"}


MODES = ["a program", "in process"]
CASES = [(mode, row) for mode in MODES for row in ROWS if not (row.external and mode == "in process")]


@pytest.fixture(scope="module", params=MODES)
def mode(request):
    if request.config.getoption("--watchdog-url") and request.param == "in process":
        pytest.skip("another implementation runs programs only")
    return request.param


@pytest.fixture(scope="module")
def usual(mode, request, tmp_path_factory):
    """A watchdog without any settings of its own."""
    url = request.config.getoption("--watchdog-url")
    if url:
        parts = urlsplit(url)
        yield Client(parts.hostname, parts.port or 80)
        return
    with started(tmp_path_factory.mktemp("watchdog"), in_process=mode == "in process") as watchdog:
        yield watchdog


@pytest.mark.parametrize(("mode", "row"), CASES, ids=[f"{mode}: {row.name}" for mode, row in CASES], indirect=["mode"])
def test_a_request_is_answered_as_the_contract_says(row, mode, usual, request, tmp_path):
    if request.config.getoption("--watchdog-url") and (row.settings or row.name in OURS):
        pytest.skip("needs a watchdog with other settings")
    if not row.settings:
        return check(row, usual)
    with started(tmp_path, in_process=mode == "in process", **row.settings) as watchdog:
        return check(row, watchdog)


def check(row, client):
    response = client.request(row.method, row.target, row.body, row.sent, encode_chunked=row.chunked)
    assert response.status == row.status, response
    if row.answer is not None:
        assert response.body == row.answer
    for name, value in row.headers.items():
        assert response.headers.get(name) == value, response.headers
    variables = response.variables if row.seen else {}
    assert {name: variables.get(name) for name in row.seen} == dict(row.seen)
    if row.status == 200 and row.target != "/_/health":
        assert re.fullmatch(r"\d+\.\d{6}", response.headers["x-duration-seconds"])
    if row.settings.get("marshal_request"):
        document = json.loads(response.body)
        assert document["body"] == {"raw": "Yf8="}
        assert document["header"]["X-One"] == ["1"]
        assert document["header"]["Content-Length"] == ["2"]


def test_of_several_headers_of_one_name_the_first_is_seen(usual):
    response = usual.raw(b"GET /?do=env HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n")
    assert response.variables["Http_X_A"] == "1"


def test_the_container_s_environment_is_seen(usual):
    variables = usual.get(ENV).variables
    assert variables["PATH"]


def test_one_connection_serves_many_requests(usual):
    with usual.connected() as connection:
        for number in range(5):
            body = f"request {number}".encode()
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            response = answer(connection)
            assert (response.status, response.body) == (200, body)
            assert "connection" not in response.headers


def test_requests_may_be_sent_ahead_and_are_answered_in_their_order(usual):
    requests = [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(5)]
    with usual.connected() as connection:
        connection.sendall(b"".join(requests))
        stream = connection.makefile("rb")
        bodies = []
        for _ in requests:
            assert stream.readline().startswith(b"HTTP/1.1 200 ")
            while stream.readline() != b"\r\n":
                pass
            bodies.append(stream.read(1))
        assert bodies == [b"0", b"1", b"2", b"3", b"4"]


def test_a_client_of_http_1_0_gets_its_answer_and_the_end(usual):
    with usual.connected() as connection:
        connection.sendall(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
        response = answer(connection)
        assert (response.status, response.body) == (200, b"hi")
        assert connection.recv(1) == b""


def test_a_client_that_asks_first_is_told_to_go_on(usual):
    with usual.connected() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hi")
        assert answer(connection).body == b"hi"


def test_a_body_that_ends_too_early_is_a_bad_request(usual):
    with usual.connected() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        assert answer(connection).status == 400


@pytest.mark.parametrize(("size", "status"), [(900_000, 200), (1_200_000, 431)])
def test_a_head_may_have_a_mebibyte(usual, size, status):
    # Thirty-two headers, since no variable of the script may have more than 128 KiB.
    headers = {f"X-Long-{number}": "x" * (size // 32) for number in range(32)}
    assert usual.get("/?do=nothing", **headers).status == status


def test_over_the_limit_a_request_is_refused(mode, request, tmp_path):
    if request.config.getoption("--watchdog-url"):
        pytest.skip("needs a watchdog with other settings")
    pipe = tmp_path / "go"
    script = f'#!/bin/sh\necho started >&2; test -p "{pipe}" || mkfifo "{pipe}"; cat "{pipe}"\n'
    with started(tmp_path, in_process=mode == "in process", script=script, max_inflight="1") as watchdog:
        with watchdog.connected() as busy:
            busy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while not pipe.exists():
                pass
            response = watchdog.request("POST", "/", b"x")
            pipe.write_bytes(b"done\n")
            assert answer(busy).body.endswith(b"done\n")
    assert response.status == 429
    assert response.body == b"Concurrent request limit exceeded. Max concurrent requests: 1\n"
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["x-openfaas-internal"] == "faas-middleware"
