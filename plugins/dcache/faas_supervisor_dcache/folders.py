"""The folders on the way to an object: made one by one, since MKCOL makes only one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import AlreadyExists, NotFound, PermissionDenied
from faas_supervisor_dcache.properties import entry_of

if TYPE_CHECKING:
    from faas_supervisor_dcache.door import Door

__all__ = ["Folders"]

# 405 is what most servers say of a folder that is there; rclone's and XRootD's say 201.
_THERE: Final = frozenset({200, 201, 204, 405})
_PARENT_IS_MISSING: Final = frozenset({404, 409})

_MOST_REMEMBERED: Final = 10_000


class Folders:
    """Makes folders, and remembers those that are there. One thread at a time: the others mostly want the same."""

    def __init__(self, door: Door) -> None:
        self._door: Final = door
        self._known: Final[set[str]] = set()
        self._making: Final = threading.Lock()

    def ensure(self, path: str) -> bool:
        """Have the folder `path` be there, and return whether the server was asked, rather than our memory."""
        if not path or path in self._known:
            return not path
        with self._making:
            self._make(path)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known.add(path)
        return True

    def forget(self) -> None:
        """Ask the server again from now on."""
        with self._making:
            self._known.clear()

    def _make(self, path: str) -> None:
        """Go up to the first folder that can be made or is there, and from there down again."""
        missing = [path]
        while not self._made(missing[-1]):
            parent = missing[-1].rpartition("/")[0]
            if not parent:
                message, hint = "the folder that hostname names is not there", "check the base path in hostname"
                raise NotFound(message, path=path, endpoint=self._door.address.url, hint=hint)
            missing.append(parent)
        for folder in reversed(missing[:-1]):
            if not self._made(folder):
                message = "an object is where a folder has to be"
                raise AlreadyExists(message, path=folder, endpoint=self._door.address.url)

    def _made(self, path: str) -> bool:
        """Make one folder; False if the one above it is missing."""
        refusal: PermissionDenied
        try:
            with self._door.answer("MKCOL", path, _THERE | _PARENT_IS_MISSING, folder=True) as response:
                return response.status_code in _THERE
        except PermissionDenied as error:
            refusal = error
        # Whoever may write into a folder need not be allowed to make it.
        entry = entry_of(self._door, path, folder=True)
        if entry is None or not entry.folder:
            raise refusal
        return True
