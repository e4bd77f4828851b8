"""How servers are reached: certificates, proxies and time-outs, the same for doors, pools and OIDC providers."""

from __future__ import annotations

import logging
import os
import ssl
from typing import TYPE_CHECKING, Final

import httpx

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor.trust import trusted
from faas_supervisor_dcache.expect import PatientTransport

if TYPE_CHECKING:
    from faas_supervisor_dcache.settings import Settings

__all__ = ["TIMEOUT", "make_client"]

# httpx's own 5 seconds end uploads whose server takes longer to answer, after all bytes were sent; webdav4#186.
# A door may be silent for minutes while it chooses a pool; dCache#7982.
TIMEOUT: Final = httpx.Timeout(connect=10.0, read=300.0, write=60.0, pool=10.0)

# How many are open is the core's decision: it moves so many files at once.
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=15.0)


def make_client(settings: Settings, timeout: httpx.Timeout = TIMEOUT) -> httpx.Client:
    """Return a client for several threads that follows no redirect, knows no credentials and reads no `.netrc`.

    Raises:
        InvalidConfiguration: The certificates to trust can't be read.
    """
    for name in ("httpx", "httpcore"):  # they would log URLs, in which a pool's ticket is a credential
        logging.getLogger(name).setLevel(logging.WARNING)
    context = _context(settings)
    return httpx.Client(
        transport=PatientTransport(context, _LIMITS),
        mounts=_proxies(context),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        # What is compressed on the way has another length and checksum than what is stored.
        headers={"Accept-Encoding": "identity", "User-Agent": "faas-supervisor"},
    )


def _context(settings: Settings) -> ssl.SSLContext:
    trust = trusted(settings.ca_bundle)
    try:
        if trust.is_folder:
            context = ssl.create_default_context(capath=trust.path)
        else:
            context = ssl.create_default_context(cafile=trust.path)
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfiguration(f"the certificates in {trust.path} can't be read: {error.strerror}") from error
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxies(context: ssl.SSLContext) -> dict[str, httpx.BaseTransport | None]:
    """Return the proxies that the environment names, in httpx's patterns.

    Only `http_proxy` and `HTTP_PROXY` (and so on) are read. httpx takes any mixture of cases, and a watchdog hands a
    caller's `Proxy:` header over as `Http_Proxy`: anybody could lead our requests astray.
    """
    mounts: dict[str, httpx.BaseTransport | None] = {}
    for scheme in ("http", "https"):
        proxy = _environment(f"{scheme}_proxy") or _environment("all_proxy")
        if proxy:
            url = proxy if "://" in proxy else f"http://{proxy}"
            mounts[f"{scheme}://"] = PatientTransport(context, _LIMITS, url)
    if mounts:
        excluded = [entry.strip() for entry in _environment("no_proxy").split(",") if entry.strip()]
        if "*" in excluded:
            return {}
        for entry in ("localhost", "127.0.0.1", "[::1]"):
            mounts[f"all://{entry}"] = None
        for entry in excluded:
            name = entry.removeprefix("*").lstrip(".")
            mounts[f"all://[{name.strip('[]')}]" if name.count(":") > 1 else f"all://*{name}"] = None
    return mounts


def _environment(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""
