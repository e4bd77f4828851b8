"""The engine on obstore: object_store's Rust, with a tenth of an SDK's start-up and the least processor time."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from obstore.exceptions import BaseError

from faas_supervisor.errors import IntegrityError, StorageError
from faas_supervisor.storage import ObjectInfo
from faas_supervisor_s3.engine import CHUNK, PART, SINGLE_PUT, CheckedFile, confirmed, part_size
from faas_supervisor_s3.failures import UNEXPLAINED, answered, pinned, told_in, unreachable
from faas_supervisor_s3.obstore_stores import Stores
from faas_supervisor_s3.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import S3CredentialProvider, S3Store

    from faas_supervisor.storage import MemoryBudget, ObjectRef, Progress
    from faas_supervisor_s3.connection import Connection
    from faas_supervisor_s3.engine import Place

__all__ = ["ObstoreEngine"]

_PARTS_AT_ONCE: Final = 10

# 32 MiB under way are enough for 5 Gbit/s over 50 ms; more would only cost memory.
_SENT_AT_ONCE: Final = 4

_CHANGED: Final = "the object changed while it was downloaded"

_STATUS: Final = re.compile(r"non-2xx status code: (\d{3})")
_WRONG_BODY: Final = ("non-partial response", "Content-Length Header missing", "S3 error: Requested ")


class ObstoreEngine:
    """Moves bytes through obstore. Safe to use from several threads."""

    def __init__(self, connection: Connection, keys: S3CredentialProvider) -> None:
        self._stores = Stores(connection, keys)
        self._endpoint = connection.shown

    def expresses(self, key: str) -> bool:
        """Whether obstore takes `key`: it refuses some keys, and drops the slash from the ends of others."""
        if any(segment in {"", ".", ".."} for segment in key.split("/")):
            return False
        return key.isprintable() or not any(char < " " or char == "\x7f" for char in key)

    def download(
        self, place: Place, source: ObjectRef, destination: Path, progress: Progress, memory: MemoryBudget
    ) -> ObjectInfo:
        """Write the object to `destination`: what fits into one part with one request, the rest in parallel.

        `checksums` stays empty. An ETag is the MD5 of the content for some objects only (not with SSE-KMS, nor when
        written in parts), and no answer tells for which. Checked are each part's length and that all are of one ETag.
        """
        store, pin = self._stores.of(place), _pin(source)
        with pinned(source), self._translated(place):
            answer = _first(store, place.key, pin)
        meta = answer.meta
        progress.start(meta["size"])
        with _created(destination) as file:
            with pinned(source), self._translated(place):
                _write(answer, file, progress, lambda: False)

            def fetch(start: int, stopped: Callable[[], bool]) -> None:
                end = min(start + PART, meta["size"])
                options: GetOptions = {**pin, "if_match": meta["e_tag"], "range": (start, end)}
                with self._translated(place):
                    part = store.get(place.key, options=options)
                    # A server that does not know If-Match would mix two contents; these two tell.
                    if (part.meta["size"], part.meta["e_tag"]) != (meta["size"], meta["e_tag"]):
                        raise IntegrityError(_CHANGED, path=place.path, endpoint=self._endpoint)
                    _write(part, file, progress, stopped)

            starts = range(answer.range[1], meta["size"], PART)
            if starts:
                with memory.share(least=PART, most=min(_PARTS_AT_ONCE, len(starts)) * PART) as granted:
                    in_parallel(fetch, starts, granted // PART)
        return _info(place, meta)

    def upload(self, source: Path, place: Place, progress: Progress, memory: MemoryBudget) -> ObjectInfo:
        """Send the file in one request, or in parts when it is large. Either is visible only when it is complete.

        Every request is signed with the SHA-256 of its body (`unsigned_payload` stays off), so that the server
        refuses bytes which changed on the way.
        """
        store = self._stores.of(place)
        with source.open("rb", buffering=0) as opened:
            file = CheckedFile(opened, progress)
            if file.size <= SINGLE_PUT:
                return self._put_whole(store, place, file, memory)
            return self._put_parts(store, place, file, memory)

    def _put_whole(self, store: S3Store, place: Place, file: CheckedFile, memory: MemoryBudget) -> ObjectInfo:
        """Send the file in one request. Where the ETag is the MD5 of what was sent, no more need be asked."""
        with memory.share(least=file.size, most=file.size):
            content = bytearray(file.size)
            at = 0
            for chunk in file.chunks():
                content[at : at + len(chunk)] = chunk
                at += len(chunk)
            with self._translated(place):
                etag = _unquoted(store.put(place.key, content, use_multipart=False)["e_tag"])
            if etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
                return ObjectInfo(place.path, file.size, etag=etag)
        return confirmed(self.stat(place), file.size)

    def _put_parts(self, store: S3Store, place: Place, file: CheckedFile, memory: MemoryBudget) -> ObjectInfo:
        """Send the file in parts. From an iterator, unlike from a file object, an exception comes out as what it is.

        obstore aborts the multipart upload after any.
        """
        part = part_size(file.size)
        with memory.share(least=2 * part, most=(_SENT_AT_ONCE + 1) * part) as granted, self._translated(place):
            store.put(
                place.key,
                file.chunks(),
                use_multipart=True,
                chunk_size=part,
                max_concurrency=max(1, granted // part - 1),  # one more is being filled
            )
        return confirmed(self.stat(place), file.size)

    def stat(self, place: Place) -> ObjectInfo:
        """Return what the server says about the object."""
        store = self._stores.of(place)
        with self._translated(place):
            try:
                meta = store.head(place.key)
            except (BaseError, FileNotFoundError) as error:
                # The answer to a HEAD has no body that could say whether it was the bucket, or which credential.
                status = _STATUS.search(str(error))
                if status is None or int(status[1]) not in UNEXPLAINED:
                    raise
                meta = store.get(place.key, options={"range": (0, 1)}).meta
        return _info(place, meta)

    def delete(self, place: Place) -> None:
        """Remove the object."""
        store = self._stores.of(place)
        with self._translated(place):
            store.delete(place.key)

    def close(self) -> None:
        """Forget all stores; their connections go with them."""
        self._stores.clear()

    @contextmanager
    def _translated(self, place: Place) -> Iterator[None]:
        """Raise what obstore raises as a StorageError."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) and error.errno is not None:
                raise  # a local file's; obstore's own has no number
            raise _failure(str(error), place, self._endpoint) from error


def _pin(source: ObjectRef) -> GetOptions:
    if source.version is not None:
        return {"version": source.version}
    return {"if_match": f'"{source.etag}"'} if source.etag is not None else {}


@contextmanager
def _created(path: Path) -> Iterator[int]:
    """Give the descriptor of a new file, for writing at any place."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        yield file
    finally:
        os.close(file)


def _first(store: S3Store, key: str, pin: GetOptions) -> GetResult:
    """Return the answer that holds the object's first part; the whole object if it can't be had in parts."""
    try:
        answer = store.get(key, options={**pin, "range": (0, PART)})
    except BaseError as error:
        if "status code: 416" not in str(error):
            raise
        return store.get(key, options=pin)  # an empty object has no first byte
    if answer.range[1] < answer.meta["size"] and not answer.meta["e_tag"]:
        return store.get(key, options=pin)  # nothing would show that two parts are of two contents
    return answer


def _write(answer: GetResult, file: int, progress: Progress, stopped: Callable[[], bool]) -> None:
    """Write the bytes of one answer to where they belong."""
    at, end = answer.range
    for chunk in answer.stream(min_chunk_size=CHUNK):
        if stopped():
            return
        rest = memoryview(chunk)
        while rest:
            written = os.pwrite(file, rest, at)
            at += written
            rest = rest[written:]
        progress.advance(len(chunk))
    if at != end:
        raise IntegrityError(f"{at - answer.range[0]} bytes arrived of {end - answer.range[0]}")


def _info(place: Place, meta: ObjectMeta) -> ObjectInfo:
    return ObjectInfo(place.path, meta["size"], meta["last_modified"], _unquoted(meta["e_tag"]))


def _unquoted(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


def _failure(text: str, place: Place, endpoint: str) -> StorageError:
    """Return the error for obstore's `text`: a sentence with the server's answer, then a dump of the request."""
    said = text.partition("\n\nDebug source:")[0]
    status, (code, message) = _STATUS.search(said), told_in(said)
    if status or code:
        return answered(int(status[1]) if status else 0, code, message, path=place.path, endpoint=endpoint)
    if "redirect without LOCATION" in said:
        return answered(301, "PermanentRedirect", "the bucket is elsewhere", path=place.path, endpoint=endpoint)
    if any(mark in said for mark in _WRONG_BODY):
        return IntegrityError(
            "the server did not answer with the bytes that were asked for", path=place.path, endpoint=endpoint
        )
    return unreachable(text, path=place.path, endpoint=endpoint)
