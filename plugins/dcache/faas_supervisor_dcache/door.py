"""One door: sends requests, shows the credentials to it and to nobody else, follows it to its pools."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urljoin

import httpx

from faas_supervisor.errors import InvalidConfiguration, StorageError
from faas_supervisor_dcache.address import origin, quoted_again
from faas_supervisor_dcache.failures import answered, translated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from faas_supervisor_dcache.address import Address
    from faas_supervisor_dcache.credentials import Credentials

__all__ = ["Body", "Door"]

# A door sends to a pool; a pool whose ticket has run out sends back to the door.
_MOST_HOPS: Final = 6

_MOVED: Final = frozenset({301, 302, 303, 307, 308})

# Reads may be sent on by any of them (dCache says 307 or 302, XRootD 302). With 301, 302 and 303 a server may mean
# that what follows is a GET, so a write is not repeated for those.
_KEEPS_METHOD: Final = frozenset({307, 308})
_READS: Final = frozenset({"GET", "HEAD", "PROPFIND"})

_WORTH_READING: Final = 64 * 1024


class Body(Protocol):
    """The body of a request, which begins anew each time that it is iterated."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield all of it, from the first byte."""


class Door:
    """The WebDAV door at `address`. One attempt for each request; for several threads at once."""

    def __init__(self, address: Address, client: httpx.Client, credentials: Credentials) -> None:
        self.address: Final = address
        self._client: Final = client
        self._credentials: Final = credentials

    @contextmanager
    def answer(
        self,
        method: str,
        path: str,
        expected: Collection[int],
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | Body | None = None,
        folder: bool = False,
    ) -> Iterator[httpx.Response]:
        """Send a request and give its answer, whose body is not read yet and whose status is one of `expected`.

        Raises:
            StorageError: By its subclass; also when the connection breaks while the body is read.
        """
        response = self._send(method, path, self.address.of_path(path, folder=folder), headers or {}, content)
        try:
            with translated(path, self._shown(response.url)):
                if response.status_code not in expected:
                    raise self._refusal(response, path)
                yield response
                _read_rest(response)
        finally:
            response.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(
        self, method: str, path: str, url: str, headers: Mapping[str, str], content: bytes | Body | None
    ) -> httpx.Response:
        """Send a request wherever the door wants it, with other credentials if the first are refused."""
        authorization, renewed = self._credentials.header(), False
        for _ in range(_MOST_HOPS):
            known = origin(url) == self.address.origin
            # Another host, port or scheme sees no credentials; a pool's URL carries a ticket of its own.
            mine = {"Authorization": authorization} if known and authorization else {}
            with translated(path, self._shown(httpx.URL(url))):
                request = self._client.build_request(method, url, headers={**headers, **mine}, content=content)
                response = self._client.send(request, stream=True)
            if response.status_code == httpx.codes.UNAUTHORIZED and mine and not renewed:
                renewed = True
                with _closed_on_error(response):
                    other = self._credentials.renewed(authorization)
                if not other:
                    return response
                authorization = other
            elif response.status_code in _MOVED:
                with _closed_on_error(response):
                    url = self._elsewhere(response, method, path)
            else:
                return response
            with suppress(httpx.TransportError):
                _read_rest(response)
            response.close()
        raise StorageError("the server sends us from one place to the next without end", path=path)

    def _elsewhere(self, response: httpx.Response, method: str, path: str) -> str:
        """Return the URL that the answer sends us to."""
        location = quoted_again(response.headers.get("Location", ""), path)
        url: str = urljoin(str(response.url), location)
        if not location or origin(url)[0] not in {"http", "https"}:
            raise StorageError("the server sends us to no valid URL", path=path, endpoint=self.address.url)
        if response.status_code not in _KEEPS_METHOD and method not in _READS:
            there = self._shown(httpx.URL(url))
            message = f"the server sends us to {there} in a way that is not for uploads ({response.status_code})"
            raise InvalidConfiguration(
                message, path=path, endpoint=self.address.url, hint="set hostname to where the server sends us"
            )
        return url

    def _refusal(self, response: httpx.Response, path: str) -> StorageError:
        error = answered(response, path=path, endpoint=self._shown(response.url))
        if response.status_code == httpx.codes.UNAUTHORIZED:
            if origin(str(response.url)) != self.address.origin:
                error.hint = "the door sent us there; it is shown no credentials. If it is the door, set hostname to it"
            elif not self._credentials.header():
                error.hint = "none are configured: set login and password, token, token_file or refresh_token"
        return error

    def _shown(self, url: httpx.URL) -> str:
        """Return what messages may say of `url`: the door, or the host and port of a pool, without its ticket."""
        scheme, host, port = origin(str(url))
        return self.address.url if (scheme, host, port) == self.address.origin else f"{scheme}://{host}:{port}"


def _read_rest(response: httpx.Response) -> None:
    """Read what is left of a short answer: the connection can be used again then."""
    length = response.headers.get("Content-Length", "0")
    if not response.is_stream_consumed and length.isdecimal() and int(length) <= _WORTH_READING:
        read = 0
        for piece in response.iter_raw():
            read += len(piece)
            if read > _WORTH_READING:  # in chunks, so that no length was told
                break


@contextmanager
def _closed_on_error(response: httpx.Response) -> Iterator[None]:
    try:
        yield
    except BaseException:
        response.close()
        raise
