"""Storage provider `minio`: MinIO's objects, and events from its notifications. No SDK is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faas_supervisor import hookimpl
from faas_supervisor.storage import ProviderSpec
from faas_supervisor_minio.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.storage import StorageProvider

__all__ = ["Settings", "faas_supervisor_listen", "faas_supervisor_storage_providers"]


@hookimpl
def faas_supervisor_storage_providers() -> Iterable[ProviderSpec]:
    """Offer the type `minio`."""
    return [ProviderSpec("minio", Settings, _make, summary="MinIO, with a stream of events for `listen`.")]


@hookimpl
def faas_supervisor_listen(provider: StorageProvider, path: str) -> Iterable[bytes] | None:
    """Return the uploads below `path` as MinIO's own stream tells them."""
    from faas_supervisor_minio.provider import MinioProvider  # noqa: PLC0415  # see _make

    return provider.listen(path) if isinstance(provider, MinioProvider) else None


def _make(settings: Settings) -> StorageProvider:
    from faas_supervisor_minio.provider import make_provider  # noqa: PLC0415  # brings the engine and its library

    return make_provider(settings)
