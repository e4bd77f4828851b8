"""An event's body: bytes, or a file where it is large. A body that no event can be is never held in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError, NoSpace
from faas_supervisor.events import LARGEST, decode
from faas_supervisor.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from faas_supervisor.events import Event

__all__ = ["decoded"]

_PIECE: Final = 1024 * 1024


def decoded(
    body: bytes | Path, headers: Mapping[str, str], decoder: Callable[[object, Mapping[str, str]], Event | None]
) -> Event:
    """Return the event that `body` is; see `decode`. The payload of a large one stays in a file.

    Raises:
        EventError: It can't be understood or read.
        NoSpace: There is no room for what it decodes to.
    """
    if isinstance(body, bytes):
        return decode(body, headers=headers, decoder=decoder)
    try:
        size = body.stat().st_size
        if size <= LARGEST:
            return decode(body.read_bytes(), headers=headers, decoder=decoder)
    except OSError as error:
        raise EventError(f"the event's body can't be read: {error}") from error
    return _large(body, headers)


def _large(body: Path, headers: Mapping[str, str]) -> Event:
    """Return an event whose payload is the file `body`; what its headers tell is asked of an empty one."""
    event = decode(b"", headers=headers)
    exact = bool(event.envelopes)  # the sender said what the data is: no encoding to be guessed
    file = body if exact else _plain(body)
    record = replace(event.records[0], data=None, file=file, size=file.stat().st_size)
    return replace(event, records=(record,))


def _plain(body: Path) -> Path:
    """Return the file that `body` is in base64, if it is, else itself."""
    from faas_supervisor.events._text import Base64Text, NotBase64  # noqa: PLC0415  # large bodies only

    target = body.with_name(f"{body.name}.decoded")
    text = Base64Text()
    try:
        with body.open("rb") as source, target.open("xb") as stream:
            while piece := source.read(_PIECE):
                stream.write(text.feed(piece))
        meant = text.end()
    except NotBase64:
        meant = False
    except OSError as error:
        target.unlink(missing_ok=True)
        raise NoSpace(f"the event's data can't be decoded: {error}") from error
    (body if meant else target).unlink()
    return target if meant else body
