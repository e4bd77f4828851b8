"""The engine on boto3: for keys that obstore can't name, for listings, and where `engine: sdk` is set."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from faas_supervisor.storage import ObjectInfo
from faas_supervisor_s3.boto_failures import translated
from faas_supervisor_s3.connection import CONNECT_TIMEOUT
from faas_supervisor_s3.engine import CHUNK, SINGLE_PUT, CheckedFile, confirmed, part_size, write_stream
from faas_supervisor_s3.failures import UNEXPLAINED, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faas_supervisor.storage import MemoryBudget, ObjectRef, Progress
    from faas_supervisor_s3.connection import Connection
    from faas_supervisor_s3.credentials import AwsChain, StaticKeys
    from faas_supervisor_s3.engine import Place

__all__ = ["BotoEngine"]

_PARTS_AT_ONCE: Final = 10

# The core moves eight files at once unless told otherwise; with fewer connections than threads, urllib3 throws away
# and warns.
_CONNECTIONS: Final = 16 * _PARTS_AT_ONCE


class BotoEngine:
    """Moves bytes through boto3. One client, made once: it takes a third of a second, and all threads may use it."""

    def __init__(self, connection: Connection, keys: StaticKeys | AwsChain) -> None:
        self._endpoint = connection.shown
        with translated("", self._endpoint):
            self._client = _client(connection, keys)

    def expresses(self, key: str) -> bool:  # noqa: ARG002
        """Whether boto3 can name `key`: any."""
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

        boto3's own download is not used: it asks for the size first, finds a missing object by a bare "404", repeats
        parts at once and without a pause, and takes a refused range for an empty object.
        """
        pin = {}
        if source.version is not None:
            pin["VersionId"] = source.version
        elif source.etag is not None:
            pin["IfMatch"] = f'"{source.etag}"'
        with pinned(source), translated(place.path, self._endpoint):
            answer = self._client.get_object(Bucket=place.bucket, Key=place.key, **pin)
            with closing(answer["Body"]) as body:
                write_stream(body.iter_chunks(CHUNK), destination, answer["ContentLength"], progress)
        return _info(place, answer)

    def upload(self, source: Path, place: Place, progress: Progress, memory: MemoryBudget) -> ObjectInfo:
        """Send the file in one request, or in parts when it is large; then ask what the server holds."""
        with source.open("rb", buffering=0) as opened:
            file = CheckedFile(opened, progress)
            part = part_size(file.size)
            with (
                memory.share(least=2 * part, most=2 * _PARTS_AT_ONCE * part) as granted,
                translated(place.path, self._endpoint),
            ):
                self._client.upload_fileobj(file, place.bucket, place.key, Config=_transfer(part, granted))
        return confirmed(self.stat(place), file.size)

    def stat(self, place: Place) -> ObjectInfo:
        """Return what the server says about the object."""
        with translated(place.path, self._endpoint):
            try:
                answer = self._client.head_object(Bucket=place.bucket, Key=place.key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] not in UNEXPLAINED:
                    raise
                # The answer to a HEAD has no body that could say whether it was the bucket, or which credential.
                self._client.get_object(Bucket=place.bucket, Key=place.key, Range="bytes=0-0")["Body"].close()
                raise  # it has come meanwhile, or HEAD alone is refused
        return _info(place, answer)

    def delete(self, place: Place) -> None:
        """Remove the object."""
        with translated(place.path, self._endpoint):
            self._client.delete_object(Bucket=place.bucket, Key=place.key)

    def buckets(self) -> Iterator[str]:
        """Yield the name of every bucket that the credentials may see."""
        with translated("", self._endpoint):
            found = self._client.list_buckets()["Buckets"]
        for bucket in found:
            yield bucket["Name"]

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with `prefix`, page by page."""
        with translated(f"{bucket}/{prefix}", self._endpoint):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    etag = entry.get("ETag", "").strip('"') or None
                    yield ObjectInfo(f"{bucket}/{entry['Key']}", entry["Size"], entry.get("LastModified"), etag)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _client(connection: Connection, keys: StaticKeys | AwsChain) -> Any:  # noqa: ANN401  # boto3 has no types
    custom = connection.endpoint is not None
    # Many stores refuse the CRC32 that boto3 sends of its own accord (boto3#4409). Without it, the body's SHA-256 is
    # in the signature.
    checksums = "when_required" if custom else "when_supported"
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=connection.read_timeout,
        retries={"mode": "standard", "total_max_attempts": 1},  # the core retries, and knows the deadline
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        s3={"addressing_style": "path" if custom else "auto"},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        ignore_configured_endpoint_urls=True,
        proxies={"https" if connection.secure else "http": connection.proxy} if connection.proxy else {},
    )
    if not connection.verify:
        _silence()
    client = keys.session(connection.region).client(
        "s3",
        endpoint_url=connection.endpoint,
        region_name=connection.region,
        verify=connection.trust().file() if connection.verify else False,
        config=config,
    )
    if custom:
        client.meta.events.register("before-parameter-build.s3", _stay)
    return client


def _stay(context: dict[str, Any], **_: object) -> None:
    """Have botocore take a redirect as an answer; it would ask for the bucket's region, be redirected, ask again..."""
    context.get("s3_redirect", {})["redirected"] = True


def _silence() -> None:
    """Stop the warning at each request: whoever sets `verify: false` knows."""
    import urllib3  # noqa: PLC0415

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


def _transfer(part: int, granted: int) -> TransferConfig:
    parts = max(1, granted // part // 2)
    config = TransferConfig(
        # `auto` may choose the CRT client, which follows neither the endpoint nor its scheme; boto3#4839.
        preferred_transfer_client="classic",
        multipart_threshold=SINGLE_PUT,
        multipart_chunksize=part,
        max_concurrency=parts,
    )
    config.max_in_memory_upload_chunks = parts  # read ahead of those that are under way
    return config


def _info(place: Place, answer: dict[str, Any]) -> ObjectInfo:
    etag = answer.get("ETag", "").strip('"') or None
    return ObjectInfo(place.path, answer["ContentLength"], answer.get("LastModified"), etag)
