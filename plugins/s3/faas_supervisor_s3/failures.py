"""What went wrong, in our words: S3's error codes, HTTP statuses and broken connections as `StorageError`s."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import (
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

    from faas_supervisor.storage import ObjectRef

__all__ = ["UNEXPLAINED", "NoSuchBucket", "PreconditionFailed", "answered", "pinned", "told_in", "unreachable"]


class NoSuchBucket(NotFound):
    """Not only the object is missing."""


class PreconditionFailed(IntegrityError):
    """The object is no longer of the ETag that the request asked for."""


UNEXPLAINED: Final = (400, 403, 404)
"""Answers to a HEAD, which has no body, that leave open what is wrong; the same request as a GET tells."""

_LONGEST_MESSAGE: Final = 200

_KEYS: Final = "check access_key and secret_key"
_EXPIRED: Final = "the temporary credentials have run out; renew them"
_REGION: Final = "set region to the one that the bucket lives in"

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and, where they begin with XMinio,
# MinIO's cmd/api-errors.go. Hints only where there is something to do.
_BY_CODE: Final[dict[str, tuple[type[StorageError], str]]] = {
    "NoSuchKey": (NotFound, ""),
    "NoSuchVersion": (NotFound, ""),
    "NoSuchBucket": (NoSuchBucket, "check the path's first segment, or create the bucket"),
    "AccessDenied": (PermissionDenied, "ask for a policy that allows this to these keys"),
    "AllAccessDisabled": (PermissionDenied, ""),
    "AccountProblem": (PermissionDenied, ""),
    "InvalidObjectState": (PermissionDenied, "the object is archived; restore it first"),
    "InvalidAccessKeyId": (AuthenticationFailed, "check access_key; the store doesn't know it"),
    "SignatureDoesNotMatch": (AuthenticationFailed, "check secret_key; it doesn't belong to this access_key"),
    "ExpiredToken": (AuthenticationFailed, _EXPIRED),
    "TokenRefreshRequired": (AuthenticationFailed, _EXPIRED),
    "InvalidToken": (AuthenticationFailed, "check session_token"),
    "InvalidTokenId": (AuthenticationFailed, "check session_token"),
    "InvalidClientTokenId": (AuthenticationFailed, _KEYS),
    "ExpiredTokenException": (AuthenticationFailed, _EXPIRED),
    "InvalidIdentityToken": (AuthenticationFailed, "check web_identity_token_file"),
    "IDPRejectedClaim": (AuthenticationFailed, "check web_identity_token_file"),
    "AuthFailure": (AuthenticationFailed, _KEYS),
    "RequestTimeTooSkewed": (AuthenticationFailed, "set this machine's clock; it differs from the server's"),
    "RequestExpired": (AuthenticationFailed, "set this machine's clock; it differs from the server's"),
    "QuotaExceeded": (InsufficientStorage, ""),
    "InsufficientStorage": (InsufficientStorage, ""),
    "XMinioStorageFull": (InsufficientStorage, ""),
    "XMinioAdminBucketQuotaExceeded": (InsufficientStorage, ""),
    "PreconditionFailed": (PreconditionFailed, ""),
    "BadDigest": (IntegrityError, ""),
    "InvalidPart": (IntegrityError, ""),
    "IncompleteBody": (IntegrityError, ""),
    "InvalidRange": (IntegrityError, ""),
    "XAmzContentSHA256Mismatch": (IntegrityError, ""),
    "SlowDown": (Throttled, ""),
    "SlowDownRead": (Throttled, ""),
    "SlowDownWrite": (Throttled, ""),
    "ServiceUnavailable": (Throttled, ""),
    "TooManyRequests": (Throttled, ""),
    "RequestLimitExceeded": (Throttled, ""),
    "Throttling": (Throttled, ""),
    "ThrottlingException": (Throttled, ""),
    "NoSuchUpload": (Unavailable, ""),
    "InternalError": (Unavailable, ""),
    "OperationAborted": (Unavailable, ""),
    "RequestTimeout": (Unavailable, ""),
    "TemporaryRedirect": (Unavailable, ""),
    "XMinioServerNotInitialized": (Unavailable, ""),
    "KeyTooLongError": (InvalidPath, "S3 takes keys of up to 1,024 bytes"),
    "InvalidURI": (InvalidPath, ""),
    "InvalidBucketName": (InvalidPath, ""),
    "XMinioInvalidObjectName": (InvalidPath, ""),
    "XMinioInvalidResourceName": (InvalidPath, ""),
    "AuthorizationHeaderMalformed": (InvalidConfiguration, _REGION),
    "IllegalLocationConstraintException": (InvalidConfiguration, _REGION),
    "PermanentRedirect": (InvalidConfiguration, _REGION),
    "MethodNotAllowed": (Unsupported, ""),
    "NotImplemented": (Unsupported, ""),
}

_BY_STATUS: Final[dict[int, type[StorageError]]] = {
    301: InvalidConfiguration,
    302: InvalidConfiguration,
    307: InvalidConfiguration,
    308: InvalidConfiguration,
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    405: Unsupported,
    407: InvalidConfiguration,
    408: Unavailable,
    412: PreconditionFailed,
    416: IntegrityError,
    429: Throttled,
    501: Unsupported,
    503: Throttled,
    507: InsufficientStorage,
}

_CODE: Final = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]*)</Message>")

_REDIRECTS: Final = (301, 302, 307, 308)

_SERVER_ERRORS: Final = 500

_HTTP: Final = "the port speaks plain HTTP; write the endpoint with http://"

# What hyper and rustls (obstore), botocore and urllib3 (both SDKs) write when no answer came; the first that
# is found wins.
_BROKEN: Final[tuple[tuple[tuple[str, ...], type[StorageError], str, str], ...]] = (
    (
        ("dns error", "NameResolution", "Failed to resolve", "Name or service not known", "Temporary failure in name"),
        Unavailable,
        "the name does not resolve",
        "check the endpoint, and whether this pod may ask the DNS",
    ),
    (
        ("InvalidCertificate", "CERTIFICATE_VERIFY_FAILED", "certificate verify failed"),
        InvalidConfiguration,
        "the server's certificate is not trusted",
        "set ca_bundle to the PEM file of its authority",
    ),
    (
        ("InvalidContentType", "WRONG_VERSION_NUMBER", "record layer failure"),
        InvalidConfiguration,
        "the server does not speak TLS",
        _HTTP,
    ),
    (
        ("TunnelUnsuccessful", "ProxyError", "proxy error", "Tunnel connection failed", "Cannot connect to proxy"),
        Unavailable,
        "the proxy does not let us through",
        "check HTTPS_PROXY and NO_PROXY",
    ),
    (("ConnectionRefused", "Connection refused"), Unavailable, "connection refused", "check the endpoint's port"),
    (
        ("TimedOut", "timed out", "Timeout"),
        Unavailable,
        "the server went silent, or never answered",
        "check the endpoint and the network policies on the way",
    ),
)

_CUT: Final = "the connection was cut"


def answered(
    status: int,
    code: str,
    message: str,
    *,
    path: str,
    endpoint: str,
    retry_after: float | None = None,
) -> StorageError:
    """Return the error for an answer of the server: by its code, else by its HTTP status."""
    kind, hint = _BY_CODE.get(code) or (_kind_of(status), "")
    text = _short(message) or (f"the server answered {status}" if status else "the server refused")
    if kind is NoSuchBucket:
        text = f"there is no bucket {path.partition('/')[0]!r}"
    elif status in _REDIRECTS and not code:
        text, hint = "the server redirects elsewhere", "set endpoint to where it redirects"
    elif kind is PreconditionFailed:
        text = "the object changed meanwhile"
    elif kind is NotFound and not message:
        text = "there is no such object"
    elif kind is PermissionDenied and not message:
        hint = f"{_KEYS}, and what they are allowed to do"
    elif "HTTPS server" in message:
        kind, hint = InvalidConfiguration, "the port speaks TLS; write the endpoint with https://"
    named = f"{code}: {text}" if code and not issubclass(kind, (NotFound, PreconditionFailed)) else text
    return kind(named, path=path, endpoint=endpoint, hint=hint, retry_after=retry_after)


def told_in(text: str) -> tuple[str, str]:
    """Return the code and the message of the S3 error that `text` holds; empty where it holds none."""
    code, message = _CODE.search(text), _MESSAGE.search(text)
    return code[1] if code else "", message[1] if message else ""


def unreachable(text: str, *, path: str, endpoint: str) -> StorageError:
    """Return the error for a request that got no whole answer; `text` is all that the library tells."""
    for marks, kind, message, hint in _BROKEN:
        if any(mark in text for mark in marks):
            return kind(message, path=path, endpoint=endpoint, hint=hint)
    return Unavailable(_CUT, path=path, endpoint=endpoint)


@contextmanager
def pinned(source: ObjectRef) -> Iterator[None]:
    """Say what an answer means for an object of which an event has named the version or the content."""
    try:
        yield
    except PreconditionFailed as error:
        raise NotFound(
            "the object has changed since the event",
            path=source.path,
            endpoint=error.endpoint,
            hint="its new content is the matter of an event of its own",
        ) from error.__cause__
    except NotFound as error:
        if source.version is None or isinstance(error, NoSuchBucket):
            raise
        message = f"version {source.version} of the object, of which the event spoke, is no longer there"
        raise NotFound(message, path=source.path, endpoint=error.endpoint) from error.__cause__


def _kind_of(status: int) -> type[StorageError]:
    return _BY_STATUS.get(status) or (Unavailable if status >= _SERVER_ERRORS else StorageError)


def _short(message: str) -> str:
    """Return the first line of a server's message, masked: it may repeat the request that was signed."""
    if "&" in message:
        import html  # noqa: PLC0415  # brings a large table

        message = html.unescape(message)
    line = mask(" ".join(message.split()))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
