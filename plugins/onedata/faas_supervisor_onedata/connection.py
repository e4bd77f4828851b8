"""How a Onedata zone is reached: hosts, space and TLS, decided once and before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor.trust import trusted
from faas_supervisor.values import value

if TYPE_CHECKING:
    from faas_supervisor_onedata.settings import Settings

__all__ = ["CONNECT_TIMEOUT", "Connection"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a connection must stand."""


@value
class Connection:
    """What the settings say, checked.

    Attributes:
        provider: `host[:port]` of the Oneprovider to prefer.
        zone: `host[:port]` of the Onezone, or None where the Oneprovider has to be asked.
        space: Name of the space.
        space_id: Its id, where the settings have it.
        trust: What requests calls `verify`: a file or folder of certificates to trust, or any certificate.
        read_timeout: Seconds that a server may be silent.
    """

    provider: str
    zone: str | None
    space: str
    space_id: str | None
    trust: str | bool
    read_timeout: float

    @property
    def shown(self) -> str:
        """The endpoint as error messages name it, until one has answered."""
        return f"https://{self.provider}"

    @classmethod
    def of(cls, settings: Settings) -> Connection:
        """Check the settings.

        Raises:
            InvalidConfiguration: They can't work, whatever the servers say.
        """
        space, space_id = _space(settings.space)
        return cls(
            provider=_host("oneprovider_host", settings.oneprovider_host),
            zone=_host("onezone_host", settings.onezone_host) if settings.onezone_host else None,
            space=space,
            space_id=space_id,
            trust=trusted(settings.ca_bundle).path if settings.verify else False,
            read_timeout=settings.read_timeout,
        )


def _host(name: str, text: str) -> str:
    parts = urlsplit(text if "://" in text else f"https://{text}")
    hint = "write it as host or host:port"
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidConfiguration(f"{name} {text!r} has an impossible port", hint=hint) from error
    if parts.scheme != "https":
        raise InvalidConfiguration(f"{name} {text!r} is not https, and Onedata's client speaks nothing else", hint=hint)
    if not parts.hostname or parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidConfiguration(f"{name} is not a host", hint=hint)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # The client compares the host with the domains that the Onezone tells, and these have no port.
    return host if port in {None, 443} else f"{host}:{port}"


def _space(text: str) -> tuple[str, str | None]:
    """Split `name@id`. The client splits at every `@`, and fails with a ValueError if there is another one."""
    name, at, identifier = text.partition("@")
    if not name.strip() or (at and not identifier) or "@" in identifier:
        raise InvalidConfiguration(f"{text!r} is no space", hint="write it as name or name@id")
    return name, identifier or None
