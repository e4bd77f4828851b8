"""Where the door is, and the URL of each path behind it: all parsing and quoting of URLs."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote, urlsplit

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor.values import value

__all__ = ["Address", "is_local", "origin", "quoted_again", "segments"]

_PORTS: Final = {"http": 80, "https": 443}

# What may stand in the path of a URL as it is: a base path is written by people, who may have quoted it already.
_IN_A_PATH: Final = "/%:@!$&'()*+,;=~"


@value
class Address:
    """The root of what a provider sees: `scheme://host[:port][/base]`, without a slash at the end."""

    url: str

    @classmethod
    def of(cls, hostname: str) -> Address:
        """Read the setting `hostname`. Without a scheme it is https, as OSCAR documents.

        Raises:
            InvalidConfiguration: It can't be the address of a server.
        """
        parts = urlsplit(hostname if "://" in hostname else f"https://{hostname}")
        hint = "write it as host, host:port or https://host:port/base/path"
        # Nothing of what is wrong is repeated: it may hold a password, or a macaroon as `?authz=`. A token in a URL
        # would be lost, or worse, end up in a file name, as soon as a path is appended; rclone#2360.
        if parts.username is not None or parts.password is not None:
            raise InvalidConfiguration("hostname holds a user name", hint="use login and password")
        if parts.query or parts.fragment:
            raise InvalidConfiguration("hostname holds a query or fragment", hint="a macaroon goes into token")
        if parts.scheme not in _PORTS or not parts.hostname or any(char.isspace() for char in parts.netloc):
            raise InvalidConfiguration(f"hostname {hostname!r} is no address of a server", hint=hint)
        try:
            parts.port  # noqa: B018  # parsed, and refused, only when asked for
        except ValueError as error:
            raise InvalidConfiguration(f"hostname {hostname!r} has an impossible port", hint=hint) from error
        return cls(f"{parts.scheme}://{parts.netloc}{quote(parts.path.rstrip('/'), safe=_IN_A_PATH)}")

    def of_path(self, path: str, *, folder: bool = False) -> str:
        """Return the URL of `path`; that of a folder ends in a slash, without which nginx refuses MKCOL."""
        return f"{self.url}{_quoted(path)}{'/' if folder or not path else ''}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return origin(self.url)


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL: what must be the same for credentials to be sent."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def quoted_again(location: str, path: str) -> str:
    """Return the `location` of a redirect with its path quoted, if it ends in the bare `path`.

    XRootD quotes nothing there: whoever asks for `a%20b` would be sent to `a b`, and for `a#b` to `a`.
    """
    before, found, after = location.rpartition(f"/{path}")
    return f"{before}{_quoted(path)}{after}" if path and found and after[:1] in {"", "?"} else location


def segments(href: str) -> tuple[str, ...]:
    """Return the names that the `href` of a listing is made of, decoded.

    Only the path counts, and all of it: XRootD quotes nothing, so `#` and `?` can be parts of names.
    """
    _, scheme, rest = href.partition("://")
    path = f"/{rest.partition('/')[2]}" if scheme and not href.startswith("/") else href
    return tuple(unquote(name, errors="surrogateescape") for name in path.split("/") if name)


def _quoted(path: str) -> str:
    # Each segment on its own, and everything in it: httpx and webdav4 send `a%20b` as it is, where it means `a b`,
    # and take `#` and `?` for the end of the path; webdav4#200.
    return "".join(f"/{quote(segment, safe='')}" for segment in path.split("/") if segment)


def is_local(url: str) -> bool:
    """Whether `url` leads to this very machine."""
    host = origin(url)[1]
    return host in {"localhost", "::1"} or host.startswith("127.")
