"""How a store is reached: endpoint, TLS and proxy, decided once and the same for every library we use."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor.trust import Trust, trusted
from faas_supervisor.values import value

__all__ = ["CONNECT_TIMEOUT", "Connection", "endpoint_url", "proxy_of"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a connection must stand."""


@value
class Connection:
    """One endpoint and how to talk to it.

    Attributes:
        endpoint: `scheme://host[:port]`; None is Amazon, whose endpoints follow from region and bucket.
        region: What requests are signed for.
        verify: False accepts any certificate.
        ca_bundle: A PEM file with the certificates to trust.
        read_timeout: Seconds that the server may be silent while we wait for it.
    """

    endpoint: str | None
    region: str
    read_timeout: float
    verify: bool = True
    ca_bundle: str | None = None

    @property
    def secure(self) -> bool:
        """Whether bytes are encrypted on the way."""
        return self.endpoint is None or self.endpoint.startswith("https:")

    @property
    def shown(self) -> str:
        """The endpoint as error messages name it."""
        return self.endpoint or f"https://{self.amazon_host}"

    @property
    def amazon_host(self) -> str:
        """The host of Amazon S3 in this region."""
        return f"s3.{self.region}.amazonaws.com{'.cn' if self.region.startswith('cn-') else ''}"

    @property
    def is_local(self) -> bool:
        """Whether it is this very machine."""
        return _is_local(urlsplit(self.shown).hostname or "")

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy that leads there, or None."""
        return proxy_of(self.shown)

    def trust(self) -> Trust:
        """Return the authorities that vouch for the server.

        Raises:
            InvalidConfiguration: They can't be read.
        """
        return trusted(self.ca_bundle)


def endpoint_url(text: str) -> str:
    """Return `text` as `scheme://host[:port]`.

    Without a scheme it is https: credentials that were meant to be protected must not leave in the clear
    because eight characters are missing.

    Raises:
        InvalidConfiguration: It can't be an endpoint; a path, for example, belongs into `path` of an input.
    """
    parts = urlsplit(text if "://" in text else f"https://{text}")
    hint = "write it as https://host:port"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidConfiguration(f"the endpoint {text!r} is not a URL of http or https", hint=hint)
    if parts.username is not None:
        raise InvalidConfiguration("the endpoint holds a user name", hint="use access_key and secret_key")
    if parts.path.strip("/") or parts.query or parts.fragment:
        hint = "the bucket goes into the path of an input or output; write the endpoint as https://host:port"
        raise InvalidConfiguration(f"the endpoint {text!r} has a path", hint=hint)
    try:
        parts.port  # noqa: B018  # parsed, and refused, only when asked for
    except ValueError as error:
        raise InvalidConfiguration(f"the endpoint {text!r} has an impossible port", hint=hint) from error
    return f"{parts.scheme}://{parts.netloc}"


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for `url`; never one for this very machine.

    Only `http_proxy` and `HTTP_PROXY` (and so on) are read. Python's own look-up takes any mixture of cases, and a
    watchdog hands a caller's `Proxy:` header over as `Http_Proxy`: anybody could lead our requests astray.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_local(host):
        return None
    names = (f"{parts.scheme}_proxy", "all_proxy")
    proxy = next((value for name in names if (value := _environment(name))), "")
    if not proxy or _excluded(host, parts.port, _environment("no_proxy")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_local(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _environment(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _excluded(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether `no_proxy` names the host: itself, a domain above it, its network, or `*`."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if entry == "*" or (entry and _matches(entry, host, port)):
            return True
    return False


def _matches(entry: str, host: str, port: int | None) -> bool:
    if "/" in entry:
        return _in_network(host, entry)
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and ":" not in name:
        if int(number) != port:
            return False
        entry = name
    entry = entry.removeprefix("*").removeprefix(".").strip("[]")
    return host == entry or host.endswith(f".{entry}")


def _in_network(host: str, network: str) -> bool:
    import ipaddress  # noqa: PLC0415  # five milliseconds that nearly nobody needs

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
