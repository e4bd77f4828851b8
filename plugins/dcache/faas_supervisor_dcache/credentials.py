"""Who we are: what goes into the `Authorization` header, from settings, from a file, or from an OIDC provider."""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from faas_supervisor.errors import AuthenticationFailed, InvalidConfiguration
from faas_supervisor.secrets import remember
from faas_supervisor.storage import Secret

if TYPE_CHECKING:
    from faas_supervisor_dcache.settings import Settings

__all__ = ["Credentials", "Fixed", "TokenFile", "bearer", "require_consistent", "simple_credentials"]


class Credentials(Protocol):
    """Gives the header; for several threads at once."""

    def header(self) -> str:
        """Return the value of `Authorization`, or "" for nobody in particular."""

    def renewed(self, refused: str) -> str:
        """Return the header to try after the server `refused` one: another one, or "" if there is none."""


class Fixed:
    """Credentials that stay as they are."""

    def __init__(self, header: str = "") -> None:
        self._header: Final = Secret(header)

    def header(self) -> str:
        """Return the header."""
        return self._header.reveal()

    def renewed(self, refused: str) -> str:  # noqa: ARG002
        """Return "": there is no other."""
        return ""


class TokenFile:
    """A bearer token in a file that somebody else keeps fresh, such as Kubernetes or an agent."""

    def __init__(self, path: str) -> None:
        self._path: Final = path
        self._seen: tuple[int, ...] = ()
        self._header = Secret("")
        self._reading: Final = threading.Lock()

    def header(self) -> str:
        """Return the header, read anew if the file has changed; its place may be that of a link to another one."""
        with self._reading:
            try:
                status = os.stat(self._path)  # noqa: PTH116  # before each request
                state = (status.st_ino, status.st_mtime_ns, status.st_size)
                if state != self._seen:
                    self._read()
                    self._seen = state
            except OSError as error:
                raise AuthenticationFailed(f"token_file {self._path} can't be read: {error.strerror}") from error
            return self._header.reveal()

    def renewed(self, refused: str) -> str:
        """Return what the file holds now, if that is not what was refused."""
        with self._reading:
            self._seen = ()
        header = self.header()
        return header if header != refused else ""

    def _read(self) -> None:
        token = Path(self._path).read_text("utf-8", "replace").strip()
        if not token:
            raise AuthenticationFailed(f"token_file {self._path} is empty")
        self._header = Secret(bearer(token))


def bearer(token: str) -> str:
    """Return the header for a bearer token, which is masked from now on.

    Raises:
        AuthenticationFailed: It can't stand in a header.
    """
    remember(token)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AuthenticationFailed("the token has characters that no token has", hint="give the bare token")
    return f"Bearer {token}"


def simple_credentials(settings: Settings) -> Credentials:
    """Return the credentials of settings without a refresh token."""
    if settings.token_file:
        return TokenFile(settings.token_file)
    if settings.token:
        return Fixed(bearer(settings.token.reveal().strip()))
    if settings.login and settings.password:
        pair = f"{settings.login}:{settings.password.reveal()}"
        return Fixed(f"Basic {base64.b64encode(pair.encode()).decode('ascii')}")
    return Fixed()


def require_consistent(settings: Settings) -> None:
    """Raise InvalidConfiguration for settings that contradict each other."""
    identities = {
        "login": bool(settings.login),
        "token": bool(settings.token),
        "token_file": bool(settings.token_file),
        "refresh_token": bool(settings.refresh_token),
    }
    named = [name for name, given in identities.items() if given]
    for_refresh = (settings.client_id, settings.token_endpoint)
    faults = {
        "login and password go together, and one of them is missing": bool(settings.login) != bool(settings.password),
        "login holds a colon, which Basic authentication can't express": ":" in (settings.login or ""),
        f"{' and '.join(named)} are several identities": len(named) > 1 and named != ["token", "refresh_token"],
        "refresh_token needs client_id and token_endpoint": bool(settings.refresh_token) and not all(for_refresh),
    }
    for fault, holds in faults.items():
        if holds:
            raise InvalidConfiguration(fault)
