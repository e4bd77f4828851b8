"""What both engines do beyond the contract."""

from __future__ import annotations

from faas_supervisor.storage import Secret
from faas_supervisor_minio import Settings
from faas_supervisor_minio.provider import make_provider
from plugins.s3.tests.engines import EngineTests


class _MinioTests(EngineTests):
    engine: str

    def make(self, server, **settings):
        known = {"endpoint": server.url, "region": server.region, "engine": self.engine}
        return make_provider(
            Settings(access_key=server.access_key, secret_key=Secret(server.secret_key), **(known | settings))
        )


class TestObstore(_MinioTests):
    engine = "obstore"


class TestSdk(_MinioTests):
    engine = "sdk"
