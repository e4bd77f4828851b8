"""What the client does wrong, or leaves to its users: each guard against it, seen at work."""

from __future__ import annotations

import errno
import logging
import re
import subprocess
import sys
from io import FileIO
from types import SimpleNamespace

import pytest
from onedatafilerestclient.errors import OnedataRESTError

from faas_supervisor.errors import (
    AlreadyExists,
    AuthenticationFailed,
    InsufficientStorage,
    IntegrityError,
    InvalidConfiguration,
    InvalidPath,
    NotFound,
    PermissionDenied,
    StorageError,
    Throttled,
    Unavailable,
    Unsupported,
)
from faas_supervisor.testing import faults
from faas_supervisor_onedata.body import Body
from faas_supervisor_onedata.failures import translated


def _asked(provider_or_zone, method, text):
    return [one for one in provider_or_zone.seen if one.method == method and text in one.target]


def _steps(oneprovider):
    """Return method and kind of each request."""
    kinds = [re.findall("lookup-file-id|path|content", one.target) for one in oneprovider.seen]
    return [" ".join([one.method, *kind]) for one, kind in zip(oneprovider.seen, kinds, strict=True)]


class TestRefusals:
    """At a 403 to a request without a body, the client's log statement raises a TypeError."""

    @pytest.fixture
    def forbidden(self, zone, new_space, connect):
        return connect(zone, new_space, token=zone.add_token(forbidden=True))

    def test_a_refused_read_is_permission_denied_and_says_what_the_server_said(self, forbidden):
        with pytest.raises(PermissionDenied, match="not authorized"):
            forbidden.stat("file")

    def test_a_refused_streamed_upload_is_permission_denied(self, scripted, upload):
        refusal = b'{"error": {"id": "forbidden", "description": "You are not authorized.", "details": null}}'
        scripted.server.fail_next("PUT", faults.status(403, {}, refusal), path="/content")
        with pytest.raises(PermissionDenied, match="not authorized"):
            upload(scripted.provider, "file", b"x" * 100_000)

    def test_without_our_hook_the_type_error_is_still_permission_denied(self, forbidden):
        with pytest.raises(PermissionDenied):
            forbidden.stat("file")
        for http in forbidden._link._https:
            http.get_session().hooks["response"].clear()
        with pytest.raises(PermissionDenied) as caught:
            forbidden.stat("file")
        assert isinstance(caught.value.__cause__, TypeError)

    def test_a_type_error_of_somebody_else_is_let_through(self):
        with pytest.raises(TypeError), translated("file", "https://host"):
            len(None)


class TestErrors:
    """Onedata answers 400 to every POSIX error, so the status says nothing."""

    @pytest.mark.parametrize(
        ("errno", "kind"),
        [
            ("enoent", NotFound),
            ("enotdir", NotFound),
            ("eisdir", NotFound),
            ("eexist", AlreadyExists),
            ("eacces", PermissionDenied),
            ("eperm", PermissionDenied),
            ("erofs", PermissionDenied),
            ("enospc", InsufficientStorage),
            ("edquot", InsufficientStorage),
            ("enametoolong", InvalidPath),
            ("enotsup", Unsupported),
            ("eagain", Unavailable),
            ("eio", Unavailable),
            ("eunheardof", StorageError),
        ],
    )
    def test_a_posix_error_is_told_by_its_name(self, zone, new_space, connect, errno, kind):
        new_space.refuses = errno
        provider = connect(zone, new_space)
        with pytest.raises(StorageError) as caught:
            provider.stat("folder/file")
        assert type(caught.value) is kind or (kind is NotFound and isinstance(caught.value, NotFound))
        assert caught.value.path == "folder/file"

    @pytest.mark.parametrize(
        ("status", "identifier", "kind"),
        [
            (400, "badValueFilePath", InvalidPath),
            (400, "badValueToken", AuthenticationFailed),
            (400, "spaceNotSupportedBy", InvalidConfiguration),
            (401, "unauthorized", AuthenticationFailed),
            (404, "notFound", NotFound),
            (409, "alreadyExists", AlreadyExists),
            (429, "", Throttled),
            (500, "internalServerError", Unavailable),
            (501, "notImplemented", Unsupported),
            (502, "", Unavailable),
            (503, "serviceUnavailable", Throttled),
            (507, "", InsufficientStorage),
            (418, "", StorageError),
        ],
    )
    def test_other_errors_are_told_by_their_id_or_status(self, scripted, status, identifier, kind):
        body = f'{{"error": {{"id": "{identifier}", "details": {{}}, "description": "Told so."}}}}'.encode()
        scripted.server.fail_next("POST", faults.status(status, {}, body), path="lookup-file-id")
        scripted.server.fail_next("GET", faults.status(status, {}, body), path="/data/")
        with pytest.raises(StorageError) as caught:
            list(scripted.provider.list("folder")) or scripted.provider.stat("file")
        assert type(caught.value) is kind
        assert "Told so." in str(caught.value) or kind is NotFound
        assert caught.value.endpoint.startswith("https://127.0.0.1:")

    @pytest.mark.parametrize("body", [b"<html>404</html>", b"[1]", b'{"error": "no"}', b"\xff", b""])
    def test_an_error_that_is_not_onedatas_is_told_by_its_status(self, scripted, body):
        scripted.server.fail_next("POST", faults.status(500, {}, body), path="lookup-file-id")
        with pytest.raises(Unavailable, match="the server answered 500"):
            scripted.provider.stat("file")

    @pytest.mark.parametrize("body", [b"<html>log in</html>", b"{}", b"[]", b"null"])
    @pytest.mark.parametrize("path", ["infer_access_token_scope", "lookup-file-id"])
    def test_an_answer_that_is_not_onedatas_is_a_clear_error(self, scripted, path, body):
        scripted.server.fail_next("POST", faults.status(200, {}, body), path=path)
        with pytest.raises(StorageError, match="not what Onedata promises"):
            scripted.provider.stat("file")

    def test_what_the_client_refuses_itself_is_translated(self):
        error = OnedataRESTError(400, "posix", "einval", "not supported")
        with pytest.raises(StorageError, match="posix: einval"), translated("file", "https://host"):
            raise error

    def test_an_error_that_is_cut_is_unavailable(self, scripted):
        scripted.server.fail_next("POST", faults.truncate(), path="lookup-file-id")
        with pytest.raises(Unavailable):
            scripted.provider.stat("missing")

    def test_a_long_error_is_not_read_whole(self, scripted):
        body = b'{"error": {"id": "posix", "description": "' + b"x" * 1_000_000 + b'"}}'
        scripted.server.fail_next("POST", faults.status(500, {}, body), path="lookup-file-id")
        with pytest.raises(Unavailable, match="the server answered 500"):  # what the rest says is not known
            scripted.provider.stat("file")


class TestPaths:
    """The client writes paths into URLs as they are."""

    def test_a_name_is_quoted_in_every_request(self, onedata, connect, upload, download):
        provider = connect(onedata, onedata.add_space("my space #1", onedata.add_provider("krakow")))
        upload(provider, "a#b/c?d%20e", b"x")
        assert download(provider, "a#b/c?d%20e") == b"x"
        targets = [one.target for one in onedata.providers[0].seen]
        assert any("/my%20space%20%231@" in target and target.endswith("/a%23b/c%3Fd%2520e") for target in targets)
        assert any("/path/a%23b/c%3Fd%2520e?type=REG" in target for target in targets)

    def test_a_page_token_is_quoted(self, onedata, connect, upload):
        provider = connect(onedata, onedata.add_space("data", onedata.add_provider("krakow")))
        for n in range(25):
            upload(provider, f"folder/{n}", b"x")
        assert len(list(provider.list("folder"))) == 25
        assert _asked(onedata.providers[0], "GET", "%2B%2F%3D")


class TestRequests:
    """Each call by path would ask for the id anew."""

    def test_an_id_is_asked_for_once(self, onedata, connect, upload, download):
        krakow = onedata.add_provider("krakow")
        provider = connect(onedata, onedata.add_space("data", krakow))
        upload(provider, "file", b"x")
        assert _steps(krakow) == ["PUT path", "PUT content", "GET"]
        krakow.seen.clear()
        download(provider, "file")
        assert [(one.method, one.target.count("lookup")) for one in krakow.seen] == [
            ("POST", 1),
            ("GET", 0),
            ("GET", 0),
        ]
        krakow.seen.clear()
        provider.stat("file")
        assert _steps(krakow) == ["POST lookup-file-id", "GET"]

    def test_an_unanswered_look_up_is_not_repeated(self, scripted):
        scripted.server.fail_next("POST", faults.slow_answer(60), times=None, path="lookup-file-id")
        with pytest.raises(Unavailable):
            scripted.provider.stat("file")
        asked = [one for one in scripted.server.requests if "lookup" in one.target]
        assert len(asked) == 1

    def test_an_upload_is_streamed_with_its_length(self, onedata, connect, upload):
        krakow = onedata.add_provider("krakow")
        provider = connect(onedata, onedata.add_space("data", krakow))
        upload(provider, "file", b"x" * 1_000_000)
        (put,) = _asked(krakow, "PUT", "/content")
        assert put.headers["Content-Length"] == "1000000"
        assert put.headers["Transfer-Encoding"] is None
        assert "?offset" not in put.target

    def test_no_credentials_but_the_token_are_sent(self, onedata, connect, monkeypatch, tmp_path):
        netrc = tmp_path / "netrc"
        netrc.write_text("default login somebody password something\n")
        monkeypatch.setenv("NETRC", str(netrc))
        krakow = onedata.add_provider("krakow")
        list(connect(onedata, onedata.add_space("data", krakow)).list(""))
        assert {one.headers["Authorization"] for one in (*krakow.seen, *onedata.zone.seen)} == {None}

    def test_a_redirect_is_not_followed(self, scripted):
        scripted.server.fail_next("POST", faults.redirect("https://elsewhere.example.org"), path="lookup-file-id")
        with pytest.raises(InvalidConfiguration, match=r"sends us to elsewhere\.example\.org"):
            scripted.provider.stat("file")


class TestUploads:
    """What is created is filled, and what is filled is whole."""

    @pytest.fixture
    def two(self, onedata):
        return onedata.add_provider("krakow"), onedata.add_provider("lisbon")

    @pytest.fixture
    def provider(self, onedata, two, connect):
        return connect(onedata, onedata.add_space("data", *two))

    def test_a_file_made_by_a_try_that_was_not_answered_is_no_failure(self, two, provider, upload, download):
        two[0].listener.fail_next("after", "PUT", "/path/")
        upload(provider, "file", b"content")
        assert _asked(two[1], "PUT", "/path/"), "the client must have repeated it elsewhere"
        assert download(provider, "file") == b"content"

    def test_the_rest_of_a_file_is_not_sent_to_another_oneprovider(self, two, provider, upload, download):
        data = bytes(range(256)) * 20_000
        two[0].listener.fail_next("within", "PUT", "/content")
        with pytest.raises(Unavailable) as caught:
            upload(provider, "file", data)
        assert caught.value.retryable
        assert not _asked(two[1], "PUT", "/content")
        upload(provider, "file", data)  # as the core does
        assert _asked(two[1], "PUT", "/content"), "the one that failed must be avoided now"
        assert download(provider, "file") == data

    def test_a_shorter_content_empties_the_file_first(self, provider, upload, download):
        upload(provider, "file", b"a long content")
        upload(provider, "file", b"short")
        assert download(provider, "file") == b"short"
        upload(provider, "file", b"")
        assert download(provider, "file") == b""

    @pytest.mark.parametrize("content", [b"x" * 100_000, b""], ids=["some", "empty"])
    def test_a_file_that_was_refused_its_content_is_not_left_empty(self, onedata, provider, upload, content):
        (space,) = onedata.world.spaces.values()
        space.full = True
        with pytest.raises(InsufficientStorage):
            upload(provider, "file", content)
        assert list(provider.list("")) == []

    def test_an_older_file_that_was_refused_its_content_stays(self, onedata, provider, upload):
        upload(provider, "file", b"old")
        (space,) = onedata.world.spaces.values()
        space.full = True
        with pytest.raises(InsufficientStorage):
            upload(provider, "file", b"new")
        assert [info.path for info in provider.list("")] == ["file"]

    def test_a_file_that_changes_meanwhile_is_an_integrity_error(self, provider, tmp_path):
        source = tmp_path / "growing"
        source.write_bytes(b"x" * 1_000_000)

        class Growing:
            def start(self, total):
                with source.open("r+b") as file:
                    file.truncate(10)

            def advance(self, n):
                pass

        with pytest.raises(IntegrityError, match="changed"):
            provider.upload(source, "file", Growing())

    def test_a_local_file_that_can_not_be_read_is_not_the_servers_fault(self, tmp_path):
        class Broken(FileIO):
            def read(self, size=-1):
                raise OSError(errno.EIO, "Input/output error")

        (tmp_path / "source").write_bytes(b"x")
        with Broken(tmp_path / "source") as file, pytest.raises(StorageError, match="local file") as caught:
            list(Body(file, SimpleNamespace(start=print, advance=print)))
        assert not caught.value.retryable

    @pytest.mark.parametrize("path", ["folder", "file/below"])
    def test_a_folder_and_a_file_can_not_replace_each_other(self, provider, upload, path):
        upload(provider, "file", b"x")
        upload(provider, "folder/file", b"x")
        with pytest.raises(AlreadyExists, match="a folder"):
            upload(provider, path, b"y")
        assert sorted(info.path for info in provider.list("")) == ["file", "folder/file"]

    def test_fewer_bytes_on_the_server_are_an_integrity_error(self, scripted, upload):
        scripted.server.fail_next("PUT", faults.status(204), path="/content")
        with pytest.raises(IntegrityError, match="holds 0 bytes of 7"):
            upload(scripted.provider, "file", b"content")


class TestFolders:
    """The server removes folders with all that is in them, and hands them out as archives."""

    @pytest.fixture
    def provider(self, zone, new_space, connect, upload):
        provider = connect(zone, new_space)
        upload(provider, "folder/file", b"x")
        zone.world.create(new_space, ["link"], "SYMLNK", parents=False)
        return provider

    def test_a_folder_is_not_removed(self, provider):
        provider.delete("folder")
        assert [info.path for info in provider.list("")] == ["folder/file"]

    @pytest.mark.parametrize(("path", "what"), [("folder", "a folder"), ("link", "a symbolic link")])
    def test_a_folder_or_link_is_no_file(self, provider, download, path, what):
        with pytest.raises(NotFound, match=what):
            download(provider, path)
        with pytest.raises(NotFound, match=what):
            provider.stat(path)
        assert list(provider.list("link")) == []

    def test_more_bytes_than_promised_are_an_integrity_error(self, scripted, upload, download, tmp_path):
        upload(scripted.provider, "file", b"content")
        scripted.server.fail_next("GET", faults.status(200, {}, b"x" * 1_000_000), path="/content")
        with pytest.raises(IntegrityError, match="more bytes"):
            download(scripted.provider, "file")
        assert (tmp_path / "destination").stat().st_size <= len(b"content")


def test_the_clients_own_log_raises_nothing_at_debug(onedata, connect, capsys):
    logger = logging.getLogger("onedatafilerestclient")
    level = logger.level
    logger.setLevel(logging.NOTSET)
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        provider = connect(onedata, onedata.add_space("data", onedata.add_provider("krakow")))
        list(provider.list(""))
    finally:
        root.setLevel(before)
        logger.setLevel(level)
    assert "Logging error" not in capsys.readouterr().err


def test_one_client_for_each_thread(zone, new_space, connect):
    provider = connect(zone, new_space)
    assert not provider.capabilities.thread_safe
    other = connect(zone, new_space)
    list(provider.list(""))
    list(other.list(""))
    assert provider._link.client is not other._link.client


def test_the_hook_does_not_import_the_client():
    code = (
        "import sys, faas_supervisor_onedata as plugin; plugin.faas_supervisor_storage_providers();"
        "print([name for name in ('requests', 'urllib3', 'onedatafilerestclient') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
