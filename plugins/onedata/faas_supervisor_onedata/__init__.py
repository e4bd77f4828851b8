"""Storage provider `onedata`: files in a Onedata space. The client is not imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faas_supervisor import hookimpl
from faas_supervisor.storage import ProviderSpec
from faas_supervisor_onedata.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.storage import StorageProvider

__all__ = ["Settings", "faas_supervisor_storage_providers"]


@hookimpl
def faas_supervisor_storage_providers() -> Iterable[ProviderSpec]:
    """Offer the type `onedata`."""
    return [ProviderSpec("onedata", Settings, _make, summary="Files in a Onedata space.", locate=_locate)]


def _locate(settings: Settings, path: str) -> str | None:
    """Return the path below the space for one that begins with the space, as events tell it."""
    space, _, below = path.partition("/")
    return below if below and space == settings.space.partition("@")[0] else None


def _make(settings: Settings) -> StorageProvider:
    from faas_supervisor_onedata.provider import OnedataProvider  # noqa: PLC0415  # brings the client, and requests

    return OnedataProvider(settings)
