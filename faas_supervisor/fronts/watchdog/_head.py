"""The head of a request, and the variables that the classic watchdog makes of it."""

from __future__ import annotations

import os
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import h11

__all__ = ["LARGEST_HEAD", "BadRequest", "Head", "cgi_variables", "read_head"]


LARGEST_HEAD: Final = 1024 * 1024
"""Bytes, as in the classic watchdog."""


class BadRequest(Exception):
    """A request that can't be served; the message is for its sender.

    Attributes:
        status: What it is answered with.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@value
class Head:
    """What came before a request's body. Bytes that are not UTF-8 are kept as surrogates.

    Attributes:
        path: Decoded.
        query: As it was sent.
        headers: Names in lower case, of each the first value; without `Host`.
        length: Of the body in bytes; -1 when it comes in chunks.
        version: 1.0 or 1.1.
    """

    method: str
    path: str
    query: str
    host: str
    headers: Mapping[str, str]
    length: int
    version: str

    @property
    def raw(self) -> bool:
        """Whether the client wants bytes as they are rather than base64: `Accept: application/octet-stream`, `?raw`."""
        if not {"raw", "raw=", "raw=1", "raw=true"}.isdisjoint(self.query.split("&")):
            return True
        accepted = self.headers.get("accept", "").split(",")
        return any(one.partition(";")[0].strip().lower() == "application/octet-stream" for one in accepted)


def read_head(request: h11.Request) -> Head:
    """Return the head of `request`.

    Raises:
        BadRequest: It is too large, two readers could disagree about where the body ends, or the target is none.
    """
    if sum(len(name) + len(text) + 4 for name, text in request.headers) > LARGEST_HEAD:
        raise BadRequest("the headers are too large", 431)
    if request.http_version not in {b"1.0", b"1.1"}:
        raise BadRequest("only HTTP/1.0 and HTTP/1.1 are spoken here", 505)
    named = [(name.decode("ascii"), os.fsdecode(text)) for name, text in request.headers]
    chunked = any(name == "transfer-encoding" for name, _ in named)
    length = next((int(text) for name, text in named if name == "content-length"), 0)
    # RFC 9112, 6.1 and 6.3: allowed, and how requests are smuggled past a proxy that reads the other one.
    if chunked and any(name == "content-length" for name, _ in named):
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
    if chunked and request.http_version < b"1.1":
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
    path, query, authority = _split(request.target.decode("ascii"))
    headers = dict(reversed(named))  # of several with one name the first one stays
    # Go takes these two out of the headers; the classic watchdog gives them as variables of their own.
    host = headers.pop("host", "")
    headers.pop("transfer-encoding", None)
    return Head(
        method=request.method.decode("ascii"),
        path=path,
        query=query,
        host=authority or host,
        headers=MappingProxyType(headers),
        length=-1 if chunked else length,
        version=request.http_version.decode("ascii"),
    )


def _split(target: str) -> tuple[str, str, str]:
    """Return path, query and authority of a request's target."""
    authority = ""
    if absolute := re.fullmatch(r"https?://([^/?]+)(.*)", target, re.IGNORECASE):
        authority, target = absolute.groups()
    path, _, query = target.partition("?")
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise BadRequest("the path has an incomplete escape")
    decoded = unquote_to_bytes(path)
    if b"\0" in decoded:
        raise BadRequest("the path has a NUL character, which no script can be told of")
    return os.fsdecode(decoded), query, authority


def cgi_variables(head: Head) -> dict[str, str]:
    """Return what the classic watchdog tells a program about a request (`cgi_headers`)."""
    variables = {f"Http_{_canonical(name)}": text for name, text in head.headers.items()}
    variables["Http_Method"] = head.method
    variables["Http_ContentLength"] = variables["Http_Content_Length"] = str(head.length)
    if head.length < 0:
        variables["Http_Transfer_Encoding"] = "chunked"
    rest = {"Http_Query": head.query, "Http_Path": head.path, "Http_Host": head.host}
    return variables | {name: text for name, text in rest.items() if text}


def _canonical(name: str) -> str:
    """Write a header's name as Go does, with underscores for hyphens: `x-FOO` becomes `X_Foo`."""
    return "_".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))
