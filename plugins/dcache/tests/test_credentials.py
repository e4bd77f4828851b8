"""Who we are: files and OIDC providers whose tokens change while we run, and settings that contradict each other."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from faas_supervisor.errors import AuthenticationFailed, InvalidConfiguration, StorageError, Unavailable
from faas_supervisor.storage import ObjectRef, Secret
from faas_supervisor.testing import ScriptedServer, faults
from faas_supervisor.testing._rig import Recorder
from faas_supervisor_dcache import Settings
from faas_supervisor_dcache.connection import make_client
from faas_supervisor_dcache.oidc import RefreshedToken
from faas_supervisor_dcache.provider import make_provider
from plugins.dcache.tests.servers import TOKEN, Oidc, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faas_supervisor_dcache.testing import FakeDoor


@pytest.fixture
def site(door: FakeDoor, wsgidav: Site) -> Site:
    return Site(door.url, wsgidav.folder, door.url)


@pytest.fixture
def path() -> str:
    return f"credentials-{uuid.uuid4().hex}/object"


@pytest.fixture
def tokens(oidc: Oidc) -> Iterator[ScriptedServer]:
    """The OIDC provider, seen through a server that counts and can fail."""
    with ScriptedServer(oidc.url) as server:
        yield server


@pytest.fixture
def refreshing(oidc: Oidc, tokens: ScriptedServer) -> dict[str, object]:
    """The settings of somebody with a refresh token."""
    return {**oidc.settings(oidc.log_in()[1]), "token_endpoint": f"{tokens.url}/oauth2/token"}


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_goes_on_over_the_end_of_a_tokens_life(door, site, oidc, open_provider, local):
    path, judged = "credentials", []

    def judge(authorization: str) -> int:
        judged.append((authorization, oidc.knows(authorization)))
        return 0 if judged[-1][1] else 401

    door.rules.judge = judge
    token, refresh_token = oidc.log_in()
    provider = open_provider(site.settings(token=token, **oidc.settings(refresh_token)))
    provider.upload(local(b"content"), path, Recorder())
    assert {authorization for authorization, _ in judged} == {f"Bearer {token.reveal()}"}
    wait_until(lambda: not oidc.knows(f"Bearer {token.reveal()}"))

    arrival = local(b"")
    provider.download(ObjectRef(path), arrival, Recorder())

    assert arrival.read_bytes() == b"content"
    assert [good for _, good in judged].count(False) == 1


def test_a_refused_token_is_refreshed_once_and_the_upload_sent_again(door, site, refreshing, open_provider, local):
    """Somebody took it back before its time."""
    refused: set[str] = set()

    def judge(authorization: str) -> int:
        if not refused and door.seen[-1].method == "PUT":
            refused.add(authorization)
        return 401 if authorization in refused else 0

    door.rules.judge = judge
    progress = Recorder()

    open_provider(site.settings(**refreshing)).upload(local(b"content"), "credentials", progress)

    assert progress.moved == len(b"content")
    used = list(dict.fromkeys(one.headers["authorization"] for one in door.seen if one.place == "door"))
    assert len(used) == 2
    assert used[0] in refused


def test_a_second_refusal_is_the_end(door, site, refreshing, tokens, open_provider):
    door.rules.judge = lambda _authorization: 401
    with pytest.raises(AuthenticationFailed):
        open_provider(site.settings(**refreshing)).stat("object")
    assert len(tokens.requests) == 2
    assert len(door.seen) == 2


@pytest.mark.parametrize("when", ["at the start", "after a refusal"])
def test_one_thread_refreshes_for_all(refreshing, tokens, when):
    credentials = RefreshedToken(Settings("door", **refreshing), make_client(Settings("door")))
    refused = "" if when == "at the start" else credentials.header()
    tokens.behave()
    together = threading.Barrier(8)
    headers: list[str] = []

    def use() -> None:
        together.wait(10)
        headers.append(credentials.renewed(refused) if refused else credentials.header())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    credentials._client.close()

    assert len(headers) == 8
    assert len(set(headers)) == 1
    assert len(tokens.requests) == 1


def test_a_token_is_refreshed_a_tenth_of_its_life_or_a_minute_before_its_end(refreshing):
    """By a clock of its own: nobody waits for an hour."""
    now = [1000.0]
    for life, margin in ((100, 10), (3600, 60)):
        with ScriptedServer() as provider:
            answer = f'{{"access_token": "token-{life}", "expires_in": {life}}}'.encode()
            provider.fail_next("POST", faults.status(200, {"Content-Type": "application/json"}, answer), times=None)
            settings = Settings("door", **{**refreshing, "token_endpoint": provider.url})
            with make_client(settings) as client:
                credentials = RefreshedToken(settings, client, lambda: now[0])
                for after, requests in ((0, 1), (life - margin - 1, 1), (1, 2)):
                    now[0] += after
                    assert credentials.header() == f"Bearer token-{life}"
                    assert len(provider.requests) == requests


def test_scopes_and_audience_are_asked_for_and_a_new_refresh_token_is_kept(refreshing):
    bodies = []
    with ScriptedServer() as provider:

        def answer(exchange):
            bodies.append(exchange.body().decode())
            told = f'{{"access_token": "a{len(bodies)}", "expires_in": 1, "refresh_token": "rotated-{len(bodies)}"}}'
            faults.status(200, {"Content-Type": "application/json"}, told.encode())(exchange)

        provider.fail_next("POST", answer, times=None)
        changed = {"token_endpoint": provider.url, "scopes": ("storage.read:/", "openid"), "audience": "https://door"}
        settings = Settings("door", **{**refreshing, **changed})
        with make_client(settings) as client:
            credentials = RefreshedToken(settings, client)
            credentials.renewed(credentials.header())
    assert "scope=storage.read%3A%2F+openid&audience=https%3A%2F%2Fdoor" in bodies[0]
    assert "refresh_token=rotated-1&" in bodies[1]


def test_a_token_from_the_settings_is_used_until_it_is_refused(door, site, refreshing, tokens, open_provider):
    provider = open_provider(site.settings(**refreshing, token=Secret(TOKEN)))
    door.rules.judge = lambda _authorization: 0
    list(provider.list("none"))
    assert not tokens.requests

    door.rules.judge = lambda authorization: 401 if TOKEN in authorization else 0
    list(provider.list("none"))
    assert len(tokens.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (faults.status(400, {}, b'{"error": "invalid_grant"}'), AuthenticationFailed, "invalid_grant"),
        (faults.status(401, {}, b"nobody"), AuthenticationFailed, "status 401"),
        (faults.status(503), StorageError, "busy"),
        (faults.status(200, {}, b"<html>"), StorageError, "holds no token"),
        (faults.status(200, {}, b'["token"]'), StorageError, "holds no token"),
        (faults.status(307, {"Location": "https://elsewhere.invalid"}), AuthenticationFailed, "status 307"),
        (faults.truncate(0), Unavailable, "cut"),
    ],
    ids=["bad grant", "bad client", "busy", "no JSON", "other JSON", "redirect", "cut"],
)
def test_a_token_that_can_not_be_fetched_is_told(refreshing, answer, kind, text, open_provider):
    with ScriptedServer() as provider:
        provider.fail_next("POST", answer)
        settings = Settings("http://127.0.0.1:9", **{**refreshing, "token_endpoint": provider.url})
        with pytest.raises(kind, match=text) as caught:
            open_provider(settings).stat("object")
    assert provider.url in str(caught.value)
    assert refreshing["refresh_token"].reveal() not in str(caught.value)


def test_a_refused_refresh_token_is_told_by_a_real_provider(refreshing, open_provider):
    settings = Settings("http://127.0.0.1:9", **{**refreshing, "refresh_token": Secret("not-a-refresh-token")})
    with pytest.raises(AuthenticationFailed, match="invalid_grant"):
        open_provider(settings).stat("object")


def test_a_token_file_is_read_again_when_it_changes(door, site, open_provider, path, tmp_path):
    shown: list[str] = []
    door.rules.judge = lambda authorization: shown.append(authorization) or 0
    file = tmp_path / "token"
    file.write_text("first-token\n")
    provider = open_provider(site.settings(token_file=str(file)))
    list(provider.list(path))
    fresh = tmp_path / "fresh"
    fresh.write_text("other-token\n")
    fresh.replace(file)  # as Kubernetes does it
    list(provider.list(path))

    assert shown == ["Bearer first-token", "Bearer other-token"]


def test_a_token_file_is_read_again_after_a_refusal(door, site, open_provider, path, tmp_path):
    """Its state may look the same, on file systems with coarse clocks."""
    import os

    file = tmp_path / "token"
    file.write_text("first-token")
    before = file.stat()
    provider = open_provider(site.settings(token_file=str(file)))

    def judge(authorization: str) -> int:
        if authorization == "Bearer other-token":
            return 0
        with file.open("r+") as opened:
            opened.write("other")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        return 401

    door.rules.judge = judge
    assert list(provider.list(path)) == []
    assert len(door.seen) == 2


@pytest.mark.parametrize("content", [None, "", "two words", "\x1b"], ids=["missing", "empty", "words", "control"])
def test_a_token_file_that_is_no_good_is_told(site, open_provider, path, tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AuthenticationFailed, match="token"):
        open_provider(site.settings(token_file=str(file))).stat(path)


@pytest.mark.parametrize(
    "other",
    [
        {"login": "alice"},
        {"password": Secret("secret")},
        {"login": "a:b", "password": Secret("secret")},
        {"login": "alice", "password": Secret("secret"), "token": Secret(TOKEN)},
        {"token": Secret(TOKEN), "token_file": "/token"},
        {"token_file": "/token", "refresh_token": Secret("r"), "client_id": "c", "token_endpoint": "https://o"},
        {"refresh_token": Secret("r"), "client_id": "c"},
        {"refresh_token": Secret("r"), "token_endpoint": "https://o"},
        {"refresh_token": Secret("r"), "client_id": "c", "token_endpoint": "http://idp.example.org"},
    ],
    ids="+".join,
)
def test_settings_that_contradict_each_other_are_refused(other):
    with pytest.raises(InvalidConfiguration):
        make_provider(Settings("door", **other))
