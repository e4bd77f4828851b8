"""The hook: what this plugin offers. Imported at start-up, so it imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from faas_supervisor import hookimpl
from faas_supervisor.storage import ProviderSpec, StorageProvider, setting


@dataclass(frozen=True, slots=True)
class SqliteSettings:
    """What a user writes below `storage_providers.sqlite.<id>`."""

    database: str = setting("The file that holds the objects; made when it isn't there.")
    timeout: float = setting("Seconds to wait for another writer.", default=30.0)


def _make(settings: SqliteSettings) -> StorageProvider:
    from faas_supervisor_sqlite.provider import SqliteProvider  # the SDK comes with it, so not before it is needed

    return SqliteProvider(settings)


@hookimpl
def faas_supervisor_storage_providers() -> list[ProviderSpec]:
    """Offer the provider type `sqlite`."""
    return [ProviderSpec(type="sqlite", settings=SqliteSettings, factory=_make, summary="Objects in a SQLite file.")]
