"""The plugin keeps every rule of the interface: the conformance kit says so."""

import pytest

from faas_supervisor.testing import LocalStorageContract
from faas_supervisor_sqlite import SqliteSettings
from faas_supervisor_sqlite.provider import SqliteProvider


class TestSqlite(LocalStorageContract):
    secrets = ()

    @pytest.fixture
    def provider(self, tmp_path):
        provider = SqliteProvider(SqliteSettings(database=str(tmp_path / "objects.db"), timeout=5.0))
        yield provider
        provider.close()
