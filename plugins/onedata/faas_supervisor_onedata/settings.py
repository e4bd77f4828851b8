"""The settings of the provider `onedata`."""

from __future__ import annotations

from faas_supervisor.storage import Secret, setting
from faas_supervisor.values import value

__all__ = ["Settings"]


@value
class Settings:
    """What `storage_providers.onedata.<id>` may hold."""

    oneprovider_host: str = setting("Host of the Oneprovider to prefer among those that support the space.")
    token: Secret = setting("Access token that allows the REST interface.")
    space: str = setting("Name of the space, or name@id where several have the same name.")
    onezone_host: str | None = setting("Host of the Onezone; asked from the Oneprovider if not set.", default=None)
    verify: bool = setting("Whether the servers' certificates must be trusted.", default=True)
    ca_bundle: str | None = setting("PEM file with the certificates to trust.", default=None)
    read_timeout: float = setting("Seconds that a server may be silent.", default=60.0)
