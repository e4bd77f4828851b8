"""What went wrong, in our words: Onedata's error JSON, HTTP statuses and broken connections as `StorageError`s."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from onedatafilerestclient.errors import OnedataError, OnedataRESTError, ReadonlyTokenError
from requests import exceptions

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

__all__ = ["WrongKind", "answered", "translated", "unreachable"]


class WrongKind(NotFound):
    """There is something, but a folder where a file has to be, or a file where a folder has to be."""


# Modules that take answers apart: what they stumble over is a fault of the answer.
_READERS: Final = ("onedatafilerestclient", "faas_supervisor_onedata.spaces")

_LONGEST_MESSAGE: Final = 200
_SERVER_ERRORS: Final = 500
_NOT_FOUND: Final = 404

_RENEW: Final = "renew the token, and check that its caveats allow the REST interface from here"

# Onedata answers every POSIX error with status 400 and this name in `details`; hints only where there is
# something to do. https://onedata.org/#/home/api/stable/oneprovider
_BY_ERRNO: Final[dict[str, tuple[type[StorageError], str, str]]] = {
    "enoent": (NotFound, "there is no such file", ""),
    "enotdir": (WrongKind, "a part of the path is a file, not a folder", ""),
    "eisdir": (WrongKind, "this is a folder", ""),
    "eexist": (AlreadyExists, "there is a file of this name", ""),
    "eacces": (PermissionDenied, "the space refuses this", "ask for the permission, or look at the token's caveats"),
    "eperm": (PermissionDenied, "the space refuses this", "ask for the permission, or look at the token's caveats"),
    "erofs": (PermissionDenied, "the Oneprovider may only read this space", ""),
    "enospc": (InsufficientStorage, "the Oneprovider has no room left for this space", "ask for a larger support"),
    "edquot": (InsufficientStorage, "the quota is used up", "ask for a larger support"),
    "enametoolong": (InvalidPath, "the name is too long", ""),
    "enotsup": (Unsupported, "the storage can't do this", ""),
    "eagain": (Unavailable, "the Oneprovider is busy", ""),
    "ebusy": (Unavailable, "the Oneprovider is busy", ""),
    "eio": (Unavailable, "the storage behind the Oneprovider fails", ""),
    "etimedout": (Unavailable, "the storage behind the Oneprovider does not answer", ""),
}

# The other names of errors that say more than their status; ctool's errors.
_BY_ID: Final[dict[str, tuple[type[StorageError], str]]] = {
    "badValueFilePath": (InvalidPath, ""),
    "badValueToken": (AuthenticationFailed, _RENEW),
    "fileNotFound": (NotFound, ""),
    "spaceNotSupportedBy": (InvalidConfiguration, "choose a space that a Oneprovider supports"),
    "spaceNotSupported": (InvalidConfiguration, "choose a space that a Oneprovider supports"),
    "tokenInvalid": (AuthenticationFailed, _RENEW),
}

_BY_STATUS: Final[dict[int, tuple[type[StorageError], str]]] = {
    401: (AuthenticationFailed, _RENEW),
    403: (PermissionDenied, "ask for the privilege, or look at the token's caveats"),
    404: (NotFound, ""),
    407: (InvalidConfiguration, "check HTTPS_PROXY"),
    408: (Unavailable, ""),
    409: (AlreadyExists, ""),
    416: (IntegrityError, ""),
    429: (Throttled, ""),
    501: (Unsupported, ""),
    503: (Throttled, ""),
    507: (InsufficientStorage, ""),
}

# What urllib3 and OpenSSL write when no answer came; the first that is found wins.
_BROKEN: Final[tuple[tuple[tuple[str, ...], type[StorageError], str, str], ...]] = (
    (
        ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed"),
        InvalidConfiguration,
        "the server's certificate is not trusted",
        "set ca_bundle to the PEM file of its authority",
    ),
    (
        ("WRONG_VERSION_NUMBER", "record layer failure"),
        InvalidConfiguration,
        "the server does not speak TLS",
        "check the port; Onedata is reached by https alone",
    ),
    (
        ("NameResolution", "Failed to resolve"),
        Unavailable,
        "the name does not resolve",
        "check oneprovider_host and onezone_host, and whether this pod may ask the DNS",
    ),
    (
        ("ProxyError", "Cannot connect to proxy", "Tunnel connection failed"),
        Unavailable,
        "the proxy does not let us through",
        "check HTTPS_PROXY and NO_PROXY",
    ),
    (("Connection refused",), Unavailable, "connection refused", "check the host and its port"),
    (
        ("timed out", "Timeout"),
        Unavailable,
        "the server went silent, or never answered",
        "check the host and the network policies on the way",
    ),
)


def answered(
    status: int, url: str, error: dict[str, Any], *, path: str = "", retry_after: float | None = None
) -> StorageError:
    """Return the error for an answer of `status` from `url`, with Onedata's error JSON where it had one."""
    identifier, told = str(error.get("id") or ""), _short(str(error.get("description") or ""))
    details = error.get("details")
    errno = str(details.get("errno") or "") if isinstance(details, dict) else ""
    parts = urlsplit(url)
    endpoint = f"{parts.scheme}://{parts.netloc}"
    if errno in _BY_ERRNO:
        # Not by the status: it is 400 whatever happened, so 404 never means a missing file.
        kind, message, hint = _BY_ERRNO[errno]
        return kind(message, path=path, endpoint=endpoint, hint=hint)
    if status == _NOT_FOUND and parts.path.endswith(("/configuration", "/infer_access_token_scope")):
        hint = "check oneprovider_host and onezone_host: each has to be of its kind"
        return InvalidConfiguration("the host does not speak Onedata's interface", endpoint=endpoint, hint=hint)
    kind, hint = _BY_ID.get(identifier) or _BY_STATUS.get(status) or (_kind_of(status), "")
    message = told or f"the server answered {status}"
    message = f"{identifier}: {message}" if identifier else message
    return kind(message, path=path, endpoint=endpoint, hint=hint, retry_after=retry_after)


def unreachable(error: Exception, *, path: str, endpoint: str) -> StorageError:
    """Return the error for a request that got no whole answer."""
    request = getattr(error, "request", None)
    if request is not None and request.url:
        parts = urlsplit(str(request.url))
        endpoint = f"{parts.scheme}://{parts.netloc}"
    if isinstance(error, exceptions.InvalidJSONError):
        return _not_onedata(path, endpoint)
    if isinstance(error, (exceptions.InvalidURL, exceptions.MissingSchema, exceptions.InvalidSchema)):
        return InvalidConfiguration("the host is no host", path=path, endpoint=endpoint, hint="check its spelling")
    text = f"{type(error).__name__}: {error}"
    for marks, kind, message, hint in _BROKEN:
        if any(mark in text for mark in marks):
            return kind(message, path=path, endpoint=endpoint, hint=hint)
    return Unavailable("the connection was cut", path=path, endpoint=endpoint)


@contextmanager
def translated(path: str, endpoint: str) -> Iterator[None]:
    """Raise what the client and requests raise as a StorageError."""
    try:
        yield
    except StorageError as error:
        error.path = error.path or path  # those from the client's sessions know no path
        raise
    except exceptions.RequestException as error:
        # Not only OnedataError: a cut is a ChunkedEncodingError, a stall a ConnectionError.
        raise unreachable(error, path=path, endpoint=endpoint) from error
    except OnedataError as error:
        raise _of_client(error, path, endpoint) from error
    except (KeyError, ValueError, TypeError) as error:
        modules = _modules(error)
        if not any(name.startswith(_READERS) for name in modules):
            raise
        if isinstance(error, TypeError) and modules[-1] == "onedatafilerestclient.http_client":
            # At a 403, the client logs the length of the request's body, and there mostly is none.
            message = "the server refuses this"
            raise PermissionDenied(message, path=path, endpoint=endpoint, hint=_BY_STATUS[403][1]) from error
        raise _not_onedata(path, endpoint) from error


def _of_client(error: OnedataError, path: str, endpoint: str) -> StorageError:
    if isinstance(error, ReadonlyTokenError):
        message, hint = "the token allows reading only", "make a token without the caveat 'read only'"
        return PermissionDenied(message, path=path, endpoint=endpoint, hint=hint)
    if isinstance(error, OnedataRESTError):  # the client makes some itself, without asking
        details = error.details if isinstance(error.details, dict) else {}
        told = {"id": error.category, "description": error.description, "details": details}
        return answered(error.http_code, endpoint, told, path=path)
    return StorageError(_short(str(error)), path=path, endpoint=endpoint)


def _not_onedata(path: str, endpoint: str) -> StorageError:
    hint = "check oneprovider_host and onezone_host, and whether a proxy answers in their place"
    return StorageError("the answer is not what Onedata promises", path=path, endpoint=endpoint, hint=hint)


def _modules(error: Exception) -> list[str]:
    """Return the modules that the error came through, the one that raised it last."""
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append(str(trace.tb_frame.f_globals.get("__name__", "")))
        trace = trace.tb_next
    return found


def _kind_of(status: int) -> type[StorageError]:
    return Unavailable if status >= _SERVER_ERRORS else StorageError


def _short(message: str) -> str:
    """Return a server's message as one line, masked: it may repeat the request."""
    line = mask(" ".join(message.split()))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
