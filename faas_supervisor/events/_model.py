"""What an event is once it is understood."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["PAYLOAD_NAME", "Event", "Record"]

PAYLOAD_NAME: Final = "event-file"
"""The local name of an event's own data, where no file name came with it."""


@value
class Record:
    """One file that an event speaks of, or the payload that came with it.

    Attributes:
        provider: `type.id` where the event names the provider, else the bare type; None for a payload.
        path: The remote path as the provider takes it (`bucket/key`); None for a payload, and with `subscription`.
        name: The last segment of the path: what the local file will be called.
        size: Bytes; None where the event does not tell.
        etag: The content that the event speaks of, without quotes.
        version: The version that the event speaks of.
        time: When it happened, as the sender wrote it.
        key: The object's key as scripts know it (`STORAGE_OBJECT_KEY`); below the bucket in object stores.
        data: The payload itself; None for a file.
        file: The file that holds the payload, where it is too large for `data`.
        subscription: The dCache subscription that the event came through. Such an event tells a file's name
            but not its folder, which is that of the configured input.
        variables: What this record alone adds to the script's environment, over those of its event.
    """

    name: str
    provider: str | None = None
    path: str | None = None
    size: int | None = None
    etag: str | None = None
    version: str | None = None
    time: str | None = None
    key: str | None = None
    data: bytes | None = field(default=None, repr=False)
    file: Path | None = None
    subscription: str | None = None
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_payload(self) -> bool:
        """Whether the event brought the data itself, so that whoever sent it waits for an answer."""
        return self.data is not None or self.file is not None


@value
class Event:
    """One event: what is to be processed, or the reason why nothing is.

    Attributes:
        type: The sender's format, such as `minio`, `s3` or `unknown`; `mixed` where there are several.
        records: What to process; empty when `skipped` says why.
        skipped: Why there is nothing to do, for a person.
        notes: One sentence for each record that was left out of an event that has others, and for whatever
            else in it was not taken as it came.
        envelopes: What the event was wrapped in, outermost first.
        id: The sender's id of the event, if it has one.
        raw: The bytes that arrived; empty where they are in a file.
        variables: What the event adds to the script's environment.
    """

    type: str
    records: tuple[Record, ...] = ()
    skipped: str | None = None
    notes: tuple[str, ...] = ()
    envelopes: tuple[str, ...] = ()
    id: str | None = None
    raw: bytes = field(default=b"", repr=False)
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
