"""The hooks that a plugin may implement; the entry-point group is `faas_supervisor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pluggy import HookspecMarker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faas_supervisor.events import Event
    from faas_supervisor.storage import ProviderSpec, StorageProvider

hookspec: Final = HookspecMarker("faas_supervisor")


@hookspec
def faas_supervisor_storage_providers() -> Iterable[ProviderSpec]:
    """Return the provider types that the plugin offers. No SDK is imported for this."""
    raise NotImplementedError


@hookspec(firstresult=True)
def faas_supervisor_decode_event(document: object, headers: Mapping[str, str]) -> Event | None:
    """Return the event that a JSON `document` holds, or None if its format is not this plugin's.

    Asked only for documents that the core does not know. Pure: no input or output.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def faas_supervisor_listen(provider: StorageProvider, path: str) -> Iterable[bytes] | None:
    """Return an endless stream of events, one for every upload below `path`; None if not this plugin's provider."""
    raise NotImplementedError


@hookspec
def faas_supervisor_check(provider: StorageProvider, path: str) -> Iterable[str]:
    """Return one sentence for each thing that is wrong with `path` on `provider`; for `supervisor check`."""
    raise NotImplementedError
