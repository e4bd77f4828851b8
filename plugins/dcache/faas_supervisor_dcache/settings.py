"""The settings of the providers `dcache` and `webdav`."""

from __future__ import annotations

from faas_supervisor.storage import Secret, setting
from faas_supervisor.values import value

__all__ = ["Settings"]


@value
class Settings:
    """What `storage_providers.dcache.<id>` may hold: where the door is, and at most one identity."""

    hostname: str = setting("Host of the door; scheme (else https), port and base path may be part of it.")
    login: str | None = setting("User name; with password.", default=None)
    password: Secret | None = setting("Password; with login.", default=None)
    token: Secret | None = setting("Bearer token: a macaroon or an OIDC access token.", default=None)
    token_file: str | None = setting("File with the bearer token; read again whenever it changes.", default=None)
    refresh_token: Secret | None = setting("OIDC refresh token; with client_id and token_endpoint.", default=None)
    client_id: str | None = setting("OIDC client that the refresh token was given to.", default=None)
    client_secret: Secret | None = setting("Secret of that client, if it is no public one.", default=None)
    token_endpoint: str | None = setting("URL where the refresh token is changed for access tokens.", default=None)
    scopes: tuple[str, ...] = setting("Scopes to ask for; those of the refresh token if none is named.", default=())
    audience: str | None = setting("Audience that the access tokens must be for.", default=None)
    ca_bundle: str | None = setting(
        "PEM file, or folder of hashed certificates, with the authorities to trust.", default=None
    )
    verify: bool = setting("Whether the server's certificate must be trusted.", default=True)
