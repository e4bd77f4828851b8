"""Answers that a client can misread: each is the right object, or an error that says what happened."""

from __future__ import annotations

import gzip
import socket
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from faas_supervisor.errors import (
    AuthenticationFailed,
    InsufficientStorage,
    IntegrityError,
    InvalidConfiguration,
    NotFound,
    StorageError,
    Throttled,
    Unavailable,
    Unsupported,
)
from faas_supervisor.storage import ObjectRef
from faas_supervisor.testing import ScriptedServer, faults
from faas_supervisor.testing._rig import Recorder
from faas_supervisor_dcache import Settings, properties
from plugins.dcache.tests.servers import basic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faas_supervisor_dcache.provider import WebDavProvider

FILE = "<resourcetype/><getcontentlength>{}</getcontentlength>"
FOLDER = "<resourcetype><collection/></resourcetype>"
XML = {"Content-Type": "application/xml"}


def multistatus(*entries: tuple[str, str]) -> bytes:
    told = "".join(
        f"<response><href>{href}</href><propstat><prop>{prop}</prop><status>HTTP/1.1 200 OK</status></propstat>"
        "</response>"
        for href, prop in entries
    )
    return f'<?xml version="1.0"?><multistatus xmlns="DAV:">{told}</multistatus>'.encode()


def told(*entries: tuple[str, str]):
    return faults.status(207, XML, multistatus(*entries))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def provider(server: ScriptedServer, open_provider: Callable[..., WebDavProvider]) -> WebDavProvider:
    return open_provider(Settings(hostname=server.url))


def download(provider: WebDavProvider, tmp_path, content: bytes | None = b"content") -> bytes:
    provider.download(ObjectRef("object"), tmp_path / "arrival", Recorder())
    return (tmp_path / "arrival").read_bytes()


def methods(server: ScriptedServer) -> list[str]:
    return [request.method for request in server.requests]


@pytest.mark.parametrize("status", [206, 416])
def test_a_part_that_was_not_asked_for_is_an_integrity_error(server, provider, tmp_path, status):
    """webdav4 appends a whole object to what it has, and takes 416 for the end of it."""
    server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
    server.fail_next("GET", faults.status(status, {"Content-Range": "bytes 0-6/7"}, b"content"))

    with pytest.raises(IntegrityError):
        download(provider, tmp_path)

    assert not (tmp_path / "arrival").exists()
    assert not [one for one in server.requests if "Range" in one.headers]


@pytest.mark.parametrize("size", [6, 8])
def test_an_object_of_another_length_than_was_told_is_an_integrity_error(server, provider, tmp_path, size):
    server.memory.put("/object", b"content")
    server.fail_next("PROPFIND", told(("/object", FILE.format(size))))
    with pytest.raises(IntegrityError, match=f"of {size}"):
        download(provider, tmp_path)


@pytest.mark.parametrize("body", [b"conten", b"content!"])
def test_a_body_without_a_length_is_counted(server, provider, tmp_path, body):
    """In chunks, or until the connection ends, nothing else tells that bytes are missing."""

    def without_length(exchange):
        exchange.body()
        handler = exchange._handler
        handler.send_response_only(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body)
        exchange.cut()

    server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
    server.fail_next("GET", without_length)
    with pytest.raises(IntegrityError):
        download(provider, tmp_path)


def test_an_answer_compressed_on_the_way_gives_no_wrong_bytes(server, provider, tmp_path):
    server.memory.put("/object", b"content")
    server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
    server.fail_next("GET", faults.gzip())
    with pytest.raises(IntegrityError):
        download(provider, tmp_path)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_an_object_that_is_stored_compressed_stays_so(server, provider, tmp_path, encoding):
    """Apache marks `.gz` files with `Content-Encoding`; decoding them would change what was stored."""
    stored = gzip.compress(b"content")
    server.memory.put("/object", stored)
    server.fail_next("PROPFIND", told(("/object", FILE.format(len(stored)))))

    def marked(exchange):
        response = exchange.proper()
        response.headers["Content-Encoding"] = encoding
        exchange.send(response)

    server.fail_next("GET", marked)
    assert download(provider, tmp_path) == stored


@pytest.mark.parametrize("prop", [FOLDER, None], ids=["a folder", "nothing"])
def test_what_is_no_object_leaves_no_file(server, provider, tmp_path, prop):
    """webdav4 opens the local file first. A GET of a folder gives a page for people."""
    server.memory.put("/object", b"<html>a listing</html>")
    server.fail_next("PROPFIND", told(("/object/", prop)) if prop else faults.status(404))
    with pytest.raises(NotFound):
        download(provider, tmp_path)
    assert not (tmp_path / "arrival").exists()


def test_an_object_that_went_away_between_two_requests_leaves_no_file(server, provider, tmp_path):
    server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
    with pytest.raises(NotFound):
        download(provider, tmp_path)
    assert not (tmp_path / "arrival").exists()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 423])
def test_a_refused_request_is_sent_once(server, provider, status):
    """webdav4 tries some of them three times, which the core does already."""
    server.fail_next("*", faults.status(status), times=None)
    with pytest.raises((Throttled, Unavailable)):
        provider.stat("object")
    assert methods(server) == ["PROPFIND"]


def test_retry_after_may_be_a_date(server, provider):
    server.fail_next("*", faults.status(503, {"Retry-After": "Fri, 01 Jan 2010 00:00:00 GMT"}))
    with pytest.raises(Throttled) as caught:
        provider.stat("object")
    assert caught.value.retry_after == 0.0


def test_a_server_that_needs_more_than_five_seconds_to_answer_is_waited_for(server, provider, local):
    """httpx gives up after five, and all bytes were sent for nothing; webdav4#186."""
    server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
    server.fail_next("PUT", faults.slow_answer(5.5))
    assert provider.upload(local(b"content"), "object", Recorder()).size == 7


def test_every_question_for_properties_has_a_depth(server, provider):
    """Without it, a server would describe everything below."""
    answers = [told(("/", FOLDER), ("/a/", FOLDER)), told(("/a/", FOLDER), ("/a/b", FILE.format(1)))]
    for answer in (*answers, told(("/a/b", FILE.format(1))), told(("/", FOLDER))):
        server.fail_next("PROPFIND", answer)

    assert [info.path for info in provider.list("")] == ["a/b"]
    provider.stat("a/b")
    provider.check()

    assert [one.headers["Depth"] for one in server.requests] == ["1", "1", "0", "0"]


def test_a_folder_of_too_many_entries_is_an_error_and_not_all_of_the_memory(server, provider, monkeypatch):
    monkeypatch.setattr(properties, "MOST_ENTRIES", 10)
    for entries in (10, 11):
        server.fail_next("PROPFIND", told(("/", FOLDER), *((f"/{n}", FILE.format(1)) for n in range(entries))))
    assert len(list(provider.list(""))) == 10
    with pytest.raises(StorageError, match="more than 10 entries"):
        list(provider.list(""))


def test_an_entry_of_endless_length_is_an_error(server, provider):
    server.fail_next("PROPFIND", told(("/object", f"<displayname>{'x' * 3_000_000}</displayname>")))
    with pytest.raises(StorageError, match="can't be understood"):
        provider.stat("object")


@pytest.mark.parametrize("name", ["..", ".", "a%2Fb", "a%00b"])
def test_a_name_that_leads_elsewhere_is_refused(server, provider, name):
    server.fail_next("PROPFIND", told(("/folder/", FOLDER), (f"/folder/{name}", FOLDER)))
    with pytest.raises(StorageError, match="no object can have"):
        list(provider.list("folder"))


def test_a_proxy_that_changes_paths_is_no_obstacle(server, provider):
    server.fail_next(
        "PROPFIND", told(("https://inside/dav/folder", FOLDER), ("https://inside/dav/folder/a%23b", FILE.format(1)))
    )
    assert [info.path for info in provider.list("folder")] == ["folder/a#b"]


def test_dcaches_checksums_are_read_with_the_other_properties(server, provider):
    checksums = '<Checksums xmlns="http://www.dcache.org/2013/webdav">md5=q1==,adler32=5ae07809</Checksums>'
    server.fail_next("PROPFIND", told(("/object", FILE.format(7) + checksums)))
    assert provider.stat("object").checksums == {"adler32": "5ae07809"}


def test_a_weak_etag_is_none(server, provider):
    """It may be the same for another content."""
    for etag, expected in (('W/"1"', None), ('"1"', "1")):
        server.fail_next("PROPFIND", told(("/object", f"{FILE.format(7)}<getetag>{etag}</getetag>")))
        assert provider.stat("object").etag == expected


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (faults.status(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"), InvalidConfiguration),
        (faults.status(405), InvalidConfiguration),
        (faults.status(404), InvalidConfiguration),
        (faults.status(401), AuthenticationFailed),
        (faults.status(207, XML, b"<html>Welcome"), StorageError),
        (faults.status(207, XML, multistatus(("/", FILE.format(1)))), InvalidConfiguration),
        (faults.status(503), Throttled),
    ],
    ids=["a page", "no WebDAV", "nothing there", "nobody", "no XML", "an object", "busy"],
)
def test_check_says_what_is_wrong(server, provider, answer, kind):
    server.fail_next("PROPFIND", answer)
    with pytest.raises(kind) as caught:
        provider.check()
    assert server.url in str(caught.value)


def test_check_lets_a_token_pass_that_is_for_some_folders_only(server, provider):
    server.fail_next("PROPFIND", faults.status(403))
    provider.check()


@pytest.mark.parametrize("status", [405, 501])
def test_what_the_server_does_not_offer_is_unsupported(server, provider, status):
    server.fail_next("PROPFIND", faults.status(status))
    with pytest.raises(Unsupported):
        provider.stat("object")


def test_what_the_server_says_is_told_on_one_line_and_masked(server, provider):
    said = b"Permission denied\nfor https://door/x?authz=MDAxbG9jYXRpb24 today" + b"x" * 9999
    server.fail_next("PROPFIND", faults.status(500, {"Content-Type": "text/plain"}, said))
    with pytest.raises(Unavailable) as caught:
        provider.stat("object")
    assert "Permission denied for https://door/x?authz=*** today" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_name_that_does_not_resolve_is_unavailable(open_provider):
    with pytest.raises(Unavailable, match="does not resolve"):
        open_provider(Settings(hostname="no-such-host.invalid")).stat("object")


def test_tls_to_a_plain_port_is_told(server, open_provider):
    with pytest.raises(InvalidConfiguration, match="http://"):
        open_provider(Settings(hostname=server.url.removeprefix("http://"))).stat("object")


def test_a_proxy_is_used_where_the_environment_names_one_in_one_of_two_ways(server, open_provider, monkeypatch):
    """A caller's `Proxy:` header reaches the environment of a watchdog as `Http_Proxy`."""
    answers = {"HTTP_PROXY": True, "http_proxy": True, "Http_Proxy": False}
    for name, used in answers.items():
        server.behave()
        monkeypatch.setenv(name, server.url)
        server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
        provider = open_provider(Settings(hostname="http://door.invalid"))
        monkeypatch.delenv(name)
        if used:
            assert provider.stat("object").size == 7
            assert server.requests[0].headers["Host"] == "door.invalid"
        else:
            with pytest.raises(Unavailable):
                provider.stat("object")


@pytest.mark.parametrize(
    ("no_proxy", "used"),
    [("door.invalid", False), (".invalid", False), ("*", False), ("other.invalid,::1", True), ("", True)],
)
def test_no_proxy_is_honoured(server, open_provider, monkeypatch, no_proxy, used):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
    provider = open_provider(Settings(hostname="http://door.invalid"))
    if used:
        assert provider.stat("object").size == 7
    else:
        with pytest.raises(Unavailable):
            provider.stat("object")


def test_plain_http_to_a_tls_port_is_told(server, provider):
    """nginx says so on a page for people."""
    page = b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>"
    server.fail_next("PROPFIND", faults.status(400, {"Content-Type": "text/html"}, page))
    with pytest.raises(InvalidConfiguration, match="https://"):
        provider.stat("object")


def test_a_server_that_ignores_expect_gets_the_body_after_a_moment(open_provider, local):
    """HTTP/1.0 servers and some proxies do not know the header."""
    received = []

    def serve(listener):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            while stream.readline().strip():
                pass
            received.append(stream.read(7))
            connection.sendall(b"HTTP/1.0 507 Full\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        provider = open_provider(Settings(hostname=f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(InsufficientStorage):
            provider.upload(local(b"content"), "object", Recorder())
        thread.join(10)
    assert received == [b"content"]


def test_threads_share_one_provider_and_its_connections(server, provider):
    server.fail_next("PROPFIND", told(("/object", FILE.format(7))), times=None)
    threads = [threading.Thread(target=provider.stat, args=("object",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert methods(server) == ["PROPFIND"] * 8


def test_a_password_may_hold_any_character(server, open_provider):
    from faas_supervisor.storage import Secret

    server.fail_next("PROPFIND", told(("/object", FILE.format(7))))
    open_provider(Settings(hostname=server.url, login="ä", password=Secret("p:ß€"))).stat("object")
    assert server.requests[0].headers["Authorization"] == basic("ä", "p:ß€")


def test_httpx_raises_nothing_of_its_own(server, provider):
    """Also for what its stream errors don't cover."""
    server.fail_next("PROPFIND", faults.redirect("ftp://elsewhere"))
    with pytest.raises(StorageError) as caught:
        provider.stat("object")
    assert not isinstance(caught.value, httpx.HTTPError)
