"""The hook: what this plugin offers. Imported at start-up, so it imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from faas_supervisor import hookimpl
from faas_supervisor.errors import EventError
from faas_supervisor.events import Event, Record
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


@hookimpl
def faas_supervisor_decode_event(document: object) -> Event | None:
    """Understand `{"sqlite": "<id>", "paths": ["folder/name", ...]}`; whatever else it is, is not ours."""
    if not isinstance(document, dict) or not isinstance(document.get("sqlite"), str):
        return None
    paths = document.get("paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise EventError("the event of sqlite has no list of paths")
    provider = f"sqlite.{document['sqlite']}"
    records = (Record(path.rpartition("/")[2], provider=provider, path=path, key=path) for path in paths)
    return Event("sqlite", tuple(records))
