"""An event as a JSON document, for `supervisor event decode`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from faas_supervisor.events._model import Event

__all__ = ["describe"]

_FIELDS: Final = ("provider", "path", "name", "size", "etag", "version", "time")


def describe(event: Event) -> dict[str, Any]:
    """Return what the event means; `envelopes` and `notes` only where there are any."""
    described: dict[str, Any] = {
        "type": event.type,
        "records": [{name: getattr(record, name) for name in _FIELDS} for record in event.records],
        "skipped": event.skipped,
    }
    if event.envelopes:
        described["envelopes"] = list(event.envelopes)
    if event.notes:
        described["notes"] = list(event.notes)
    return described
