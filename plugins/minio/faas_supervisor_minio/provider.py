"""The provider `minio`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faas_supervisor_s3.connection import Connection, endpoint_url
from faas_supervisor_s3.credentials import StaticKeys
from faas_supervisor_s3.provider import BucketProvider, fast_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor.storage import StorageProvider
    from faas_supervisor_minio.settings import Settings
    from faas_supervisor_s3.engine import Engine, ListingEngine

__all__ = ["MinioProvider", "make_provider"]


class MinioProvider(BucketProvider):
    """Objects in MinIO's buckets, and the stream of what is uploaded to them."""

    def __init__(self, fast: Engine | None, connection: Connection, keys: StaticKeys) -> None:
        super().__init__(fast, self._make_engine)
        self._connection = connection
        self._keys = keys

    def listen(self, path: str) -> Iterator[bytes]:
        """Yield an event for every upload below `path`; see `notifications.listen`."""
        from faas_supervisor_minio.notifications import listen  # noqa: PLC0415  # brings minio

        return listen(self._connection, self._keys, path)

    def _make_engine(self) -> ListingEngine:
        from faas_supervisor_minio.minio_engine import MinioEngine  # noqa: PLC0415  # brings minio: an eighth of a second

        return MinioEngine(self._connection, self._keys)


def make_provider(settings: Settings) -> StorageProvider:
    """Return the provider that `settings` describe.

    Raises:
        InvalidConfiguration: They can't work, whatever the server says.
    """
    keys = StaticKeys(settings.access_key, settings.secret_key, settings.session_token)
    connection = Connection(
        endpoint=endpoint_url(settings.endpoint),
        region=settings.region,
        verify=settings.verify,
        ca_bundle=settings.ca_bundle,
        read_timeout=settings.read_timeout,
    )
    return MinioProvider(fast_engine(settings.engine, connection, keys), connection, keys)
