"""The provider `s3`, and what all providers of buckets and keys have in common."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from faas_supervisor.errors import InvalidPath, NotFound, PermissionDenied
from faas_supervisor.storage import Capabilities, ObjectInfo, StorageProvider
from faas_supervisor_s3.connection import Connection, endpoint_url
from faas_supervisor_s3.credentials import AwsChain, StaticKeys, keys_of
from faas_supervisor_s3.engine import Place
from faas_supervisor_s3.etags import fits
from faas_supervisor_s3.failures import NoSuchBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from obstore.store import S3CredentialProvider

    from faas_supervisor.storage import ObjectRef, Progress
    from faas_supervisor_s3.engine import Engine, ListingEngine
    from faas_supervisor_s3.settings import Settings

__all__ = ["BucketProvider", "fast_engine", "make_provider"]

_log: Final = logging.getLogger(__name__)


class BucketProvider(StorageProvider):
    """Objects in buckets. The fast engine moves the bytes of every key that it can name, the SDK's does the rest.

    The SDK's engine also lists. obstore shows the marker `dir/` as an object `dir`, fails at `a//b`, and asks in a
    form in which a server can't tell control characters.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        atomic_upload=True, pins=True, opaque_keys=True, max_object_size=5 * 1024**4
    )

    def __init__(self, fast: Engine | None, make_sdk: Callable[[], ListingEngine]) -> None:
        self._fast = fast
        self._make_sdk = make_sdk
        self._sdk: ListingEngine | None = None
        self._making = threading.Lock()

    def download(self, source: ObjectRef, destination: Path, progress: Progress) -> ObjectInfo:
        """Write the object to `destination`."""
        place = _object(source.path)
        return self._engine(place).download(place, source, destination, progress, self.memory)

    def upload(self, source: Path, path: str, progress: Progress) -> ObjectInfo:
        """Make the object hold what `source` holds."""
        place = Place.of(path)
        if not place.key:
            raise InvalidPath("the path names a bucket, not an object", path=path, hint="write it as bucket/key")
        return self._engine(place).upload(source, place, progress, self.memory)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below `prefix`; those of every bucket for `""`."""
        sdk = self._with_sdk()
        if not prefix:
            for bucket in sdk.buckets():
                yield from _objects(sdk, bucket, "")
            return
        place = Place.of(prefix.removesuffix("/"))
        if place.key and not prefix.endswith("/"):
            yield from _object_itself(sdk, place)
        yield from _objects(sdk, place.bucket, f"{place.key}/" if place.key else "")

    def stat(self, path: str) -> ObjectInfo:
        """Return what the server says about the object."""
        place = _object(path)
        return self._engine(place).stat(place)

    def same(self, source: Path, info: ObjectInfo) -> bool:
        """Tell whether the ETag proves that the object holds what `source` holds."""
        return info.etag is not None and fits(source, info.etag)

    def delete(self, path: str) -> None:
        """Remove the object."""
        place = _object(path)
        try:
            self._engine(place).delete(place)
        except NotFound:
            return

    def check(self) -> None:
        """Ask for the buckets. Not to be allowed to see them is no fault: the credentials were good."""
        try:
            next(self._with_sdk().buckets(), None)
        except PermissionDenied:
            return

    def close(self) -> None:
        """Close the connections."""
        for engine in (self._fast, self._sdk):
            if engine is not None:
                engine.close()

    def _engine(self, place: Place) -> Engine:
        if self._fast is not None and self._fast.expresses(place.key):
            return self._fast
        return self._with_sdk()

    def _with_sdk(self) -> ListingEngine:
        with self._making:
            if self._sdk is None:
                self._sdk = self._make_sdk()
            return self._sdk


def make_provider(settings: Settings) -> StorageProvider:
    """Return the provider that `settings` describe.

    Raises:
        InvalidConfiguration: They can't work, whatever the server says.
    """
    keys = keys_of(settings)
    endpoint = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL")
    connection = Connection(
        endpoint=endpoint_url(endpoint) if endpoint else None,
        region=_region(settings, keys),
        verify=settings.verify,
        ca_bundle=settings.ca_bundle,
        read_timeout=settings.read_timeout,
    )

    def sdk() -> ListingEngine:
        from faas_supervisor_s3.boto_engine import BotoEngine  # noqa: PLC0415  # brings boto3: half a second

        return BotoEngine(connection, keys)

    return BucketProvider(fast_engine(settings.engine, connection, keys), sdk)


def fast_engine(engine: Literal["obstore", "sdk"], connection: Connection, keys: S3CredentialProvider) -> Engine | None:
    """Return the engine on obstore, or None where another one was asked for or the environment spoils it."""
    if engine == "sdk":
        return None
    from faas_supervisor_s3.obstore_engine import ObstoreEngine  # noqa: PLC0415  # only those who use it pay
    from faas_supervisor_s3.obstore_stores import is_isolated  # noqa: PLC0415

    if not is_isolated():
        _log.info("the SDK moves the bytes: obstore would follow AWS_* variables that were not meant for it")
        return None
    return ObstoreEngine(connection, keys)


def _region(settings: Settings, keys: StaticKeys | AwsChain) -> str:
    named = settings.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return named or keys.region() or "us-east-1"


def _object(path: str) -> Place:
    place = Place.of(path)
    if not place.key:
        raise NotFound("a bucket is no object", path=path)
    return place


def _object_itself(sdk: ListingEngine, place: Place) -> Iterator[ObjectInfo]:
    try:
        yield sdk.stat(place)
    except NoSuchBucket:
        raise
    except NotFound:
        return


def _objects(sdk: ListingEngine, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
    """Yield all objects but the markers that stand for folders."""
    for info in sdk.list(bucket, prefix):
        if info.size or not info.path.endswith("/"):
            yield info
