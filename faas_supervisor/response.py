"""What the script says about the HTTP response: a status and headers, in a file that it may write.

The script is not trusted with the connection: what would break the framing of HTTP, or another request's, is refused.
"""

from __future__ import annotations

import json
import os
import re
import stat
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import OutputError, printable
from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Response", "read_response"]

_LARGEST: Final = 64 * 1024
_MOST_HEADERS: Final = 64
_LONGEST_VALUE: Final = 8 * 1024
_STATUSES: Final = range(200, 600)

# RFC 9110, 5.6.2 (token) and 5.5 (field values; what isn't ASCII is obsolete).
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")

# Those of the connection (RFC 9110, 7.6.1) and of the message's length: they are the server's.
_RESERVED: Final = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    }
)


@value
class Response:
    """A status, and headers by their names as the script wrote them."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def content_type(self) -> str | None:
        """The type of the body, where the script tells it."""
        return next((text for name, text in self.headers.items() if name.lower() == "content-type"), None)


def read_response(file: Path) -> Response | None:
    """Return what the script wrote; None if nothing.

    Raises:
        OutputError: It wrote something that can't be a response.
    """
    try:
        data = _content(file)
        return None if data is None else _response(json.loads(data))
    except (ValueError, RecursionError) as error:  # JSON's own, and those below
        raise OutputError(
            f"the script's response.json is no good: {printable(str(error))}",
            hint='write {"status": 404, "headers": {"Content-Type": "text/plain"}}',
        ) from error


def _content(file: Path) -> bytes | None:
    try:
        # Neither a FIFO nor a link leads us anywhere.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"it can't be opened: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a file")
        data = os.read(handle, _LARGEST + 1)
    finally:
        os.close(handle)
    if len(data) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} bytes")
    return data


def _response(document: object) -> Response:
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # the family of faults in what is read
    unknown = document.keys() - {"status", "headers"}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r}")
    status, headers = document.get("status", 200), document.get("headers", {})
    if type(status) is not int or status not in _STATUSES:  # True is an int, too
        raise ValueError(f"status must be a number from {_STATUSES.start} to {_STATUSES.stop - 1}")
    if not isinstance(headers, dict) or len(headers) > _MOST_HEADERS:
        raise ValueError(f"headers must be an object of at most {_MOST_HEADERS} entries")
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is there twice")
    return Response(status, MappingProxyType({name: _harmless(name, text) for name, text in headers.items()}))


def _harmless(name: str, text: object) -> str:
    """Return the value of a header, without the white space around it, which is no part of it (RFC 9110, 5.5)."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} can't be the name of a header")
    if name.lower() in _RESERVED:
        raise ValueError(f"the header {name} belongs to the server")
    if not isinstance(text, str) or len(text) > _LONGEST_VALUE or not _VALUE.fullmatch(text):
        raise ValueError(f"the header {name} must be text: printable ASCII, at most {_LONGEST_VALUE} characters")
    text = text.strip(" \t")
    if name.lower() == "transfer-encoding" and text.lower() != "chunked":
        raise ValueError("Transfer-Encoding can be nothing but chunked")
    return text
