"""The settings of the provider `minio`."""

from __future__ import annotations

from typing import Literal

from faas_supervisor.storage import Secret, setting
from faas_supervisor.values import value

__all__ = ["Settings"]


@value
class Settings:
    """What `storage_providers.minio.<id>` may hold."""

    access_key: str = setting("Access key.", credential=True)
    secret_key: Secret = setting("Secret key.", credential=True)
    session_token: Secret | None = setting("Session token of temporary keys.", default=None)
    region: str = setting("Region that requests are signed for.", default="us-east-1")
    endpoint: str = setting("URL of the server; https if it has no scheme.", default="http://minio-service.minio:9000")
    verify: bool = setting("Whether the server's certificate must be trusted.", default=True)
    ca_bundle: str | None = setting("PEM file with the certificates to trust.", default=None)
    read_timeout: float = setting("Seconds that the server may be silent.", default=60.0)
    engine: Literal["obstore", "sdk"] = setting("What moves the bytes; sdk is minio's own.", default="obstore")
