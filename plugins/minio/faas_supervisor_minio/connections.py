"""The connections of the minio SDK: ours, since its own wait half an hour for a dead host and know no proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import urllib3

from faas_supervisor_s3.connection import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from faas_supervisor_s3.connection import Connection

__all__ = ["connections"]


def connections(connection: Connection, size: int) -> urllib3.PoolManager:
    """Return a pool that keeps up to `size` connections; never waits for long, never repeats or follows anything."""
    if not connection.verify:
        # Whoever sets `verify: false` knows, and need not read it at each request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    options: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT, read=connection.read_timeout),
        "maxsize": size,
        "retries": False,  # the core retries, and knows the deadline
        "cert_reqs": "CERT_REQUIRED" if connection.verify else "CERT_NONE",
    }
    if connection.secure and connection.verify:
        trust = connection.trust()
        options["ca_cert_dir" if trust.is_folder else "ca_certs"] = trust.path
    if connection.proxy is not None:
        return _through(connection.proxy, options)
    return urllib3.PoolManager(**options)


def _through(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    user = urllib3.util.parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
