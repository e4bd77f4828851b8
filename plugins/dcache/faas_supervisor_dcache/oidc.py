"""Access tokens from an OIDC provider: renewed before they expire, and when one was refused before that."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

import httpx

from faas_supervisor.errors import AuthenticationFailed, InvalidConfiguration, StorageError, Unavailable
from faas_supervisor.storage import Secret
from faas_supervisor_dcache.address import is_local
from faas_supervisor_dcache.credentials import bearer
from faas_supervisor_dcache.failures import answered, translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from faas_supervisor_dcache.settings import Settings

__all__ = ["RefreshedToken"]

_log: Final = logging.getLogger(__name__)

# Before it expires by so many seconds, or by a tenth of its life if that is short, a token is not used any more:
# clocks differ, and requests take time to arrive.
_MARGIN: Final = 60.0

# The life of a token whose provider does not tell; most last an hour.
_UNKNOWN_LIFE: Final = 300.0


class RefreshedToken:
    """Changes the refresh token for access tokens; RFC 6749, section 6. One thread at a time does it for all."""

    def __init__(self, settings: Settings, client: httpx.Client, clock: Callable[[], float] = time.monotonic) -> None:
        endpoint = settings.token_endpoint or ""
        if not endpoint.startswith("https://") and not is_local(endpoint):
            raise InvalidConfiguration("token_endpoint must begin with https://, it is sent the refresh token")
        self._endpoint: Final = endpoint
        self._client: Final = client
        self._clock: Final = clock
        self._refresh_token = settings.refresh_token or Secret("")
        asked = {"client_id": settings.client_id, "scope": " ".join(settings.scopes), "audience": settings.audience}
        self._asked: Final = {name: value for name, value in asked.items() if value}
        secret = settings.client_secret
        self._client_auth: Final = (
            httpx.BasicAuth(settings.client_id or "", secret.reveal()) if secret else httpx.Auth()
        )
        # A token from the settings is used until it is refused: when it expires is not known.
        self._header = Secret(bearer(settings.token.reveal())) if settings.token else Secret("")
        self._expires = float("inf") if settings.token else 0.0
        self._renewing: Final = threading.Lock()

    def header(self) -> str:
        """Return the header with a token that is still good."""
        with self._renewing:
            if self._clock() >= self._expires:
                self._renew()
            return self._header.reveal()

    def renewed(self, refused: str) -> str:
        """Return a header that is not the `refused` one, renewed by this thread unless another one already did."""
        with self._renewing:
            if self._header.reveal() == refused:
                self._renew()
            return self._header.reveal()

    def _renew(self) -> None:
        """Fetch a token.

        Raises:
            AuthenticationFailed: The refresh token is no good, or not for this client, scope or audience.
            Unavailable: The provider can't be reached, or fails.
        """
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token.reveal(), **self._asked}
        began = self._clock()
        with translated("", self._endpoint):
            response = self._client.post(
                self._endpoint, data=form, headers={"Accept": "application/json"}, auth=self._client_auth
            )
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        try:
            answer = response.json()
            self._header = Secret(bearer(answer["access_token"]))
            life = float(answer.get("expires_in") or _UNKNOWN_LIFE)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError("the token endpoint's answer holds no token", endpoint=self._endpoint) from error
        if rotated := answer.get("refresh_token"):
            self._refresh_token = Secret(rotated)
        self._expires = began + life - min(_MARGIN, life / 10)
        _log.info("a new access token was fetched; it lasts %d s", life)

    def _refusal(self, response: httpx.Response) -> StorageError:
        error = answered(response, path="", endpoint=self._endpoint)
        if isinstance(error, Unavailable) or error.retryable:
            return error
        # 400 invalid_grant and its kin; https://www.rfc-editor.org/rfc/rfc6749#section-5.2
        try:
            reason = str(response.json()["error"])
        except (ValueError, KeyError, TypeError):
            reason = f"status {response.status_code}"
        return AuthenticationFailed(
            f"the refresh token is refused: {reason[:100]}",
            endpoint=self._endpoint,
            hint="check refresh_token, client_id, scopes and audience; refresh tokens expire too",
        )
