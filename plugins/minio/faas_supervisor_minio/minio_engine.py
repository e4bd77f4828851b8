"""The engine on minio's SDK: for keys that obstore can't name, for listings, and where `engine: sdk` is set."""

from __future__ import annotations

from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from minio import Minio, S3Error

from faas_supervisor.storage import ObjectInfo
from faas_supervisor_minio.connections import connections
from faas_supervisor_minio.minio_failures import translated
from faas_supervisor_s3.engine import CHUNK, MIB, SINGLE_PUT, CheckedFile, confirmed, part_size, write_stream
from faas_supervisor_s3.failures import UNEXPLAINED, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minio.datatypes import Object
    from urllib3 import BaseHTTPResponse

    from faas_supervisor.storage import MemoryBudget, ObjectRef, Progress
    from faas_supervisor_s3.connection import Connection
    from faas_supervisor_s3.credentials import StaticKeys
    from faas_supervisor_s3.engine import Place

__all__ = ["MinioEngine"]

# One for each file that the core moves at once, and some.
_CONNECTIONS: Final = 32

_SMALLEST_PART: Final = 5 * MIB


class MinioEngine:
    """Moves bytes through minio. One client, which all threads may use (but no other process)."""

    def __init__(self, connection: Connection, keys: StaticKeys) -> None:
        self._endpoint = connection.shown
        self._connections = connections(connection, _CONNECTIONS)
        with translated("", self._endpoint):
            self._client = Minio(
                # It takes `host:port` only, and the scheme as a flag.
                self._endpoint.partition("://")[2],
                access_key=keys.access_key,
                secret_key=keys.secret_key.reveal(),
                session_token=keys.session_token.reveal() if keys.session_token else None,
                secure=connection.secure,
                region=connection.region,  # without it, every bucket's is asked for first, which may be forbidden
                http_client=self._connections,
            )

    def expresses(self, key: str) -> bool:  # noqa: ARG002
        """Whether it is up to this engine to name `key`: it is; what it can't, MinIO can't hold either."""
        return True

    def download(
        self,
        place: Place,
        source: ObjectRef,
        destination: Path,
        progress: Progress,
        memory: MemoryBudget,  # noqa: ARG002  # holds one chunk
    ) -> ObjectInfo:
        """Write the object to `destination`, from the one answer that also tells its size and ETag.

        minio's own `fget_object` is not used: it asks for the size first, does not notice a change after that, and
        leaves a file of its own behind when it fails.
        """
        headers: dict[str, str | list[str] | tuple[str]] = {}
        if source.version is None and source.etag is not None:
            headers["If-Match"] = f'"{source.etag}"'
        with pinned(source), translated(place.path, self._endpoint):
            answer = self._client.get_object(
                place.bucket, place.key, request_headers=headers, version_id=source.version
            )
            with _released(answer):
                info = _answer_info(place, answer)
                # An object may itself be compressed and say so; its bytes are wanted as they are.
                write_stream(answer.stream(CHUNK, decode_content=False), destination, info.size, progress)
        return info

    def upload(self, source: Path, place: Place, progress: Progress, memory: MemoryBudget) -> ObjectInfo:
        """Send the file in one request, or in parts when it is large; then ask what the server holds.

        Its parts go one after the other. In parallel, the SDK would leave its threads behind when reading the file or
        `progress` raises, and abort the upload while they still send (minio-py#1226).
        """
        with source.open("rb", buffering=0) as opened:
            file = CheckedFile(opened, progress)
            part = part_size(file.size) if file.size > SINGLE_PUT else max(file.size, _SMALLEST_PART)
            held = min(part, file.size)
            with memory.share(least=held, most=held), translated(place.path, self._endpoint):
                self._client.put_object(
                    place.bucket,
                    place.key,
                    file,  # type: ignore[arg-type]  # of a BinaryIO, only `read` is used
                    file.size,
                    part_size=part,
                    num_parallel_uploads=1,
                )
                file.read(1)  # has it grown?
        return confirmed(self.stat(place), file.size)

    def stat(self, place: Place) -> ObjectInfo:
        """Return what the server says about the object."""
        with translated(place.path, self._endpoint):
            try:
                return _info(place.path, self._client.stat_object(place.bucket, place.key))
            except S3Error as error:
                if error.response.status not in UNEXPLAINED:
                    raise
                # The answer to a HEAD has no body that could say whether it was the bucket, or which credential.
                with _released(self._client.get_object(place.bucket, place.key, length=1)):
                    raise  # it has come meanwhile, or HEAD alone is refused

    def delete(self, place: Place) -> None:
        """Remove the object."""
        with translated(place.path, self._endpoint):
            self._client.remove_object(place.bucket, place.key)

    def buckets(self) -> Iterator[str]:
        """Yield the name of every bucket that the credentials may see."""
        with translated("", self._endpoint):
            found = self._client.list_buckets()
        for bucket in found:
            yield bucket.name

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with `prefix`, page by page."""
        with translated(f"{bucket}/{prefix}", self._endpoint):
            for entry in self._client.list_objects(bucket, prefix, recursive=True):
                yield _info(f"{bucket}/{entry.object_name}", entry)

    def close(self) -> None:
        """Close the connections."""
        self._connections.clear()


@contextmanager
def _released(answer: BaseHTTPResponse) -> Iterator[None]:
    """Give the connection back at the end, or close it if bytes are left on it."""
    try:
        yield
    finally:
        answer.close()
        answer.release_conn()


def _answer_info(place: Place, answer: BaseHTTPResponse) -> ObjectInfo:
    headers = answer.headers
    modified = headers.get("Last-Modified")
    return ObjectInfo(
        place.path,
        int(headers["Content-Length"]),
        parsedate_to_datetime(modified) if modified else None,
        headers.get("ETag", "").strip('"') or None,
    )


def _info(path: str, entry: Object) -> ObjectInfo:
    return ObjectInfo(path, entry.size or 0, entry.last_modified, (entry.etag or "").strip('"') or None)
