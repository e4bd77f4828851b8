"""What both engines do beyond the contract."""

from __future__ import annotations

from faas_supervisor.storage import Secret
from faas_supervisor_s3 import Settings
from faas_supervisor_s3.provider import make_provider
from plugins.s3.tests.engines import EngineTests


class _S3Tests(EngineTests):
    engine: str

    def make(self, server, **settings):
        known = {"endpoint": server.url, "region": server.region, "engine": self.engine}
        return make_provider(
            Settings(access_key=server.access_key, secret_key=Secret(server.secret_key), **(known | settings))
        )


class TestObstore(_S3Tests):
    engine = "obstore"


class TestSdk(_S3Tests):
    engine = "sdk"
