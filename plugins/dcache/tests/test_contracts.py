"""The plugin keeps every rule of the interface on each server that is installed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from faas_supervisor.storage import Secret
from faas_supervisor_dcache.provider import make_provider
from plugins.dcache.tests.contract import WebDavContract
from plugins.dcache.tests.servers import STRANGER, STRANGERS_PASSWORD, Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faas_supervisor.storage import StorageProvider
    from faas_supervisor.testing._rig import Rig
    from faas_supervisor_dcache.testing import FakeDoor


class TestWsgiDav(WebDavContract):
    @pytest.fixture
    def site(self, wsgidav: Site) -> Site:
        return wsgidav


class TestApache(WebDavContract):
    @pytest.fixture
    def site(self, apache: Site) -> Site:
        return apache

    @pytest.fixture
    def forbidden_provider(self, site: Site) -> Iterator[StorageProvider]:
        provider = make_provider(site.settings(login=STRANGER, password=Secret(STRANGERS_PASSWORD)))
        yield provider
        provider.close()


class TestNginx(WebDavContract):
    quirks: ClassVar[Mapping[str, str]] = {"leading dot": "names that begin with a dot are not listed"}

    @pytest.fixture
    def site(self, nginx: Site) -> Site:
        return nginx


class TestRclone(WebDavContract):
    quirks: ClassVar[Mapping[str, str]] = {"composed or decomposed": "both forms of a letter are one name"}

    @pytest.fixture
    def site(self, rclone: Site) -> Site:
        return rclone


class TestXRootD(WebDavContract):
    """A door that really redirects, to a pool that really knows checksums; every new name takes it a second or two."""

    secrets = ()
    bad_credentials_provider = None
    page_size = 2
    only: ClassVar[frozenset[str]] = frozenset(
        {
            "test_a_cancelled_download_ends",
            "test_a_folder_is_not_found",
            "test_a_shorter_object_replaces_a_longer_one",
            "test_bytes_come_back_as_they_went",
            "test_folders_are_no_objects",
            "test_names_that_the_door_does_not_quote_are_kept_apart",
            "test_stat_says_what_upload_and_list_say",
        }
    )

    @pytest.fixture
    def site(self, xrootd: Site) -> Site:
        return xrootd

    @pytest.fixture
    def provider(self, site: Site) -> Iterator[StorageProvider]:
        provider = make_provider(site.settings(login=None))
        yield provider
        provider.close()

    def test_names_that_the_door_does_not_quote_are_kept_apart(self, rig: Rig) -> None:
        names = ("a b", "a%20b", "a#b", "a")
        for name in names:
            rig.upload(name, name.encode())
        assert [rig.download(name)[0].decode() for name in names] == list(names)


class TestFakeDoor(WebDavContract):
    """A door that behaves as dCache's: one-use tickets at a pool, checksums, and bytes that go there straight."""

    @pytest.fixture
    def site(self, wsgidav: Site, door: FakeDoor) -> Site:
        return Site(door.url, wsgidav.folder, door.url)

    @pytest.fixture
    def server_url(self, door: FakeDoor) -> str:
        door.rules.reads, door.rules.writes = 0, "never"  # what is to fail must pass through here, not go to the pool
        return door.url

    @pytest.fixture
    def forbidden_provider(self, site: Site) -> Iterator[StorageProvider]:
        provider = make_provider(site.settings(login=STRANGER, password=Secret(STRANGERS_PASSWORD)))
        yield provider
        provider.close()

    @pytest.fixture
    def full_provider(self, site: Site, door: FakeDoor) -> Iterator[StorageProvider]:
        door.rules.full = True
        provider = make_provider(site.settings())
        yield provider
        provider.close()
