"""What events come wrapped in: each recogniser opens one kind of envelope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from faas_supervisor.events._message import Wrapped, parse

if TYPE_CHECKING:
    from faas_supervisor.events._message import Message

__all__ = ["delegation"]


def delegation(message: Message) -> Wrapped | None:
    """Recognise OSCAR's `{"storage_provider": "minio.cluster", "event": "{…}"}`.

    The innermost provider counts: the cluster that delegates first wraps the event with the name of its own
    storage, and clusters that delegate it further keep that name.
    """
    document = message.document
    if not isinstance(document, dict):
        return None
    provider, event = document.get("storage_provider"), document.get("event")
    if not isinstance(provider, str) or not provider:
        return None
    if isinstance(event, dict):
        inner = message.holding(event)
    elif isinstance(event, str) and isinstance(parse(event.encode("utf-8", "surrogatepass")), dict):
        inner = message.inside(event)
    else:
        return None
    return Wrapped("oscar-delegation", (replace(inner, provider=provider),))
