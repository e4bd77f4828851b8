"""What the zone holds: tokens, spaces and their files. The same whichever Oneprovider is asked."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OLD_NAMES", "EmulatedSpace", "Failed", "Node", "Token", "World", "attributes", "new_id", "posix"]

_LONGEST_NAME: Final = 255


class Failed(Exception):
    """An answer that is an error: `{"error": {"id", "details", "description"}}`."""

    def __init__(self, status: int, identifier: str, description: str, **details: object) -> None:
        super().__init__(description)
        self.status = status
        self.document = {"error": {"id": identifier, "details": details, "description": description}}


def posix(errno: str) -> Failed:
    """Return a POSIX error; Onedata answers 400 to each of them."""
    return Failed(400, "posix", f"Operation failed with POSIX error: {errno}.", errno=errno)


def new_id() -> str:
    """Return an id as long as Onedata's."""
    return os.urandom(30).hex()


@dataclass(slots=True, eq=False)
class Node:
    """A file, folder or symbolic link; the content of a file is the local file `content`."""

    id: str
    name: str
    kind: str
    parent: Node | None
    content: Path
    children: dict[str, Node] = field(default_factory=dict)
    modified: int = field(default_factory=lambda: int(time.time()))

    @property
    def size(self) -> int | None:
        """Bytes; None for what is no file."""
        return self.content.stat().st_size if self.kind == "REG" else None


@dataclass(slots=True, eq=False)
class EmulatedSpace:
    """A space; its root folder has the space's id.

    Attributes:
        supports: Whether each Oneprovider that supports it, by id, may only read.
        full: Whether nothing can be written any more.
        refuses: A POSIX error, such as `eacces`, that all of its files answer with.
    """

    name: str
    root: Node
    supports: dict[str, bool]
    full: bool = False
    refuses: str = ""

    @property
    def id(self) -> str:
        """The id of the space and of its root folder."""
        return self.root.id


@dataclass(frozen=True, slots=True)
class Token:
    """What a token allows; `spaces` is all for None, `forbidden` makes every Oneprovider answer 403."""

    readonly: bool = False
    spaces: tuple[str, ...] | None = None
    forbidden: bool = False


class World:
    """All tokens, spaces and files. Whoever looks into it holds `lock`."""

    def __init__(self, folder: Path) -> None:
        self.lock: Final = threading.RLock()
        self.tokens: Final[dict[str, Token]] = {}
        self.spaces: Final[dict[str, EmulatedSpace]] = {}
        self._nodes: Final[dict[str, tuple[EmulatedSpace, Node]]] = {}
        self._folder: Final = folder

    def add_space(self, name: str, supports: dict[str, bool]) -> EmulatedSpace:
        """Make a space with an empty root folder."""
        id_ = new_id()
        space = EmulatedSpace(name, Node(id_, name, "DIR", None, self._folder / id_), supports)
        with self.lock:
            self.spaces[id_] = space
            self._nodes[id_] = (space, space.root)
        return space

    def by_id(self, id_: str) -> tuple[EmulatedSpace, Node]:
        """Return what has this id, and the space that it is in."""
        if id_ not in self._nodes:
            raise posix("enoent")
        return self._nodes[id_]

    def find(self, node: Node, segments: list[str]) -> Node:
        """Return what is at the path below `node`."""
        for name in segments:
            if node.kind != "DIR":
                raise posix("enotdir")
            if name not in node.children:
                raise posix("enoent")
            node = node.children[name]
        return node

    def create(self, space: EmulatedSpace, segments: list[str], kind: str, *, parents: bool) -> Node:
        """Make a file, folder or link at the path below the space."""
        node = space.root
        *folders, name = segments
        for folder in folders:
            if node.kind != "DIR":
                raise posix("enotdir")
            if folder not in node.children:
                if not parents:
                    raise posix("enoent")
                self._add(space, node, folder, "DIR")
            node = node.children[folder]
        if node.kind != "DIR":
            raise posix("enotdir")
        if name in node.children:
            raise posix("eexist")
        return self._add(space, node, name, kind)

    def remove(self, node: Node) -> None:
        """Remove a file, or a folder with all that is in it."""
        for child in list(node.children.values()):
            self.remove(child)
        if node.parent is None:
            raise posix("eperm")
        del node.parent.children[node.name]
        del self._nodes[node.id]
        node.content.unlink(missing_ok=True)

    def _add(self, space: EmulatedSpace, parent: Node, name: str, kind: str) -> Node:
        if len(name.encode()) > _LONGEST_NAME:
            raise posix("enametoolong")
        id_ = new_id()
        node = Node(id_, name, kind, parent, self._folder / id_)
        if kind == "REG":
            node.content.touch()
        parent.children[name] = node
        self._nodes[id_] = (space, node)
        return node


def attributes(node: Node, provider_id: str) -> dict[str, Any]:
    """Return all attributes, by the names that are used since 21.02.5."""
    return {
        "fileId": node.id,
        "parentFileId": node.parent.id if node.parent else None,
        "name": node.name,
        "posixPermissions": "664",
        "atime": node.modified,
        "mtime": node.modified,
        "ctime": node.modified,
        "type": node.kind,
        "size": node.size,
        "directShareIds": [],
        "index": node.name,
        "displayGid": 0,
        "displayUid": 0,
        "ownerUserId": "emulated",
        "originProviderId": provider_id,
        "hardlinkCount": 1,
    }


OLD_NAMES: Final = {
    "fileId": "file_id",
    "parentFileId": "parent_id",
    "posixPermissions": "mode",
    "displayGid": "storage_group_id",
    "displayUid": "storage_user_id",
    "originProviderId": "provider_id",
    "directShareIds": "shares",
    "ownerUserId": "owner_id",
    "hardlinkCount": "hardlinks_count",
}
"""The names of attributes before 21.02.5 that were others."""
