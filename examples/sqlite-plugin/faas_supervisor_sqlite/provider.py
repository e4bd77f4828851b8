"""The provider: five operations, one attempt each. Everything else is the core's."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faas_supervisor.errors import InsufficientStorage, IntegrityError, NotFound, StorageError, Unavailable
from faas_supervisor.storage import Capabilities, ObjectInfo, ObjectRef, Progress, StorageProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faas_supervisor_sqlite import SqliteSettings

_PIECE = 1024 * 1024
_PAGE = 100


class SqliteProvider(StorageProvider):
    """Objects in a SQLite database: paths with folders, whole objects or none."""

    # A connection belongs to one thread, so the core makes a provider for each.
    capabilities = Capabilities(atomic_upload=True, thread_safe=False, max_object_size=1_000_000_000)

    def __init__(self, settings: SqliteSettings) -> None:
        with _errors():
            # The core closes the provider from its own thread, when no other uses it any more.
            self._database = sqlite3.connect(
                settings.database, timeout=settings.timeout, isolation_level=None, check_same_thread=False
            )
            self._database.execute("CREATE TABLE IF NOT EXISTS objects (path TEXT PRIMARY KEY, content BLOB) STRICT")

    def download(self, source: ObjectRef, destination: Path, progress: Progress) -> ObjectInfo:
        with _errors(), self._transaction("DEFERRED"):
            row, size = self._row(source.path)
            progress.start(size)
            moved = 0
            blob = self._database.blobopen("objects", "content", row, readonly=True)
            with blob, destination.open("wb") as file:
                while piece := blob.read(_PIECE):
                    file.write(piece)
                    moved += len(piece)
                    progress.advance(len(piece))
        if moved != size:
            raise IntegrityError(f"{moved} of {size} bytes came")
        return ObjectInfo(source.path, size)

    def upload(self, source: Path, path: str, progress: Progress) -> ObjectInfo:
        with _errors(), source.open("rb") as file, self._transaction("IMMEDIATE"):
            size = source.stat().st_size
            progress.start(size)
            row = self._database.execute(
                "INSERT OR REPLACE INTO objects (path, content) VALUES (?, zeroblob(?))", (path, size)
            ).lastrowid
            moved = 0
            with self._database.blobopen("objects", "content", row) as blob:
                while piece := file.read(_PIECE):
                    moved += len(piece)
                    if moved > size:
                        break
                    blob.write(piece)
                    progress.advance(len(piece))
            if moved != size:
                raise IntegrityError("the file changed while it was read")
        return ObjectInfo(path, size)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        last = ""
        while True:
            with _errors():
                page = self._database.execute(
                    "SELECT path, length(content) FROM objects "
                    "WHERE path > ?1 AND (?2 = '' OR path = ?2 OR substr(path, 1, length(?2) + 1) = ?2 || '/') "
                    "ORDER BY path LIMIT ?3",
                    (last, prefix, _PAGE),
                ).fetchall()
            for path, size in page:
                yield ObjectInfo(path, size)
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def stat(self, path: str) -> ObjectInfo:
        with _errors():
            return ObjectInfo(path, self._row(path)[1])

    def delete(self, path: str) -> None:
        with _errors():
            self._database.execute("DELETE FROM objects WHERE path = ?", (path,))

    def close(self) -> None:
        self._database.close()

    def _row(self, path: str) -> tuple[int, int]:
        row = self._database.execute("SELECT rowid, length(content) FROM objects WHERE path = ?", (path,)).fetchone()
        if row is None:
            raise NotFound("there is no such object in the database", path=path)
        return int(row[0]), int(row[1])

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        """Whole or not at all: an exception, `Cancelled` too, takes everything back."""
        self._database.execute(f"BEGIN {kind}")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


@contextmanager
def _errors() -> Iterator[None]:
    """Say in the supervisor's words what SQLite says in its own; the core decides about trying again."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise InsufficientStorage("the database can't grow", hint="make room on its disk") from error
        if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise Unavailable("another writer holds the database") from error
        raise StorageError(f"SQLite: {error}", hint="see the setting `database`") from error
    except sqlite3.Error as error:
        raise StorageError(f"SQLite: {error}") from error
