"""One request for a bucket's events, which MinIO answers for as long as the connection stands."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from minio.credentials.credentials import Credentials
from minio.signer import sign_v4_s3
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from faas_supervisor.errors import StorageError, Unsupported
from faas_supervisor_minio.minio_failures import seconds
from faas_supervisor_s3.connection import CONNECT_TIMEOUT
from faas_supervisor_s3.failures import answered, told_in, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import BaseHTTPResponse, PoolManager

    from faas_supervisor_s3.connection import Connection
    from faas_supervisor_s3.credentials import StaticKeys
    from faas_supervisor_s3.engine import Place

__all__ = ["SILENCE", "Subscription"]

SILENCE: Final = 30.0
"""Seconds without a sign of life after which the connection counts as lost."""

# What MinIO is asked to send as a sign of life, in seconds. It also is how soon the answer begins.
_PING: Final = 2

# The uploads among `s3:ObjectCreated:*`, which also has tags, retention and legal hold.
_UPLOADS: Final = ("CompleteMultipartUpload", "Copy", "Post", "Put")

_READ: Final = 64 * 1024

# MinIO's events have a kilobyte or two; what never ends is none.
_LONGEST_LINE: Final = 1024 * 1024

_LONGEST_ANSWER: Final = 16 * 1024


class Subscription:
    """An open stream of events. MinIO holds those that happen from before its answer on.

    The SDK only signs the request. Its own iterator swallows what it can't parse, reconnects at once and without a
    word when the stream ends, and reads byte by byte.

    Raises:
        StorageError: It was refused, or there is no such bucket or server.
    """

    def __init__(self, pool: PoolManager, connection: Connection, keys: StaticKeys, place: Place) -> None:
        self._path = place.path
        self._endpoint = connection.shown
        url, headers = _signed(connection, keys, place)
        timeout = Timeout(connect=CONNECT_TIMEOUT, read=SILENCE)
        try:
            self._answer: BaseHTTPResponse = pool.urlopen(
                "GET", url, headers=headers, preload_content=False, timeout=timeout
            )
            failure = self._refusal()
        except HTTPError as error:
            raise self._lost(error) from error
        if failure is not None:
            self.close()
            raise failure

    def lines(self) -> Iterator[bytes]:
        """Yield each line that is not blank, until the server ends the stream.

        Raises:
            StorageError: The connection was lost.
        """
        rest = b""
        try:
            while chunk := self._answer.read1(_READ, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from filter(None, (line.strip() for line in lines))
                rest = rest.lstrip()  # blanks are signs of life, two a second from servers that know no ping
                if len(rest) > _LONGEST_LINE:
                    raise unreachable("a line without end", path=self._path, endpoint=self._endpoint)
        except HTTPError as error:
            raise self._lost(error) from error

    def stop(self) -> None:
        """End `lines` from another thread."""
        with suppress(OSError, RuntimeError, ValueError):  # it has ended by itself
            self._answer.shutdown()

    def close(self) -> None:
        """Close the connection: no other request can use it."""
        self._answer.close()

    def _refusal(self) -> StorageError | None:
        status, headers = self._answer.status, self._answer.headers
        kind = headers.get("Content-Type", "")
        if status == HTTPStatus.OK and "xml" not in kind and "html" not in kind:
            return None
        code, message = told_in(self._answer.read(_LONGEST_ANSWER).decode("utf-8", "replace"))
        retry_after = seconds(headers.get("Retry-After"))
        failure = answered(status, code, message, path=self._path, endpoint=self._endpoint, retry_after=retry_after)
        if status == HTTPStatus.OK or isinstance(failure, Unsupported):  # to others the same request means a listing
            message, hint = "the server has no stream of events", "MinIO alone has one"
            return Unsupported(message, path=self._path, endpoint=self._endpoint, hint=hint)
        return failure

    def _lost(self, error: HTTPError) -> StorageError:
        return unreachable(f"{type(error).__name__}: {error}", path=self._path, endpoint=self._endpoint)


def _signed(connection: Connection, keys: StaticKeys, place: Place) -> tuple[str, dict[str, str]]:
    """Return the URL and the headers of the request."""
    wanted = [
        *(("events", f"s3:ObjectCreated:{name}") for name in _UPLOADS),
        ("ping", str(_PING)),
        ("prefix", f"{place.key}/" if place.key else ""),
        ("suffix", ""),
    ]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in wanted)
    url = f"{connection.shown}/{place.bucket}?{query}"
    token = keys.session_token.reveal() if keys.session_token else None
    now = datetime.now(UTC)
    nothing = hashlib.sha256(b"").hexdigest()
    headers = {
        "Host": urlsplit(url).netloc,
        "x-amz-content-sha256": nothing,
        "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
    }
    if token:
        headers["x-amz-security-token"] = token
    signed = sign_v4_s3(
        method="GET",
        url=urlsplit(url),
        region=connection.region,
        headers=dict(headers),
        credentials=Credentials(keys.access_key, keys.secret_key.reveal(), token),
        content_sha256=nothing,
        date=now,
    )
    return url, {name: str(value) for name, value in signed.items()}
