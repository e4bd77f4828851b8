"""What botocore, boto3 and s3transfer raise, as StorageErrors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    InvalidConfigError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from faas_supervisor.errors import (
    AuthenticationFailed,
    Cancelled,
    InvalidConfiguration,
    InvalidPath,
    StorageError,
    SupervisorError,
)
from faas_supervisor_s3.failures import answered, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["translated"]

_NO_KEYS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, TokenRetrievalError)


@contextmanager
def translated(path: str, endpoint: str) -> Iterator[None]:
    """Raise what boto3 raises as a StorageError."""
    try:
        yield
    except Boto3Error as error:
        # S3UploadFailedError has no cause; what the server said is what it was raised in the middle of.
        inner = error.__context__
        if isinstance(inner, (SupervisorError, Cancelled)):
            raise inner from None
        raise _failure(inner if isinstance(inner, (ClientError, BotoCoreError)) else error, path, endpoint) from error
    except (ClientError, BotoCoreError) as error:
        raise _failure(error, path, endpoint) from error


def _failure(error: Exception, path: str, endpoint: str) -> StorageError:
    if isinstance(error, ClientError):
        return _answered(error.response, path, endpoint)
    if isinstance(error, _NO_KEYS):
        return AuthenticationFailed(str(error), path=path, endpoint=endpoint, hint="set access_key and secret_key")
    if isinstance(error, InvalidConfigError):
        return InvalidConfiguration(str(error), path=path, endpoint=endpoint)
    if isinstance(error, ParamValidationError):
        kind = InvalidPath if path else InvalidConfiguration
        return kind(" ".join(str(error).split()), path=path, endpoint=endpoint)
    # botocore names the endpoint that it could not reach; why, only the error below tells.
    return unreachable(f"{type(error).__name__}: {error} {error.__context__}", path=path, endpoint=endpoint)


def _answered(response: dict[str, Any], path: str, endpoint: str) -> StorageError:
    """Return the error for an answer; botocore makes a code of the status where the answer had no body."""
    told, about = response.get("Error", {}), response.get("ResponseMetadata", {})
    # botocore keeps an empty <Message/> as None; Ceph sends such.
    status, code, message = about.get("HTTPStatusCode", 0), told.get("Code") or "", told.get("Message") or ""
    has_body = not code.isdecimal()
    return answered(
        status or (0 if has_body else int(code)),
        code if has_body else "",
        message if has_body else "",
        path=path,
        endpoint=endpoint,
        retry_after=_seconds(about.get("HTTPHeaders", {}).get("retry-after", "")),
    )


def _seconds(header: str) -> float | None:
    return float(header) if header.isdecimal() else None
