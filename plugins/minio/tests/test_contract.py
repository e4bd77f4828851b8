"""The provider on a real object store that speaks as MinIO does, with either engine."""

from __future__ import annotations

from functools import partial

import pytest

from faas_supervisor.storage import Secret
from faas_supervisor.testing import ScriptedServer, StorageContract, faults
from faas_supervisor_minio import Settings
from faas_supervisor_minio.provider import make_provider
from tests.servers import s3_client

SEAWEEDFS_CHANGES = {"backslash", "empty segment", "dot segment", "dot-dot segment", "leading slash"}


class _Contract(StorageContract):
    engine: str
    page_size = 1000
    missing_bucket = "missing-bucket-0001"
    refused_names = frozenset({"not unicode"})

    def settings(self, server, **changes):
        known = {"endpoint": server.url, "region": server.region, "engine": self.engine}
        return Settings(access_key=server.access_key, secret_key=Secret(server.secret_key), **(known | changes))

    @pytest.fixture(autouse=True)
    def _without_names_that_the_server_changes(self, request):
        kind = getattr(request.node, "callspec", None) and request.node.callspec.params.get("kind")
        if kind in SEAWEEDFS_CHANGES:
            pytest.skip("SeaweedFS keeps objects in folders and changes such a name; see test_names.py")

    @pytest.fixture
    def root(self, seaweedfs, new_bucket):
        return new_bucket(seaweedfs)

    @pytest.fixture
    def made(self):
        """Make providers that are closed after the test."""
        providers = []

        def make(settings):
            providers.append(make_provider(settings))
            return providers[-1]

        yield make
        for provider in providers:
            provider.close()

    @pytest.fixture
    def provider(self, seaweedfs, made):
        return made(self.settings(seaweedfs))

    @pytest.fixture
    def provider_factory(self, seaweedfs):
        return partial(make_provider, self.settings(seaweedfs))

    @pytest.fixture
    def bad_credentials_provider(self, seaweedfs, made):
        return made(self.settings(seaweedfs.stranger))

    @pytest.fixture
    def forbidden_provider(self, seaweedfs, made):
        return made(self.settings(seaweedfs.reader))

    @pytest.fixture
    def full_provider(self, seaweedfs, made):
        answer = (
            b"<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its limit</Message></Error>"
        )
        with ScriptedServer(seaweedfs.url) as server:
            server.fail_next("PUT", faults.status(507, {"Content-Type": "application/xml"}, answer), times=None)
            yield made(self.settings(seaweedfs, endpoint=server.url))

    @pytest.fixture
    def secrets(self, seaweedfs):
        return (seaweedfs.secret_key, seaweedfs.stranger.secret_key, seaweedfs.reader.secret_key)

    @pytest.fixture
    def make_folder(self, seaweedfs):
        def make(path):
            bucket, _, key = path.partition("/")
            s3_client(seaweedfs).put_object(Bucket=bucket, Key=f"{key}/", Body=b"")

        return make

    @pytest.fixture
    def server_url(self, seaweedfs):
        return seaweedfs.url

    @pytest.fixture
    def fault_url(self, seaweedfs):
        return lambda url: make_provider(self.settings(seaweedfs, endpoint=url, read_timeout=3.0))


class TestObstore(_Contract):
    engine = "obstore"
    reports_retry_after = False
    # The SDK lists, see below.
    test_a_listing_may_be_longer_than_a_page = None
    test_a_listing_is_fetched_page_by_page = None


class TestSdk(_Contract):
    engine = "sdk"
    reports_retry_after = False  # of an answer that is not XML, minio keeps no headers
