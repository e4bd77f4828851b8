"""Which authorities vouch for the servers: decided here, once, for every library that opens a connection.

The first of these that is there:

1. the provider's setting `ca_bundle`,
2. a file or folder that `AWS_CA_BUNDLE`, `REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE` or `SSL_CERT_DIR` names, in this order,
3. the bundle of the image, at the places that distributions have for it,
4. the one that is bundled with us (Mozilla's, by certifi).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor.logs import log
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Trust", "trusted"]

_VARIABLES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

# As Go's crypto/x509 (root_linux.go) lists them.
_IMAGE: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL and their kin
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/pki/tls/cacert.pem",  # OpenELEC
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7 and later
    "/etc/ssl/cert.pem",  # Alpine, without its package of certificates
)

_MARK: Final = b"-----BEGIN "


@value
class Trust:
    """The certificates of the authorities to trust.

    Attributes:
        path: A PEM file, or a folder of them in which OpenSSL finds a certificate by its hash.
        origin: What named it: `ca_bundle`, a variable, `image` or `bundled`.
    """

    path: str
    origin: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return os.path.isdir(self.path)  # noqa: PTH112  # pathlib would bring nothing

    def pem(self) -> bytes:
        """Return the certificates, all of them where it is a folder.

        Raises:
            InvalidConfiguration: They can't be read, or there are none.
        """
        try:
            found = b"\n".join(data for data in map(_read, _files(self.path)) if _MARK in data)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if not found:
            raise InvalidConfiguration(
                f"{self.origin}: there are no certificates in {self.path}", hint="name a PEM file of authorities"
            )
        return found

    def file(self) -> str:
        """Return the path of one file with all certificates, for libraries that take no folder.

        Raises:
            InvalidConfiguration: They can't be read, or there are none.
        """
        if not self.is_folder:
            return self.path
        number = os.memfd_create("authorities")  # open as long as this process runs: the library reads it when it wants
        with open(number, "wb", closefd=False) as stream:  # a descriptor
            stream.write(self.pem())
        return f"/proc/self/fd/{number}"


def trusted(ca_bundle: str | None) -> Trust:
    """Return the certificates to trust; `ca_bundle` is the provider's setting of that name.

    A variable that names nothing readable is a warning, since images carry such variables from one base to the next.

    Raises:
        InvalidConfiguration: `ca_bundle` can't be read, or there are no certificates anywhere.
    """
    if ca_bundle:
        try:
            _require_readable(ca_bundle)
        except OSError as error:
            raise _unreadable(ca_bundle, error) from error
        return Trust(ca_bundle, "ca_bundle")
    for name in _VARIABLES:
        if path := os.environ.get(name):
            try:
                _require_readable(path)
            except OSError as error:
                log.warning("%s names %s, which can't be read (%s); it is ignored", name, path, error.strerror)
            else:
                return Trust(path, name)
    for path in _IMAGE:
        if os.access(path, os.R_OK):
            return Trust(path, "image")
    return Trust(_bundled(), "bundled")


def _require_readable(path: str) -> None:
    if os.path.isdir(path):  # noqa: PTH112  # as above
        os.scandir(path).close()
    else:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def _unreadable(path: str, error: OSError) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"ca_bundle {path} can't be read: {error.strerror}", hint="name a PEM file of authorities"
    )


def _bundled() -> str:
    inside: str | None = getattr(sys, "_MEIPASS", None)
    if inside is not None:
        return f"{inside}/certifi/cacert.pem"  # certifi itself would import a lot to say so
    try:
        import certifi  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  # only for images without any
    except ImportError as error:
        raise InvalidConfiguration(
            "there are no certificates of authorities in this image", hint="set ca_bundle, or install certifi"
        ) from error
    return str(certifi.where())


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):  # noqa: PTH112  # as above
        yield path
        return
    seen = set()
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            # The names by hash are links to files of the same folder.
            if entry.is_file() and (number := entry.stat().st_ino) not in seen:
                seen.add(number)
                yield entry.path


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:  # noqa: PTH123  # pathlib would bring nothing
        return stream.read()
