"""Names that SeaweedFS changes, on moto, which keeps them; and obstore's names seen by boto3."""

from __future__ import annotations

import pytest

from faas_supervisor.storage import Secret
from faas_supervisor.testing._names import Names
from faas_supervisor_minio import Settings
from faas_supervisor_minio.provider import make_provider
from tests.servers import s3_client


class _OnMoto(Names):
    engine: str
    refused_names = frozenset({"not unicode", "dot segment", "dot-dot segment"})

    @pytest.fixture(autouse=True)
    def _without_a_name_that_the_server_refuses(self, request):
        if request.node.callspec.params.get("kind") == "trailing line feed":
            pytest.skip("moto knows no such URL; see test_contract.py")

    @pytest.fixture
    def root(self, moto_server):
        s3_client(moto_server).create_bucket(Bucket="names")
        return "names"

    @pytest.fixture
    def provider(self, moto_server):
        provider = make_provider(
            Settings(
                access_key=moto_server.access_key,
                secret_key=Secret(moto_server.secret_key),
                endpoint=moto_server.url,
                engine=self.engine,
            )
        )
        yield provider
        provider.close()


class TestObstore(_OnMoto):
    engine = "obstore"


class TestSdk(_OnMoto):
    engine = "sdk"
