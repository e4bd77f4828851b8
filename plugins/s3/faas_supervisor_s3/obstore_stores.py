"""obstore's stores: one for each bucket, with every option that must not be left to chance or to the environment."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor_s3.connection import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3CredentialProvider

    from faas_supervisor_s3.connection import Connection
    from faas_supervisor_s3.engine import Place

__all__ = ["Stores", "is_isolated"]

# obstore takes settings from all AWS_* variables of the process. What is passed explicitly wins, but these two can't
# be set back to nothing, and they change what is uploaded.
_LEAKING: Final = ("AWS_SERVER_SIDE_ENCRYPTION", "AWS_CHECKSUM_ALGORITHM")

# obstore's default of 30 seconds is for a whole request, and can't be switched off; read_timeout watches instead.
_NEVER: Final = "365days"

# Where it looks itself, each time that a client is made; reading the same twice would cost another 14 ms.
_SEEN_BY_OBSTORE: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "image")

# Nobody listens here, and nobody is asked: see `_client_options`.
_NO_PROXY: Final = "http://127.0.0.1:9"


def is_isolated() -> bool:
    """Whether the environment can be kept from changing what obstore does."""
    return not any(name in os.environ for name in _LEAKING)


class Stores:
    """The stores of one provider, made at first use; threads share them."""

    def __init__(self, connection: Connection, keys: S3CredentialProvider) -> None:
        self._connection = connection
        self._keys = keys
        self._stores: dict[str, S3Store] = {}
        self._making = threading.Lock()

    def of(self, place: Place) -> S3Store:
        """Return the store of the place's bucket.

        Raises:
            StorageError: There are no credentials; asked for here because obstore makes one error of all others.
        """
        self._keys()
        with self._making:
            store = self._stores.get(place.bucket)
            if store is None:
                store = self._stores[place.bucket] = self._make(place.bucket)
            return store

    def clear(self) -> None:
        """Forget all stores."""
        with self._making:
            self._stores.clear()

    def _make(self, bucket: str) -> S3Store:
        options = _client_options(self._connection)
        try:
            return self._open(bucket, options)
        except BaseError as error:
            if "No CA certificates" not in str(error):
                raise InvalidConfiguration("the client can't be set up", hint="check ca_bundle") from error
        # It knows fewer places than we do, and many images have no certificates at all.
        return self._open(bucket, {**options, "root_certificate": self._connection.trust().pem()})

    def _open(self, bucket: str, options: ClientConfig) -> S3Store:
        endpoint, virtual = self._address(bucket)
        return S3Store(
            bucket,
            endpoint=endpoint,
            aws_endpoint_url_s3=endpoint,  # else AWS_ENDPOINT_URL_S3 wins over `endpoint`
            region=self._connection.region,
            virtual_hosted_style_request=virtual,
            credential_provider=self._keys,  # with keys alone, AWS_SESSION_TOKEN would be added to them
            skip_signature=False,
            unsigned_payload=False,
            s3_express=False,
            request_payer=False,
            conditional_put="etag",
            copy_if_not_exists="multipart",
            disable_bulk_delete=True,  # not every store has it, and we delete one at a time
            client_options=options,
            retry_config={"max_retries": 0},  # the core retries, and knows the deadline
        )

    def _address(self, bucket: str) -> tuple[str, bool]:
        """Return the endpoint and whether it holds the bucket's name, as Amazon wants it."""
        if self._connection.endpoint is not None:
            return self._connection.endpoint, False
        host = self._connection.amazon_host
        if "." in bucket:  # Amazon's certificate covers no further dots
            return f"https://{host}", False
        return f"https://{bucket}.{host}", True


def _client_options(connection: Connection) -> ClientConfig:
    options: ClientConfig = {
        "allow_http": not connection.secure,
        # Without TLS no certificate is looked at, but all of the system's would be read: up to 14 ms for each bucket.
        "allow_invalid_certificates": not (connection.secure and connection.verify),
        "connect_timeout": f"{CONNECT_TIMEOUT:g}s",
        "read_timeout": f"{connection.read_timeout:g}s",
        "timeout": _NEVER,
    }
    if connection.secure and connection.verify and (trust := connection.trust()).origin not in _SEEN_BY_OBSTORE:
        options["root_certificate"] = trust.pem()
    if connection.proxy is not None:
        options["proxy_url"] = connection.proxy
    elif connection.is_local:
        # obstore would lead even these to HTTP_PROXY. A proxy of our own with an exception switches that off.
        options["proxy_url"] = _NO_PROXY
        options["proxy_excludes"] = urlsplit(connection.shown).hostname or ""
    return options
