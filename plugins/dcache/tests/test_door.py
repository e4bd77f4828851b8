"""What dCache's doors and pools do that plain WebDAV servers don't: redirects, tickets, checksums, refusals."""

from __future__ import annotations

import logging
import uuid
import zlib
from typing import TYPE_CHECKING

import pytest

from faas_supervisor.errors import (
    AlreadyExists,
    AuthenticationFailed,
    InsufficientStorage,
    IntegrityError,
    InvalidConfiguration,
    NotFound,
    PermissionDenied,
    StorageError,
    Unavailable,
)
from faas_supervisor.stop import Stop
from faas_supervisor.storage import ObjectRef, Secret
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._store import Store
from faas_supervisor.storage._transfer import Transfer
from faas_supervisor.testing import ScriptedServer, faults
from faas_supervisor.testing._rig import Recorder
from plugins.dcache.tests.servers import STRANGER, STRANGERS_PASSWORD, TOKEN, Site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faas_supervisor_dcache.provider import WebDavProvider
    from faas_supervisor_dcache.testing import FakeDoor

LARGE = bytes(range(256)) * 40_000  # more than the buffers of a connection hold


@pytest.fixture
def folder() -> str:
    return f"door-{uuid.uuid4().hex}"


@pytest.fixture
def site(door: FakeDoor, wsgidav: Site) -> Site:
    return Site(door.url, wsgidav.folder, door.url)


@pytest.fixture
def provider(site: Site, open_provider: Callable[..., WebDavProvider]) -> WebDavProvider:
    return open_provider(site.settings())


def seen(door: FakeDoor, place: str, method: str) -> list[dict[str, str]]:
    return [one.headers for one in door.seen if (one.place, one.method) == (place, method)]


def bodies(door: FakeDoor, place: str) -> int:
    return sum(one.body[0] for one in door.seen if (one.place, one.method) == (place, "PUT"))


@pytest.mark.parametrize("status", [302, 307])
def test_a_read_follows_the_door_to_its_pool(door, provider, local, tmp_path, status):
    folder = f"door-{uuid.uuid4().hex}"
    door.rules.reads = status
    provider.upload(local(LARGE), f"{folder}/object", Recorder())

    info = provider.download(ObjectRef(f"{folder}/object"), tmp_path / "arrival", Recorder())

    assert (tmp_path / "arrival").read_bytes() == LARGE
    assert info.checksums == {"adler32": f"{zlib.adler32(LARGE):08x}"}
    assert len(seen(door, "pool", "GET")) == 1


def test_an_upload_goes_to_the_pool_and_not_through_the_door(door, provider, folder, local):
    info = provider.upload(local(LARGE), f"{folder}/object", Recorder())

    assert info.size == len(LARGE)
    assert bodies(door, "pool") == len(LARGE)
    assert bodies(door, "door") == 0


def test_an_upload_that_the_door_keeps_is_sent_once(door, provider, folder, local):
    door.rules.writes = "never"
    progress = Recorder()

    provider.upload(local(LARGE), f"{folder}/object", progress)

    assert bodies(door, "door") == len(LARGE)
    assert progress.moved == len(LARGE)


def test_an_upload_that_is_redirected_at_once_is_sent_from_the_beginning(door, provider, folder, local, tmp_path):
    """Without waiting for it, the answer would be lost, and a body that was begun can't be sent again."""
    door.rules.writes = "always"
    progress = Recorder()

    provider.upload(local(LARGE), f"{folder}/object", progress)

    provider.download(ObjectRef(f"{folder}/object"), tmp_path / "arrival", Recorder())
    assert (tmp_path / "arrival").read_bytes() == LARGE
    assert progress.moved == len(LARGE)


def test_an_upload_that_is_redirected_after_all_of_it_was_sent_is_sent_again(site, open_provider, folder, local):
    """webdav4 fails here: what it would send has been read."""
    with ScriptedServer(site.url) as server:
        server.fail_next("PUT", faults.redirect(server.url))
        progress = Recorder()
        info = open_provider(site.settings(server.url)).upload(local(LARGE), f"{folder}/object", progress)
    assert info.checksums == {"adler32": f"{zlib.adler32(LARGE):08x}"}
    assert progress.moved == len(LARGE)


def test_no_credentials_are_shown_to_a_pool(door, provider, folder, local, tmp_path):
    provider.upload(local(b"x"), f"{folder}/object", Recorder())
    provider.download(ObjectRef(f"{folder}/object"), tmp_path / "arrival", Recorder())

    at_pool = seen(door, "pool", "PUT") + seen(door, "pool", "GET")
    assert len(at_pool) == 2
    assert not [headers for headers in at_pool if "authorization" in headers]
    assert all("authorization" in one.headers for one in door.seen if one.place == "door")


def test_a_ticket_that_has_run_out_leads_back_to_the_door(door, provider, folder, local, tmp_path):
    """A pool answers so: with 307, to the door, which gives a new ticket."""
    provider.upload(local(b"content"), f"{folder}/object", Recorder())
    with ScriptedServer() as pool:
        door.rules.pool = pool.url

        def expired(exchange):
            door.rules.pool = ""
            faults.redirect(door.url)(exchange)

        pool.fail_next("GET", expired)
        provider.download(ObjectRef(f"{folder}/object"), tmp_path / "arrival", Recorder())

    assert (tmp_path / "arrival").read_bytes() == b"content"


def test_a_door_that_sends_round_in_circles_is_an_error(door, provider, folder, local, tmp_path):
    provider.upload(local(b"content"), f"{folder}/object", Recorder())
    door.rules.pool = door.url
    with pytest.raises(StorageError, match="without end"):
        provider.download(ObjectRef(f"{folder}/object"), tmp_path / "arrival", Recorder())
    assert not (tmp_path / "arrival").exists()


def test_a_ticket_is_never_seen(door, provider, folder, local, caplog):
    """Whoever has it can read the object."""
    provider.upload(local(b"content"), f"{folder}/object", Recorder())
    with ScriptedServer() as pool, caplog.at_level(logging.DEBUG):
        door.rules.pool = pool.url
        pool.fail_next("GET", faults.status(500), times=None)
        with pytest.raises(Unavailable) as caught:
            provider.download(ObjectRef(f"{folder}/object"), local(b""), Recorder())
        assert pool.url in str(caught.value)
    (ticket,) = door.tickets
    assert ticket not in caplog.text + str(caught.value)


def test_nobody_and_somebody_are_refused_differently(site, open_provider, folder):
    nobody = open_provider(site.settings(login=None))
    wrong = open_provider(site.settings(token=Secret("not-the-token")))
    stranger = open_provider(site.settings(login=STRANGER, password=Secret(STRANGERS_PASSWORD)))

    with pytest.raises(AuthenticationFailed, match="none are configured"):
        nobody.stat(f"{folder}/object")
    with pytest.raises(AuthenticationFailed, match="when it expires"):
        wrong.stat(f"{folder}/object")
    with pytest.raises(PermissionDenied, match="scopes or caveats"):
        stranger.stat(f"{folder}/object")


def test_a_bearer_token_is_shown_to_the_door_in_a_header_only(door, site, open_provider, folder, local):
    """A macaroon in a URL would be lost, or saved, wherever URLs go."""
    open_provider(site.settings(token=Secret(TOKEN))).upload(local(b"x"), f"{folder}/object", Recorder())

    at_door = [one for one in door.seen if one.place == "door"]
    assert {one.headers["authorization"] for one in at_door} == {f"Bearer {TOKEN}"}
    assert not [one for one in door.seen if TOKEN in one.target]


def test_a_door_that_does_not_overwrite_is_helped(door, provider, folder, local, tmp_path):
    door.rules.overwrite = False
    provider.upload(local(LARGE), f"{folder}/object", Recorder())
    progress = Recorder()

    provider.upload(local(b"new"), f"{folder}/object", progress)

    provider.download(ObjectRef(f"{folder}/object"), tmp_path / "arrival", Recorder())
    assert (tmp_path / "arrival").read_bytes() == b"new"
    assert progress.moved == len(b"new")


@pytest.mark.parametrize("status", [403, 405, 500, 507])
def test_a_refusal_that_is_not_about_overwriting_deletes_nothing(site, open_provider, folder, local, status):
    with ScriptedServer(site.url) as server:
        provider = open_provider(site.settings(server.url))
        provider.upload(local(b"old"), f"{folder}/object", Recorder())
        server.fail_next("PUT", faults.status(status))
        with pytest.raises(StorageError):
            provider.upload(local(b"new"), f"{folder}/object", Recorder())
        assert not [one for one in server.requests if one.method == "DELETE"]


def test_a_folder_in_the_way_is_already_exists(provider, folder, local):
    provider.upload(local(b"x"), f"{folder}/name/object", Recorder())
    with pytest.raises(AlreadyExists, match="a folder has this name"):
        provider.upload(local(b"x"), f"{folder}/name", Recorder())


def test_an_object_in_the_way_is_already_exists(provider, folder, local):
    provider.upload(local(b"x"), f"{folder}/name", Recorder())
    for below in ("object", "deep/object"):
        with pytest.raises(AlreadyExists):
            provider.upload(local(b"x"), f"{folder}/name/{below}", Recorder())


def test_a_full_pool_is_insufficient_storage(door, provider, folder, local):
    door.rules.full = True
    with pytest.raises(InsufficientStorage, match="No write pools available"):
        provider.upload(local(LARGE), f"{folder}/object", Recorder())
    assert bodies(door, "pool") == 0


def test_bytes_damaged_on_the_way_are_sent_again_and_the_wrong_object_is_removed(door, provider, folder, local):
    """dCache leaves a corrupt object when a redirected upload fails; dCache#7862."""
    path = f"{folder}/object"
    for damage, outcome in ((1, "stored"), (2, "refused")):
        door.rules.damage = damage
        store = Store("dcache.test", lambda: provider)
        core = Transfer(Retry(deadline=30, base=0.01), files=1, stop=Stop())
        if outcome == "stored":
            assert core.upload(store, local(LARGE), path).attempts == 2
            provider.delete(path)
            continue
        with pytest.raises(IntegrityError, match="adler32 is"):
            core.upload(store, local(LARGE), path)
        with pytest.raises(NotFound):
            provider.stat(path)


def test_a_checksum_mismatch_that_the_pool_finds_is_an_integrity_error(door, provider, folder, local):
    with ScriptedServer() as pool:
        door.rules.pool = pool.url
        said = b"Checksum mismatch (expected=[1:05ae0780], actual=[1:5ae07809])"
        pool.fail_next("PUT", faults.status(400, {"Content-Type": "text/plain"}, said))
        with pytest.raises(IntegrityError) as caught:
            provider.upload(local(b"x"), f"{folder}/object", Recorder())
    assert caught.value.retryable


def test_a_server_without_checksums_is_good_enough_and_it_is_said_once(door, provider, folder, local, caplog):
    door.rules.checksums = False
    with caplog.at_level(logging.INFO, "faas_supervisor_dcache"):
        for n in range(3):
            assert not provider.upload(local(b"x"), f"{folder}/{n}", Recorder()).checksums
            assert not provider.download(ObjectRef(f"{folder}/{n}"), local(b""), Recorder()).checksums
    assert caplog.text.count("tells no checksums") == 1
    assert len(seen(door, "door", "HEAD")) == 1, "a server that has none is not asked for each object"


def test_a_checksum_is_asked_for_when_the_answer_to_the_upload_has_none(wsgidav, open_provider, folder, local):
    data = b"content"
    with ScriptedServer(wsgidav.url.removesuffix("/dav")) as server:

        def with_digest(exchange):
            response = exchange.proper()
            response.headers["Digest"] = f"md5=ignored,ADLER32={zlib.adler32(data):X}"
            exchange.send(response)

        server.fail_next("HEAD", with_digest)
        info = open_provider(wsgidav.settings(f"{server.url}/dav")).upload(local(data), f"{folder}/object", Recorder())
    assert info.checksums == {"adler32": f"{zlib.adler32(data):08x}"}


def test_no_content_header_is_sent_that_dcache_does_not_know(door, provider, folder, local):
    provider.upload(local(b"x"), f"{folder}/object", Recorder())
    sent = {name for headers in seen(door, "door", "PUT") for name in headers if name.startswith("content-")}
    assert sent == {"content-length", "content-type"}


def test_each_folder_on_the_way_is_made_once(door, provider, folder, local):
    for n in range(3):
        provider.upload(local(b"x"), f"{folder}/a/b/{n}", Recorder())
    made = [one.target for one in door.seen if one.method == "MKCOL"]
    assert made == [f"/{folder}/a/b/", f"/{folder}/a/", f"/{folder}/", f"/{folder}/a/", f"/{folder}/a/b/"]


def test_a_folder_that_is_there_is_good_enough(site, open_provider, folder, local):
    for n in range(2):
        assert open_provider(site.settings()).upload(local(b"x"), f"{folder}/a/{n}", Recorder()).size == 1


def test_a_folder_that_went_away_is_made_again_by_the_next_try(site, provider, folder, local):
    provider.upload(local(b"x"), f"{folder}/a/object", Recorder())
    provider.delete(f"{folder}/a/object")
    (site.folder / folder / "a").rmdir()

    with pytest.raises(Unavailable, match="gone meanwhile"):
        provider.upload(local(b"x"), f"{folder}/a/object", Recorder())

    assert provider.upload(local(b"x"), f"{folder}/a/object", Recorder()).size == 1


def test_a_folder_that_must_not_be_made_but_is_there_is_good_enough(door, site, open_provider, folder, local):
    (site.folder / folder).mkdir()
    with ScriptedServer(door.url) as server:
        server.fail_next("MKCOL", faults.status(403), times=None)
        through = open_provider(site.settings(server.url))
        assert through.upload(local(b"x"), f"{folder}/object", Recorder()).size == 1
        with pytest.raises(PermissionDenied):
            through.upload(local(b"x"), f"{folder}/missing/object", Recorder())


def test_an_upload_sent_on_by_a_status_that_is_not_for_uploads_is_an_error(door, site, open_provider, folder, local):
    """After 301, 302 and 303 clients differ in what they send; this is how servers lead from http to https."""
    with ScriptedServer(door.url) as server:
        server.fail_next("PUT", faults.redirect("https://elsewhere.invalid", 301))
        with pytest.raises(InvalidConfiguration, match="set hostname to where"):
            open_provider(site.settings(server.url)).upload(local(b"x"), f"{folder}/object", Recorder())


def test_a_door_that_moved_says_that_it_was_shown_no_credentials(door, site, open_provider, folder):
    with ScriptedServer() as old:
        old.fail_next("PROPFIND", faults.redirect(door.url), times=None)
        with pytest.raises(AuthenticationFailed, match="set hostname to it"):
            open_provider(site.settings(old.url)).stat(f"{folder}/object")


def test_a_file_that_changes_while_it_is_uploaded_is_an_integrity_error(provider, folder, tmp_path):
    for change in (-1, 1):
        source: Path = tmp_path / f"growing{change}"
        source.write_bytes(LARGE)

        class Changing(Recorder):
            def start(self, total):
                super().start(total)
                with source.open("r+b") as file:  # noqa: B023
                    file.truncate(len(LARGE) + change)  # noqa: B023

        with pytest.raises(IntegrityError, match="changed"):
            provider.upload(source, f"{folder}/object", Changing())
