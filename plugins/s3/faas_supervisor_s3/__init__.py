"""Storage provider `s3`: Amazon S3 and stores that speak its protocol. No SDK is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faas_supervisor import hookimpl
from faas_supervisor.storage import ProviderSpec
from faas_supervisor_s3.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.storage import StorageProvider

__all__ = ["Settings", "faas_supervisor_storage_providers"]


@hookimpl
def faas_supervisor_storage_providers() -> Iterable[ProviderSpec]:
    """Offer the type `s3`."""
    return [ProviderSpec("s3", Settings, _make, summary="Amazon S3 and stores that speak its protocol.")]


def _make(settings: Settings) -> StorageProvider:
    from faas_supervisor_s3.provider import make_provider  # noqa: PLC0415  # brings the engine and its library

    return make_provider(settings)
