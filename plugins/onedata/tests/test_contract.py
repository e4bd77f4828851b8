"""The provider keeps every rule of the interface, on an emulated zone."""

from __future__ import annotations

from functools import partial

import pytest

from faas_supervisor.testing import StorageContract
from faas_supervisor_onedata.provider import OnedataProvider

_MIB = 1024 * 1024


class TestOnedata(StorageContract):
    part_size = _MIB
    page_size = 10
    stall_time = 15.0  # less than the client's own time-outs, which must not be the ones that end it

    @pytest.fixture
    def settings(self, zone, new_space, settings_for):
        return partial(settings_for, zone, new_space, token=zone.add_token())

    @pytest.fixture
    def provider(self, settings, made):
        return made(settings())

    @pytest.fixture
    def provider_factory(self, settings):
        return partial(OnedataProvider, settings())

    @pytest.fixture
    def bad_credentials_provider(self, settings, made):
        return made(settings(token="a-token-that-nobody-knows"))

    @pytest.fixture
    def forbidden_provider(self, zone, settings, made):
        return made(settings(token=zone.add_token(forbidden=True)))

    @pytest.fixture
    def full_provider(self, new_space, settings, made):
        new_space.full = True
        return made(settings())

    @pytest.fixture
    def secrets(self, settings, bad_credentials_provider, forbidden_provider):
        return (settings().token.reveal(), "a-token-that-nobody-knows", forbidden_provider._token.reveal())

    @pytest.fixture
    def make_folder(self, zone, new_space):
        return lambda path: zone.world.create(new_space, path.split("/"), "DIR", parents=True)

    @pytest.fixture
    def server_url(self, zone):
        return zone.open_front(zone.providers[0])

    @pytest.fixture
    def fault_url(self, settings, secured):
        def make(url):
            host = secured(url)
            return OnedataProvider(settings(oneprovider_host=host, onezone_host=host, read_timeout=1.0))

        return make
