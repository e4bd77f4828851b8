"""What went wrong, in our words: HTTP statuses, broken connections and bad answers as `StorageError`s."""

from __future__ import annotations

import time
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import httpx

from faas_supervisor.errors import (
    AlreadyExists,
    AuthenticationFailed,
    InsufficientStorage,
    IntegrityError,
    InvalidConfiguration,
    InvalidPath,
    NotFound,
    PermissionDenied,
    StorageError,
    Throttled,
    Unavailable,
    Unsupported,
)
from faas_supervisor.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["answered", "translated", "unreachable"]

_LONGEST_MESSAGE: Final = 200
_LONGEST_BODY: Final = 4096

_BY_STATUS: Final[dict[int, tuple[type[StorageError], str]]] = {
    206: (IntegrityError, "the server sent a part of the object, which nobody asked for"),
    401: (AuthenticationFailed, "the server refuses the credentials"),
    403: (PermissionDenied, "the server forbids this"),
    404: (NotFound, "there is no such object"),
    405: (Unsupported, "the server does not offer this"),
    407: (InvalidConfiguration, "the proxy asks for credentials"),
    408: (Unavailable, "the server gave up waiting"),
    409: (AlreadyExists, "the server can't put an object there"),
    410: (NotFound, "the object is gone"),
    412: (AlreadyExists, "the server refuses to replace an object"),
    414: (InvalidPath, "the path is too long for the server"),
    416: (IntegrityError, "the server refuses a range that nobody asked for"),
    423: (Unavailable, "the object is locked"),
    425: (Unavailable, "the server asks to come again"),
    429: (Throttled, "too many requests"),
    501: (Unsupported, "the server does not offer this"),
    503: (Throttled, "the server is busy"),
    507: (InsufficientStorage, "the storage is full, or the quota used up"),
}

_HINTS: Final[dict[type[StorageError], str]] = {
    AuthenticationFailed: "check login and password, or the token and when it expires",
    PermissionDenied: "check what the account, or the token by its scopes or caveats, may do with this path",
    InsufficientStorage: "make room, or ask for more",
}

_HTTP: Final = "the port speaks plain HTTP; write hostname with http://"

# What ssl, the resolver and httpcore write; the first that is found wins.
_BROKEN: Final[tuple[tuple[tuple[str, ...], type[StorageError], str, str], ...]] = (
    (
        ("Name or service not known", "Temporary failure in name", "No address associated", "nodename nor servname"),
        Unavailable,
        "the name does not resolve",
        "check hostname, and whether this pod may ask the DNS",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        InvalidConfiguration,
        "the server's certificate is not trusted",
        "set ca_bundle to the PEM file of its authority",
    ),
    (
        ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "record layer failure"),
        InvalidConfiguration,
        "the server does not speak TLS",
        _HTTP,
    ),
    (("Connection refused",), Unavailable, "connection refused", "check the port in hostname"),
)


def answered(response: httpx.Response, *, path: str, endpoint: str) -> StorageError:
    """Return the error for an answer that is no success; reads a little of its body, which may say why."""
    status = response.status_code
    kind, message = _BY_STATUS.get(status) or (
        (Unavailable, "the server failed") if status >= 500 else (StorageError, "the server refuses this")  # noqa: PLR2004
    )
    body = _body(response)
    said = _short(body) if response.headers.get("Content-Type", "text/plain").startswith("text/plain") else ""
    hint = _HINTS.get(kind, "")
    # dCache answers 400 for a body that is not what its checksum promised.
    if status == 400 and "checksum" in f"{response.reason_phrase} {said}".lower():  # noqa: PLR2004
        kind, message = IntegrityError, "the server received other bytes than were sent"
    elif status == 400 and "https" in body.lower():  # noqa: PLR2004
        kind, hint = InvalidConfiguration, "the port speaks TLS; write hostname with https://"
    text = f"{message} ({status}{f': {said}' if said else ''})"
    return kind(text, path=path, endpoint=endpoint, hint=hint, retry_after=_retry_after(response))


@contextmanager
def translated(path: str, endpoint: str) -> Iterator[None]:
    """Turn what httpx raises into our errors. Nothing else of it gets out, and answers are judged by `answered`."""
    try:
        yield
    except httpx.InvalidURL as error:
        raise InvalidConfiguration(f"no valid URL: {_short(str(error))}", path=path, endpoint=endpoint) from error
    except httpx.TransportError as error:
        # Also RemoteProtocolError, the common cut in the middle of a body, which webdav4 lets through as it is.
        raise unreachable(error, path=path, endpoint=endpoint) from error
    except httpx.HTTPError as error:
        raise StorageError(f"{type(error).__name__}: {_short(str(error))}", path=path, endpoint=endpoint) from error


def unreachable(error: httpx.TransportError, *, path: str, endpoint: str) -> StorageError:
    """Return the error for a request that got no whole answer."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout | httpx.WriteTimeout):
        hint = "check hostname and the network policies on the way"
        return Unavailable("the server went silent, or never answered", path=path, endpoint=endpoint, hint=hint)
    if isinstance(error, httpx.ProxyError):
        hint = "check HTTPS_PROXY and NO_PROXY"
        return Unavailable("the proxy does not let us through", path=path, endpoint=endpoint, hint=hint)
    text = str(error)
    for marks, kind, message, hint in _BROKEN:
        if any(mark in text for mark in marks):
            return kind(message, path=path, endpoint=endpoint, hint=hint)
    return Unavailable("the connection was cut", path=path, endpoint=endpoint)


def _body(response: httpx.Response) -> str:
    """Return the beginning of the body; dCache gives its reasons there."""
    body = b""
    try:
        for piece in response.iter_raw():
            body += piece
            if len(body) >= _LONGEST_BODY:
                break
    except (httpx.TransportError, httpx.StreamError):
        pass  # the status has come, and says enough
    return body[:_LONGEST_BODY].decode("utf-8", "replace")


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that the server asks us to wait, which it may also write as a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _short(text: str) -> str:
    """Return `text` on one line, masked: it may repeat a URL with a token or a pool's ticket."""
    line = mask("".join(char if char.isprintable() else " " for char in " ".join(text.split())))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
