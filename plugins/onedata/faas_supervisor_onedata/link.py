"""The client, made safe: the one module that reaches into it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from onedatafilerestclient import OnedataFileRESTClient
from onedatafilerestclient.http_client import HttpClient
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor_onedata.connection import CONNECT_TIMEOUT
from faas_supervisor_onedata.failures import answered

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from faas_supervisor_onedata.connection import Connection

__all__ = ["Link", "ask_configuration"]

_REDIRECTS: Final = range(300, 400)
_REFUSALS: Final = 400

# An error is a few lines of JSON; what a proxy says instead may be anything.
_LONGEST_ERROR: Final = 64 * 1024
_PIECE: Final = 8 * 1024


class Link:
    """A client with one Onezone, and what has to be known about its last request. For one thread.

    Attributes:
        client: The client; every answer that is no success raises a StorageError out of it.
        broken: Why the last request that got no answer got none. The client tries the next Oneprovider then,
            and in the end says only that it found none.
    """

    def __init__(self, connection: Connection, zone: str, token: str) -> None:
        # With DEBUG on, the client's selector of providers logs with one argument too few: a traceback on stderr.
        logger = logging.getLogger("onedatafilerestclient")
        logger.setLevel(max(logger.level, logging.INFO))
        self.client: Final = OnedataFileRESTClient(zone, token, [connection.provider])
        self.broken: RequestException | None = None
        self._answer: Response | None = None
        # Made with its defaults, the client gives the Onezone other time-outs, and can't be told otherwise.
        self._https: Final = (self.client._op_client, self.client._oz_client._http_client)  # noqa: SLF001
        for http in self._https:
            _harden(http, connection, self)

    def let_go(self) -> None:
        """Close the connection of an answer that nobody reads to its end."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def close(self) -> None:
        """Close all connections."""
        self.let_go()
        for http in self._https:
            http.get_session().close()

    def heard(self, answer: Response) -> None:
        """Remember the last answer."""
        self._answer = answer


class _Adapter(HTTPAdapter):
    """Tells the link why a request got no answer."""

    def __init__(self, link: Link) -> None:
        self._link = link
        super().__init__()

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:  # noqa: ANN401
        """Send the request."""
        try:
            return super().send(request, *arguments, **options)
        except RequestException as error:
            self._link.broken = error
            raise


def ask_configuration(connection: Connection, host: str, service: str) -> dict[str, Any]:
    """Return what a `oneprovider` or `onezone` tells everybody about itself: version, domains.

    Raises:
        StorageError: It can't be asked.
    """
    http = HttpClient()
    _harden(http, connection)
    try:
        found = http.get(f"https://{host}/api/v3/{service}/configuration").json()
    finally:
        http.get_session().close()
    if not isinstance(found, dict):
        raise InvalidConfiguration("the host does not speak Onedata's interface", endpoint=f"https://{host}")
    return found


def _harden(http: HttpClient, connection: Connection, link: Link | None = None) -> None:
    """Make a session safe: time-outs, trust, no other credentials, no redirects, errors by their content."""
    http.timeout = (CONNECT_TIMEOUT, connection.read_timeout)  # type: ignore[assignment]  # it takes floats as well
    session = http.get_session()
    session.verify = connection.trust
    session.auth = _no_auth  # else requests adds what ~/.netrc holds for the host
    session.headers["Accept-Encoding"] = "identity"
    if link is not None:
        session.mount("https://", _Adapter(link))

    def judge(answer: Response, *_: Any, **__: Any) -> None:  # noqa: ANN401  # what requests passes
        if link is not None:
            link.heard(answer)
        _judge(answer)

    # Before the client sees an answer: it fails with a TypeError at a 403 to a request without a body, and drops
    # Retry-After. Before requests does, which would take X-Auth-Token along to wherever a redirect leads.
    session.hooks["response"].append(judge)
    if not connection.trust:
        _silence()


def _judge(answer: Response) -> None:
    status, url = answer.status_code, answer.url
    if status in _REDIRECTS:
        answer.close()
        target = urlsplit(answer.headers.get("Location", "")).netloc or "another place"
        here = urlsplit(url)
        hint = "a redirect is not followed, the token would go along; configure the right host"
        message = f"the server sends us to {target}"
        raise InvalidConfiguration(message, endpoint=f"{here.scheme}://{here.netloc}", hint=hint)
    if status >= _REFUSALS:
        seconds = answer.headers.get("Retry-After", "")
        error = _error_in(answer)
        raise answered(status, url, error, retry_after=float(seconds) if seconds.isdecimal() else None)


def _error_in(answer: Response) -> dict[str, Any]:
    """Return the error in Onedata's form, or an empty one."""
    text = b""
    try:
        for chunk in answer.iter_content(_PIECE):
            text += chunk
            if len(text) > _LONGEST_ERROR:
                break
    finally:
        answer.close()
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    error = told.get("error") if isinstance(told, dict) else None
    return error if isinstance(error, dict) else {}


def _no_auth(request: PreparedRequest) -> PreparedRequest:
    return request


def _silence() -> None:
    """Stop the warning at each request: whoever sets `verify: false` knows."""
    import urllib3  # noqa: PLC0415

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
