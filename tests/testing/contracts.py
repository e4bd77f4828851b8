"""The contract, given what our two small providers need; `broken_*.py` break them on purpose."""

from __future__ import annotations

import functools

import pytest

from faas_supervisor.storage import Secret
from faas_supervisor.storage.file import FileProvider, FileSettings
from faas_supervisor.testing import LocalStorageContract, StorageContract
from tests.testing import http_provider
from tests.testing.http_provider import GuardedServer, HttpProvider, HttpSettings

MIB = 1024 * 1024


class FileContract(LocalStorageContract):
    provider_class = FileProvider
    part_size = 4 * MIB  # what moves between two looks at the progress
    memory_parts = 1
    model_examples = 100
    secrets = ()

    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "root"
        folder.mkdir()
        return folder

    @pytest.fixture
    def provider_factory(self, folder):
        return functools.partial(self.provider_class, FileSettings(root=str(folder)))

    @pytest.fixture
    def provider(self, provider_factory):
        return provider_factory()

    @pytest.fixture
    def make_folder(self, folder):
        return lambda path: (folder / path).mkdir(parents=True)


class HttpContract(StorageContract):
    provider_class = HttpProvider
    root = http_provider.BUCKET
    part_size = http_provider.PART
    page_size = http_provider.PAGE
    memory_parts = 1
    memory_size = 64 * MIB  # the server keeps it in memory
    stall_time = 10.0
    refused_names = frozenset({"not unicode"})
    secrets = (http_provider.OWNER, http_provider.STRANGER, http_provider.READER)
    missing_bucket = "missing"

    @pytest.fixture
    def server(self):
        with GuardedServer(page_size=http_provider.PAGE) as server:
            yield server

    @pytest.fixture
    def server_url(self, server):
        return server.url

    @pytest.fixture
    def provider_factory(self, server_url):
        return self.connected(server_url)

    @pytest.fixture
    def provider(self, provider_factory):
        return provider_factory()

    @pytest.fixture
    def bad_credentials_provider(self, server_url):
        return self.connected(server_url, http_provider.STRANGER)()

    @pytest.fixture
    def forbidden_provider(self, server_url):
        return self.connected(server_url, http_provider.READER)()

    @pytest.fixture
    def full_provider(self, server_url):
        return self.connected(server_url, http_provider.POOR)()

    def fault_url(self, url):
        return self.connected(url)()

    def connected(self, url, token=http_provider.OWNER):
        return functools.partial(self.provider_class, HttpSettings(url, Secret(token)))
