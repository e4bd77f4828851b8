"""The scripted server answers properly, misbehaves when told to, and passes signed requests on unharmed."""

from __future__ import annotations

import gzip
import http.client
import threading
import urllib.error
import urllib.request

import pytest

from faas_supervisor.testing import ScriptedServer, faults
from tests.servers import s3_client

DATA = bytes(range(256)) * 40


@pytest.fixture
def server():
    with ScriptedServer(page_size=2) as server:
        server.memory.put("/object", DATA)
        yield server


def ask(server, method="GET", path="/object", *, body=None, timeout=10, **headers):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=timeout)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_memory_serves_objects_and_parts_of_them(server):
    put, _ = ask(server, "PUT", "/folder/a%20b", body=b"0123456789")
    assert server.memory.get("/folder/a b") == b"0123456789"
    part, data = ask(server, path="/folder/a%20b", Range="bytes=2-4", If_Match=put.getheader("ETag"))
    assert (part.status, data, part.getheader("Content-Range")) == (206, b"234", "bytes 2-4/10")
    assert ask(server, path="/folder/a%20b", Range="bytes=10-")[0].status == 416
    assert ask(server, path="/folder/a%20b", If_Match='"other"')[0].status == 412
    head, nothing = ask(server, "HEAD", "/folder/a%20b")
    assert (head.getheader("Content-Length"), nothing) == ("10", b"")
    assert ask(server, "DELETE", "/folder/a%20b")[0].status == 204
    assert ask(server, "DELETE", "/folder/a%20b")[0].status == 404
    assert ask(server, path="/folder/a%20b")[0].status == 404
    assert ask(server, "PROPFIND")[0].status == 405


def test_memory_lists_page_by_page(server):
    for name in ("1", "2", "3"):
        server.memory.put(f"/folder/{name}", b"x")
    assert b"/folder/2" in ask(server, path="/folder?list")[1]
    assert b"/folder/3" not in ask(server, path="/folder?list")[1]
    assert b"/folder/3" in ask(server, path="/folder?list&after=/folder/2")[1]


def test_requests_are_remembered_with_their_headers_and_answers(server):
    ask(server, path="/missing?a=b", X_Mark="1")
    (request,) = server.requests
    assert (request.method, request.target, request.status) == ("GET", "/missing?a=b", 404)
    assert request.headers["x-mark"] == "1"


def test_a_fault_is_for_its_method_its_path_and_its_turn(server):
    server.fail_next("GET", faults.status(503, {"Retry-After": "3"}), times=2, skip=1, path="obj")
    answers = [ask(server)[0] for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 503, 503, 200]
    assert answers[1].getheader("Retry-After") == "3"
    server.fail_next("GET", faults.status(500), times=None, path="elsewhere")
    server.fail_next("PUT", faults.status(500), times=None)
    assert ask(server)[0].status == 200


def test_behave_forgets_faults_and_requests(server):
    server.fail_next("*", faults.status(500), times=None)
    assert ask(server)[0].status == 500
    server.behave()
    assert server.requests == []
    assert ask(server)[0].status == 200


def test_truncate_cuts_what_it_sends(server):
    server.fail_next("GET", faults.truncate(at=0.25))
    with pytest.raises(http.client.IncompleteRead) as error:
        ask(server)
    assert error.value.partial == DATA[: len(DATA) // 4]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_truncate_cuts_what_it_receives_and_stores_nothing(server, chunked):
    server.fail_next("PUT", faults.truncate())
    body = iter([DATA] * 50) if chunked else DATA * 50
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        ask(server, "PUT", "/new", body=body)
    assert server.memory.get("/new") is None


def test_a_client_that_goes_away_stores_nothing(server):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.putrequest("PUT", "/new")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"only this")
    connection.close()
    assert ask(server)[0].status == 200
    assert server.memory.get("/new") is None


def test_chunked_bodies_are_understood(server):
    ask(server, "PUT", "/new", body=iter([b"one ", b"two"]))
    assert server.memory.get("/new") == b"one two"


@pytest.mark.parametrize("at", [0.0, 0.5])
def test_stall_goes_silent(server, at):
    server.fail_next("GET", faults.stall(at))
    with pytest.raises(TimeoutError):
        ask(server, timeout=0.3)


def test_a_slow_answer_comes_after_the_work_was_done(server):
    server.fail_next("PUT", faults.slow_answer(60))
    with pytest.raises(TimeoutError):
        ask(server, "PUT", "/new", body=b"done", timeout=0.3)
    assert server.memory.get("/new") == b"done"


def test_ignore_range_sends_everything(server):
    server.fail_next("GET", faults.ignore_range())
    answer, data = ask(server, Range="bytes=0-9")
    assert (answer.status, data) == (200, DATA)
    assert server.requests[0].headers["Range"] == "bytes=0-9"


def test_change_etag_and_gzip_change_the_answer(server):
    proper = ask(server)[0].getheader("ETag")
    server.fail_next("GET", faults.change_etag())
    assert ask(server)[0].getheader("ETag") not in {None, proper}
    server.fail_next("GET", faults.gzip())
    answer, data = ask(server)
    assert (answer.getheader("Content-Encoding"), gzip.decompress(data)) == ("gzip", DATA)


def test_redirect_keeps_path_and_query(server):
    server.fail_next("GET", faults.redirect("http://127.0.0.1:1/", 308))
    answer, _ = ask(server, path="/object?a=b")
    assert (answer.status, answer.getheader("Location")) == (308, "http://127.0.0.1:1/object?a=b")


def test_act_happens_before_the_answer(server):
    server.fail_next("GET", faults.act(lambda: server.memory.put("/object", b"replaced")))
    assert ask(server)[1] == b"replaced"


def test_closing_ends_silent_and_idle_connections():
    before = threading.active_count()
    with ScriptedServer() as server:
        idle = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        idle.connect()
        server.memory.put("/object", DATA)
        server.fail_next("GET", faults.stall())
        with pytest.raises(TimeoutError):
            ask(server, timeout=0.2)
    idle.close()
    assert threading.active_count() <= before
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url, timeout=5)


def test_signed_requests_reach_a_real_server_unharmed(seaweedfs, new_bucket):
    bucket = new_bucket(seaweedfs)
    with ScriptedServer(seaweedfs.url) as server:
        import dataclasses

        through = s3_client(dataclasses.replace(seaweedfs, url=server.url))
        for key in ("a b+c/%20/é", "plain"):
            through.put_object(Bucket=bucket, Key=key, Body=DATA)
            assert through.get_object(Bucket=bucket, Key=key, Range="bytes=5-9")["Body"].read() == DATA[5:10]
            assert through.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(DATA)
        assert through.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
        through.close()
