"""Storage providers `dcache` and `webdav`: dCache, and any other WebDAV server. No SDK is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faas_supervisor import hookimpl
from faas_supervisor.storage import ProviderSpec
from faas_supervisor_dcache.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.storage import StorageProvider

__all__ = ["Settings", "faas_supervisor_storage_providers"]


@hookimpl
def faas_supervisor_storage_providers() -> Iterable[ProviderSpec]:
    """Offer the types `dcache` and `webdav`; they differ in name only."""
    return [
        ProviderSpec("dcache", Settings, _make, summary="dCache, through its WebDAV door."),
        ProviderSpec("webdav", Settings, _make, summary="Any WebDAV server."),
    ]


def _make(settings: Settings) -> StorageProvider:
    from faas_supervisor_dcache.provider import make_provider  # noqa: PLC0415  # brings httpx and webdav4

    return make_provider(settings)
