"""What a token allows: which space is meant, and why no Oneprovider may serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from packaging.version import InvalidVersion, Version

from faas_supervisor.errors import (
    InvalidConfiguration,
    NotFound,
    PermissionDenied,
    StorageError,
    Unavailable,
    Unsupported,
)
from faas_supervisor.values import value

if TYPE_CHECKING:
    from onedatafilerestclient.onezone_rest_client import AccessTokenScope

    from faas_supervisor_onedata.connection import Connection

__all__ = ["Space", "find_space", "is_older", "unserved"]

_OLDEST: Final = "21.2.1"
"""The oldest Oneprovider that the client talks to."""

_MOST_NAMES: Final = 5


@value
class Space:
    """A space that the token knows."""

    name: str
    id: str

    @property
    def specifier(self) -> str:
        """What the client puts into URLs, unquoted, and splits at its only `@`."""
        return f"{quote(self.name, safe='')}@{self.id}"


def find_space(scope: AccessTokenScope, connection: Connection) -> Space:
    """Return the space that is configured.

    Raises:
        NotFound: The token knows none of this name.
        InvalidConfiguration: It knows several.
    """
    known = [Space(details["name"], id_) for id_, details in scope["dataAccessScope"]["spaces"].items()]
    if connection.space_id is not None:
        found = [space for space in known if space.id == connection.space_id]
    else:
        found = [space for space in known if space.name == connection.space]
    if len(found) > 1:
        # The client would take whichever comes first.
        choice = " or ".join(f"{space.name}@{space.id}" for space in found[:_MOST_NAMES])
        message = f"{len(found)} spaces are called {connection.space!r}"
        raise InvalidConfiguration(message, endpoint=connection.shown, hint=f"set space to {choice}")
    if not found:
        names = ", ".join(sorted({space.name for space in known})[:_MOST_NAMES]) or "none"
        message = f"the token allows no space {connection.space!r}"
        hint = f"check space, and that the token is not limited to others (it allows: {names})"
        raise NotFound(message, endpoint=connection.shown, hint=hint)
    return found[0]


def unserved(scope: AccessTokenScope, space: Space, *, writing: bool) -> StorageError:
    """Return why the client finds no Oneprovider for the space, though none has failed to answer."""
    supports = scope["dataAccessScope"]["spaces"][space.id]["supports"]
    providers = scope["dataAccessScope"]["providers"]
    if not supports:
        hint = "ask the space's owner for the support of a Oneprovider"
        return InvalidConfiguration(f"no Oneprovider supports the space {space.name!r}", hint=hint)
    online = [id_ for id_ in supports if providers[id_]["online"]]
    if not online:
        domains = ", ".join(providers[id_]["domain"] for id_ in supports)
        return Unavailable(f"all Oneproviders of the space {space.name!r} are offline ({domains})")
    recent = [id_ for id_ in online if not is_older(providers[id_]["version"], _OLDEST)]
    if not recent:
        told = ", ".join(f"{providers[id_]['domain']} {providers[id_]['version']}" for id_ in online)
        return Unsupported(f"the Oneproviders of the space {space.name!r} are older than {_OLDEST} ({told})")
    if writing and all(supports[id_]["readonly"] for id_ in recent):
        hint = "write to another space, or ask for a support that is not read-only"
        return PermissionDenied(f"the space {space.name!r} can only be read", hint=hint)
    return Unavailable(f"no Oneprovider serves the space {space.name!r}")


def is_older(version: str, than: str) -> bool:
    """Whether one version is older than another; a version that can't be read is not."""
    try:
        return Version(version) < Version(than)
    except InvalidVersion:
        return False
