"""Which Onezone, which space, which Oneprovider: found, or refused with a reason."""

from __future__ import annotations

import logging

import pytest

from faas_supervisor.errors import (
    AuthenticationFailed,
    InvalidConfiguration,
    NotFound,
    PermissionDenied,
    Unavailable,
    Unsupported,
)
from faas_supervisor.events import decode
from faas_supervisor.storage import Secret
from faas_supervisor.testing import faults
from faas_supervisor_onedata import Settings, faas_supervisor_storage_providers
from faas_supervisor_onedata.connection import Connection
from faas_supervisor_onedata.provider import OnedataProvider


def _written(*providers):
    return [provider.name for provider in providers if any("/content" in one.target for one in provider.seen)]


class TestSettings:
    def settings(self, **changes):
        known = {"oneprovider_host": "krakow.example.org", "token": Secret("token-0001"), "space": "data"}
        return Settings(**(known | changes))

    @pytest.mark.parametrize(
        ("text", "host"),
        [
            ("krakow.example.org", "krakow.example.org"),
            ("https://krakow.example.org/", "krakow.example.org"),
            ("krakow.example.org:443", "krakow.example.org"),
            ("KRAKOW.example.org:8443", "krakow.example.org:8443"),
            ("[::1]:8443", "[::1]:8443"),
        ],
    )
    def test_a_host_may_be_written_in_several_ways(self, text, host):
        found = Connection.of(self.settings(oneprovider_host=text, onezone_host=text))
        assert (found.provider, found.zone) == (host, host)

    @pytest.mark.parametrize(
        "text", ["", "http://krakow.example.org", "a.org/path", "user@a.org", "a.org:port", "a.org?x=1", "ftp://a.org"]
    )
    @pytest.mark.parametrize("name", ["oneprovider_host", "onezone_host"])
    def test_what_is_no_host_is_refused(self, name, text):
        if name == "onezone_host" and not text:
            return
        with pytest.raises(InvalidConfiguration, match=name):
            Connection.of(self.settings(**{name: text}))

    def test_a_space_may_be_given_with_its_id(self):
        found = Connection.of(self.settings(space="my data@0123abc"))
        assert (found.space, found.space_id) == ("my data", "0123abc")

    @pytest.mark.parametrize("text", ["", " ", "@", "data@", "@id", "a@b@c"])
    def test_what_is_no_space_is_refused(self, text):
        with pytest.raises(InvalidConfiguration, match="no space"):
            OnedataProvider(self.settings(space=text))

    def test_a_missing_ca_bundle_is_refused(self):
        with pytest.raises(InvalidConfiguration, match="ca_bundle"):
            OnedataProvider(self.settings(ca_bundle="/nonexistent/ca.pem"))

    def test_ssl_cert_file_is_used_without_ca_bundle(self, monkeypatch, tmp_path):
        authorities = tmp_path / "authorities.pem"
        authorities.touch()
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
        assert Connection.of(self.settings()).trust == str(authorities)
        assert Connection.of(self.settings(verify=False)).trust is False

    def test_the_plugin_offers_the_type_onedata(self):
        (spec,) = faas_supervisor_storage_providers()
        provider = spec.factory(self.settings())
        assert spec.type == "onedata"
        provider.close()


class TestOnezone:
    def test_it_is_asked_from_the_oneprovider(self, onedata, connect, upload, download):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        provider = connect(onedata, space, onezone_host=None)
        upload(provider, "file", b"x")
        assert download(provider, "file") == b"x"
        asked = [one for one in onedata.providers[0].seen if one.target.endswith("/configuration")]
        assert len(asked) == 1
        assert asked[0].headers["X-Auth-Token"] is None

    def test_a_oneprovider_that_does_not_tell_it_is_a_clear_error(self, zone, new_space, scripted, connect):
        scripted.server.fail_next("GET", faults.status(200, {}, b"{}"), path="configuration")
        host = scripted.provider._connection.provider
        provider = connect(zone, new_space, oneprovider_host=host, onezone_host=None)
        with pytest.raises(InvalidConfiguration, match="set onezone_host"):
            provider.stat("file")

    @pytest.mark.parametrize("setting", ["onezone_host", "oneprovider_host"])
    def test_a_host_of_the_other_kind_is_a_clear_error(self, onedata, connect, setting):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        wrong = {
            "onezone_host": {"onezone_host": onedata.providers[0].domain},
            "oneprovider_host": {"onezone_host": None, "oneprovider_host": onedata.zone_host},
        }
        with pytest.raises(InvalidConfiguration, match="does not speak Onedata's interface"):
            connect(onedata, space, **wrong[setting]).stat("file")

    @pytest.mark.parametrize("setting", [{}, {"onezone_host": None}], ids=["Onezone", "Oneprovider"])
    def test_a_certificate_that_is_not_trusted_is_a_clear_error(self, onedata, connect, setting):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        with pytest.raises(InvalidConfiguration, match="set ca_bundle"):
            connect(onedata, space, ca_bundle=None, **setting).stat("file")

    def test_without_verify_any_certificate_will_do(self, onedata, connect, upload):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        provider = connect(onedata, space, ca_bundle=None, verify=False)
        assert upload(provider, "file", b"x").size == 1


class TestSpaces:
    def test_a_space_that_the_token_does_not_allow_is_not_found(self, onedata, connect):
        krakow = onedata.add_provider("krakow")
        mine, other = onedata.add_space("mine", krakow), onedata.add_space("other", krakow)
        token = onedata.add_token(spaces=(mine,))
        for operation in (lambda p: p.stat("file"), lambda p: list(p.list("")), lambda p: p.check()):
            with pytest.raises(NotFound, match=r"no space 'other' .*it allows: mine"):
                operation(connect(onedata, other, token=token))

    def test_a_name_that_two_spaces_have_needs_an_id(self, onedata, connect, upload):
        krakow = onedata.add_provider("krakow")
        first, second = onedata.add_space("data", krakow), onedata.add_space("data", krakow)
        with pytest.raises(InvalidConfiguration, match=f"data@{second.id}"):
            connect(onedata, first).stat("file")
        upload(connect(onedata, second, space=f"data@{second.id}"), "file", b"x")
        assert list(second.root.children) == ["file"]
        assert list(first.root.children) == []

    def test_an_id_that_nobody_knows_is_not_found(self, onedata, connect):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        with pytest.raises(NotFound):
            connect(onedata, space, space="data@0123").stat("file")

    def test_a_space_without_support_is_a_clear_error(self, onedata, connect):
        onedata.add_provider("krakow")
        with pytest.raises(InvalidConfiguration, match="no Oneprovider supports"):
            connect(onedata, onedata.add_space("data")).check()

    def test_a_space_whose_oneproviders_are_offline_is_unavailable(self, onedata, connect):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        onedata.providers[0].online = False
        with pytest.raises(Unavailable, match="offline"):
            connect(onedata, space).stat("file")

    def test_a_oneprovider_that_is_too_old_is_unsupported(self, onedata, connect):
        space = onedata.add_space("data", onedata.add_provider("krakow", version="20.02.19"))
        with pytest.raises(Unsupported, match=r"older than 21\.2\.1"):
            connect(onedata, space).stat("file")

    def test_an_older_oneprovider_has_other_names_for_attributes(self, onedata, connect, upload, download):
        space = onedata.add_space("data", onedata.add_provider("krakow", version="21.02.3"))
        provider = connect(onedata, space)
        upload(provider, "folder/file", b"content")
        assert download(provider, "folder/file") == b"content"
        assert [(info.path, info.size) for info in provider.list("")] == [("folder/file", 7)]


class TestReadOnly:
    @pytest.fixture
    def space(self, onedata):
        krakow = onedata.add_provider("krakow")
        space = onedata.add_space("data", krakow)
        onedata.world.create(space, ["file"], "REG", parents=False)
        return space

    def test_a_read_only_token_reads_and_says_why_it_does_not_write(self, onedata, space, connect, upload, download):
        provider = connect(onedata, space, token=onedata.add_token(readonly=True))
        assert download(provider, "file") == b""
        with pytest.raises(PermissionDenied, match="the token allows reading only"):
            upload(provider, "new", b"x")
        with pytest.raises(PermissionDenied, match="the token allows reading only"):
            provider.delete("file")

    def test_a_space_with_read_only_support_can_not_be_written(self, onedata, space, connect, upload):
        space.supports[onedata.providers[0].id] = True
        provider = connect(onedata, space)
        assert provider.stat("file").size == 0
        with pytest.raises(PermissionDenied, match="can only be read"):
            upload(provider, "new", b"x")

    def test_writing_goes_to_a_oneprovider_that_may_write(self, onedata, connect, upload, download):
        reader, writer = onedata.add_provider("reader"), onedata.add_provider("writer")
        space = onedata.add_space("shared", writer, readonly=(reader,))
        provider = connect(onedata, space)
        upload(provider, "file", b"x")
        assert _written(reader, writer) == ["writer"]
        assert download(provider, "file") == b"x"


class TestSeveralOneproviders:
    @pytest.fixture
    def several(self, onedata):
        return [onedata.add_provider(name, version=f"21.02.{n}") for n, name in enumerate("abc", start=5)]

    def test_the_configured_one_is_preferred(self, onedata, several, connect, upload):
        space = onedata.add_space("data", *several)
        upload(connect(onedata, space, oneprovider_host=several[1].domain), "file", b"x")
        assert _written(*several) == ["b"]

    def test_one_that_supports_the_space_is_taken_instead_of_the_configured_one(
        self, onedata, several, connect, upload, caplog
    ):
        space = onedata.add_space("data", *several[1:])
        provider = connect(onedata, space, oneprovider_host=several[0].domain)
        upload(provider, "file", b"x")
        assert _written(*several) == ["c"], "the newest of those that support it"
        with caplog.at_level(logging.WARNING):
            provider.check()
        assert f"{several[0].domain} does not support the space data" in caplog.text

    @pytest.mark.parametrize("state", ["gone", "offline", "cuts"])
    def test_another_one_steps_in(self, onedata, connect, upload, download, state):
        several = [onedata.add_provider("a"), onedata.add_provider("b")]
        space = onedata.add_space("data", *several)
        provider = connect(onedata, space)
        upload(provider, "file", b"content")
        if state == "gone":
            several[0].listener.stop()
        elif state == "offline":
            several[0].online = False
            several[0].listener.stop()
        else:
            several[0].listener.fail_next("before", "POST", "lookup")
        assert download(provider, "file") == b"content"
        upload(provider, "other", b"x")
        assert sorted(info.path for info in provider.list("")) == ["file", "other"]
        assert _written(*several) == ["a", "b"]

    def test_when_none_answers_it_is_said_why(self, onedata, several, connect):
        provider = connect(onedata, onedata.add_space("data", *several[:2]))
        list(provider.list(""))
        for one in several:
            one.listener.stop()
        with pytest.raises(Unavailable, match="connection refused") as caught:
            provider.stat("file")
        assert caught.value.retryable
        assert caught.value.__cause__ is not None


class TestCheck:
    def test_it_tells_versions_and_who_serves(self, onedata, connect, caplog):
        provider = connect(onedata, onedata.add_space("data", onedata.add_provider("krakow")))
        with caplog.at_level(logging.INFO):
            provider.check()
        assert f"Oneprovider {onedata.providers[0].domain} 21.02.8, online" in caplog.text
        assert "Onezone 25.2" in caplog.text
        assert "older" not in caplog.text

    def test_an_onezone_that_is_older_than_the_client_is_a_warning(self, onedata, connect, caplog):
        onedata.version = "21.02.8"
        provider = connect(onedata, onedata.add_space("data", onedata.add_provider("krakow")))
        with caplog.at_level(logging.WARNING):
            provider.check()
        assert "Onezone 21.02.8, which is older" in caplog.text

    def test_an_onezone_that_hides_its_version_is_no_failure(self, scripted, caplog):
        scripted.server.fail_next("GET", faults.status(404), path="/onezone/configuration")
        with caplog.at_level(logging.INFO):
            scripted.provider.check()
        assert "does not tell its version" in caplog.text

    def test_a_read_only_token_is_a_warning(self, onedata, connect, caplog):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        with caplog.at_level(logging.WARNING):
            connect(onedata, space, token=onedata.add_token(readonly=True)).check()
        assert "reading only" in caplog.text

    def test_a_bad_token_is_a_failure_with_a_hint(self, onedata, connect):
        space = onedata.add_space("data", onedata.add_provider("krakow"))
        with pytest.raises(AuthenticationFailed, match="renew the token"):
            connect(onedata, space, token="nobody-knows-this").check()


def test_an_event_names_the_space_first():
    body = b'{"Key": "/space/path/f", "Records": [{"objectKey": "f", "eventSource": "OneTrigger"}]}'
    (record,) = decode(body).records
    assert (record.provider, record.path) == ("onedata", "space/path/f")
