"""What a storage provider is: five operations on paths, and a declaration of what it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeAlias

from faas_supervisor.errors import Unsupported
from faas_supervisor.storage._budget import MIB, MemoryBudget
from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

__all__ = ["API_VERSION", "Capabilities", "ObjectInfo", "ObjectRef", "Progress", "ProviderSpec", "StorageProvider"]

API_VERSION: Final = 1

_SettingsClass: TypeAlias = type[Any]


@value
class ObjectInfo:
    """What the server says about one object.

    Attributes:
        path: The path that the caller used, or would use, for it.
        size: Bytes.
        modified: When it was last written, with a time zone; None where the server does not tell.
        etag: The server's mark for this very content, without quotes.
        checksums: Lower-case hexadecimal by algorithm: `{"adler32": "5ae07809"}`. Only what the server
            computed, and only where it surely is a checksum of the content (an S3 ETag may not be).
    """

    path: str
    size: int
    modified: datetime | None = None
    etag: str | None = None
    checksums: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@value
class ObjectRef:
    """One object, and optionally the very version or content of it that an event spoke of."""

    path: str
    version: str | None = None
    etag: str | None = None


@value
class Capabilities:
    """What a provider can do; the core, the conformance kit and the documentation go by it.

    Attributes:
        checksums: Algorithms that its `ObjectInfo`s may carry.
        atomic_upload: An upload that fails leaves the old content, or none.
        overwrite: An upload to an existing path replaces it.
        pins: `download` honours `ObjectRef.version` and `ObjectRef.etag`.
        delete: `delete` is implemented.
        thread_safe: One instance may be used by several threads at once; else the core makes one for each.
        opaque_keys: Paths are keys of an object store: `bucket/key`, and the key may hold anything
            that the store takes. Else paths are folders and names, validated by the core.
        max_object_size: The largest object that the store takes, in bytes.
    """

    checksums: frozenset[str] = frozenset()
    atomic_upload: bool = False
    overwrite: bool = True
    pins: bool = False
    delete: bool = True
    thread_safe: bool = True
    opaque_keys: bool = False
    max_object_size: int | None = None


class Progress(Protocol):
    """What a provider tells while it moves bytes. What either method raises, such as `Cancelled`, goes through."""

    def start(self, total: int | None) -> None:
        """Say that bytes are about to move, and how many if that is known. Called once, before the first."""

    def advance(self, n: int) -> None:
        """Say that `n` more bytes have moved. May be called from any thread."""


class StorageProvider(ABC):
    """One configured storage, such as `minio.default`.

    Rules for all operations:
        - `path` is as users write it in the configuration; in object stores its first segment is the bucket.
          The provider does all quoting that its protocol needs.
        - One attempt. Raise an error from `faas_supervisor.errors` (a `StorageError`, `from` its cause) and
          say by its class whether trying again makes sense; the core retries.
        - Every wait has a time-out, memory does not grow with the object's size.
        - No secret in any message.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()

    memory: MemoryBudget = MemoryBudget(64 * MIB)
    """The budget for buffers of more than 1 MiB. The core replaces it by the one that all providers share."""

    @abstractmethod
    def download(self, source: ObjectRef, destination: Path, progress: Progress) -> ObjectInfo:
        """Write the object to `destination` and return what the server said of it.

        - `destination` is a name for this attempt alone, in a folder that exists; no other file is left behind.
        - With `pins`, the object is that of `source.version`, else that of `source.etag`.
        - Fewer or more bytes than the server promised are an `IntegrityError`.

        Raises:
            NotFound: There is no such object, or no longer the pinned one (say which).
            StorageError: Any other kind of failure, by its subclass.
        """

    @abstractmethod
    def upload(self, source: Path, path: str, progress: Progress) -> ObjectInfo:
        """Make the object at `path` hold what the file `source` holds, and return what the server now has.

        - Folders on the way are made. An existing object is replaced. Empty files work.
        - With `atomic_upload`, nobody ever sees a part of it.

        Raises:
            StorageError: By its subclass. The core then removes what may be left, if `delete` is possible.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object below the folder `prefix` (or the object of that name), in any order.

        - Whole segments: `a/b` does not match `a/bc`. `""` is everything. A missing prefix is empty.
        - Objects only: no folders, no folder markers. Fetched page by page as the caller goes on.
        """

    @abstractmethod
    def stat(self, path: str) -> ObjectInfo:
        """Return what the server says about one object.

        Raises:
            NotFound: There is none; a folder is none either.
        """

    def same(self, source: Path, info: ObjectInfo) -> bool:  # noqa: ARG002
        """Tell whether `info.etag` proves that the object holds what `source` holds; the sizes are equal.

        For stores whose etag is a hash for some objects: that of these very bytes then proves it, another one
        proves nothing. The core compares `info.checksums` itself.
        """
        return False

    def delete(self, path: str) -> None:
        """Remove one object; one that is not there is success.

        Raises:
            Unsupported: The provider can't; its capabilities say so.
        """
        raise Unsupported("this provider can't delete", path=path)

    def check(self) -> None:
        """Raise if the settings, the credentials or the network are no good; `supervisor check` calls it.

        The default lists one object.
        """
        next(iter(self.list("")), None)

    def close(self) -> None:  # noqa: B027  # most providers hold nothing
        """Free what the provider holds. Called exactly once, after the last operation."""


@value
class ProviderSpec:
    """What a plugin offers: a type of provider, its settings, and how to make one.

    Attributes:
        type: The name in the configuration (`storage_providers.<type>.<id>`) and of the entry point.
        settings: A frozen dataclass whose fields are made by `setting`.
        factory: Makes a provider from an instance of `settings`. SDKs are imported here, not before.
        api_version: The version of this interface that the plugin was written for.
        summary: One sentence for `supervisor plugins`.
        locate: Turns the path that an event tells into the provider's own, or returns None for one that is not
            on the provider with these settings. For stores whose events tell more than a path, such as a space.
    """

    type: str
    settings: _SettingsClass
    factory: Callable[[Any], StorageProvider]
    api_version: int = API_VERSION
    summary: str = ""
    locate: Callable[[Any, str], str | None] | None = None
