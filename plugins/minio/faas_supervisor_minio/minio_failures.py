"""What minio and urllib3 raise, as StorageErrors."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from faas_supervisor.errors import InvalidPath, StorageError
from faas_supervisor_s3.failures import answered, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["seconds", "translated"]

# An answer that is not XML, such as a proxy's, tells its status nowhere else.
_STATUS: Final = re.compile(r"Response code: (\d{3})")


@contextmanager
def translated(path: str, endpoint: str) -> Iterator[None]:
    """Raise what minio raises as a StorageError.

    That is more than its own family: urllib3's errors for connections (minio-py#1116), and ValueError for names that
    it refuses itself.
    """
    try:
        yield
    except (MinioException, HTTPError) as error:
        raise _failure(error, path, endpoint) from error
    except ValueError as error:
        raise InvalidPath(str(error), path=path, endpoint=endpoint) from error


def seconds(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for; None for a date, which few servers send."""
    return float(header) if header and header.isdecimal() else None


def _failure(error: Exception, path: str, endpoint: str) -> StorageError:
    if isinstance(error, S3Error):
        return answered(
            error.response.status,
            error.code or "",
            error.message or "",
            path=path,
            endpoint=endpoint,
            retry_after=seconds(error.response.headers.get("Retry-After")),
        )
    if isinstance(error, ServerError):
        return answered(error.status_code, "", "", path=path, endpoint=endpoint)
    if isinstance(error, InvalidResponseError):
        status = _STATUS.search(str(error))
        return answered(int(status[1]) if status else 0, "", "", path=path, endpoint=endpoint)
    return unreachable(f"{type(error).__name__}: {error}", path=path, endpoint=endpoint)
