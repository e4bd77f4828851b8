"""The engine: every policy about moving files, once, for all providers.

A provider makes one attempt; here are the retries, the temporary names, the verification, the
parallel files, the space check and the clearing up.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import (
    AuthenticationFailed,
    Cancelled,
    IntegrityError,
    NoSpace,
    NotFound,
    OutputError,
    StorageError,
    SupervisorError,
    Unavailable,
    Unsupported,
    printable,
)
from faas_supervisor.logs import emit, log
from faas_supervisor.storage._checksums import mismatch, proven, strongest
from faas_supervisor.storage._meter import Meter
from faas_supervisor.storage._names import validate
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faas_supervisor.stop import Stop
    from faas_supervisor.storage._provider import ObjectInfo, ObjectRef
    from faas_supervisor.storage._retry import Retry
    from faas_supervisor.storage._store import Store

__all__ = ["Transfer", "Transferred"]

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


@value
class Transferred:
    """One file that was moved and verified, or `skipped` since it was there; an entry of the result."""

    provider: str
    path: str
    size: int
    seconds: float
    attempts: int
    etag: str | None = None
    checksum: str | None = None
    skipped: bool = False


class Transfer:
    """Moves files between the workspace and the stores.

    Args:
        retry: When to try again.
        files: How many files move at the same time.
        stop: When set, transfers end at once and raise its reason.
        watch: Told `(label, bytes moved, total)` of the attempt under way; for progress bars.
        skip_existing: Whether no upload is made of what is there already.
    """

    def __init__(
        self,
        retry: Retry,
        files: int,
        stop: Stop,
        watch: Callable[[str, int, int | None], None] | None = None,
        *,
        skip_existing: bool = False,
    ) -> None:
        self.retry: Final = retry
        self.files: Final = files
        self.stop: Final = stop
        self.watch: Final = watch
        self.skip_existing: Final = skip_existing
        self._lost: Final[dict[str, Unavailable]] = {}
        self._worked: Final[dict[str, float]] = {}

    def download(
        self, store: Store, source: ObjectRef, destination: Path, *, partial: Path, size: int | None = None
    ) -> Transferred:
        """Make `destination` hold the object, whole and verified; until then it only has the name `partial`.

        `size` is what the event said; it tells a changed object where the event or the store knows no version.

        Raises:
            SupervisorError: After the last attempt; nothing is left behind then.
        """

        def attempt(meter: Meter) -> ObjectInfo:
            partial.unlink(missing_ok=True)  # what an earlier attempt left would be missing from the free space
            with store.borrow() as provider:
                info = provider.download(source, partial, meter)
            _verify(partial, info)
            if size not in {None, info.size} and not pinned:
                raise NotFound(f"changed since the event, which spoke of {size} bytes; it now has {info.size}")
            return info

        pinned = store.capabilities.pins and (source.version or source.etag)
        label = f"download {store.name} {printable(source.path)}"
        _judge(source.path, store, "stage in")
        try:
            done = self._tries(label, "stage in", store, source.path, attempt, room=partial.parent)
            partial.replace(destination)
        finally:
            partial.unlink(missing_ok=True)
        return done

    def upload(self, store: Store, source: Path, path: str, *, unless_there: bool = False) -> Transferred:
        """Make the object at `path` hold what `source` holds, verified by what the server says.

        With `unless_there` (or `skip_existing`), the server is asked first, and nothing moves when it proves that
        the object holds just that already.

        Raises:
            SupervisorError: After the last attempt; what a failed attempt may have left is removed then.
        """

        def attempt(meter: Meter) -> ObjectInfo:
            accepted = False
            try:
                with store.borrow() as provider:
                    info = provider.upload(source, path, meter)
                accepted = True
                _verify(source, info)
            except BaseException:
                # A wrong object is worse than none; a part of one can be there only where uploads aren't
                # atomic, and only once bytes have moved (else it is the old object that would go).
                if accepted or (meter.moved and not store.capabilities.atomic_upload):
                    _remove(store, path)
                raise
            return info

        _judge(path, store, "stage out")
        _ensure_uploadable(source, store)
        if (unless_there or self.skip_existing) and (there := _there(store, source, path)):
            return there
        return self._tries(f"upload {store.name} {printable(path)}", "stage out", store, path, attempt, room=None)

    def _tries(
        self,
        label: str,
        phase: str,
        store: Store,
        path: str,
        attempt: Callable[[Meter], ObjectInfo],
        *,
        room: Path | None,
    ) -> Transferred:
        self._refuse_lost(store, path, phase)
        started = time.monotonic()
        number, wrong = 0, False
        while True:
            number += 1
            generation = store.generation
            try:
                info = _guarded(attempt, Meter(label, self.stop, self.watch, room))
            except StorageError as error:
                error.located(provider=store.name, path=path, phase=phase)
                delay = self.retry.delay(error, number, started, again=wrong)
                wrong = wrong or isinstance(error, IntegrityError)
                if delay is None and number == 1 and _renewed(store, error, generation):
                    continue
                if delay is None:
                    self._note_lost(store, error, started)
                    raise
                text = f"{error}; trying again in {delay:.1f} s"
                told = {"provider": store.name, "path": path, "attempt": number, "seconds": round(delay, 3)}
                emit(logging.WARNING, f"{label.partition(' ')[0]}.retry", text, **told)
                if self.stop.wait(delay):
                    raise self.stop.error(phase) from error
            except Cancelled as error:
                raise self.stop.error(phase) from error
            else:
                self._worked[store.name] = time.monotonic()
                seconds = self._worked[store.name] - started
                done = Transferred(store.name, path, info.size, seconds, number, info.etag, strongest(info))
                _tell(label, done)
                return done

    def _refuse_lost(self, store: Store, path: str, phase: str) -> None:
        """Fail at once where nothing worked all the while that another file was tried.

        If each file of a full folder were tried as long, that would take hours.
        """
        lost = self._lost.get(store.name)
        if lost is not None:
            error = Unavailable(f"given up already: {lost.message}", endpoint=lost.endpoint, hint=lost.hint)
            raise error.located(provider=store.name, path=path, phase=phase) from lost

    def _note_lost(self, store: Store, error: StorageError, started: float) -> None:
        if isinstance(error, Unavailable) and self._worked.get(store.name, 0.0) < started:
            self._lost[store.name] = error


def _renewed(store: Store, error: StorageError, generation: int) -> bool:
    """Whether the server refused credentials that were read long ago, and others are worth a try."""
    if not isinstance(error, AuthenticationFailed) or not store.renew(generation):
        return False
    emit(logging.WARNING, "credentials.renewed", f"{error}; the credentials are read again", provider=store.name)
    return True


def _there(store: Store, source: Path, path: str) -> Transferred | None:
    """Return an entry for the object at `path` if the server proves that it holds what `source` holds.

    Whatever keeps it from that is no fault: the upload will tell.
    """
    started = time.monotonic()
    try:
        with store.borrow() as provider:
            info = provider.stat(path)
            if info.size != source.stat().st_size or not (proven(source, info) or provider.same(source, info)):
                return None
    except Exception as error:  # noqa: BLE001  # the border to a plugin
        log.debug("%s: %s is uploaded, there or not: %s", store.name, printable(path), error)
        return None
    seconds = time.monotonic() - started
    text = f"upload {store.name} {printable(path)}: skipped, since these {info.size} bytes are there already"
    emit(logging.INFO, "upload.skipped", text, provider=store.name, path=path, bytes=info.size)
    return Transferred(store.name, path, info.size, seconds, 0, info.etag, strongest(info), skipped=True)


def _tell(label: str, done: Transferred) -> None:
    fields = {"provider": done.provider, "path": done.path, "bytes": done.size, "attempts": done.attempts}
    text = f"{label}: {done.size} bytes in {done.seconds:.2f} s"
    emit(logging.INFO, f"{label.partition(' ')[0]}.done", text, seconds=round(done.seconds, 3), **fields)


def _guarded(attempt: Callable[[Meter], ObjectInfo], meter: Meter) -> ObjectInfo:
    """Make one attempt; whatever a plugin raises comes out as one of our errors, with its cause."""
    try:
        return attempt(meter)
    except (SupervisorError, Cancelled):
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(
                f"the local disk is full: {error}", hint="see TMPDIR and the ephemeral storage limit"
            ) from error
        raise StorageError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        # The border to a plugin: it should have translated this, but one bad plugin must not end the process.
        raise StorageError(
            f"the plugin raised {type(error).__name__}: {error}", hint="this is a defect of the plugin"
        ) from error


def _judge(path: str, store: Store, phase: str) -> None:
    """Refuse a path that the store can't hold, and tell where and when that was."""
    try:
        validate(path, store.capabilities)
    except StorageError as error:
        raise error.located(provider=store.name, path=path, phase=phase) from None


def _verify(file: Path, info: ObjectInfo) -> None:
    if problem := mismatch(file, info):
        raise IntegrityError(problem)


def _ensure_uploadable(source: Path, store: Store) -> None:
    """Open and close `source`, so that a local fault is not taken for the server's."""
    try:
        handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"{printable(str(source))} can't be read: {error.strerror}") from error
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{printable(str(source))} is not a regular file")
    limit = store.capabilities.max_object_size
    if limit is not None and status.st_size > limit:
        raise OutputError(
            f"{printable(str(source))} has {status.st_size} bytes; {store.name} takes at most {limit} per object"
        )


def _remove(store: Store, path: str) -> None:
    """Remove what a failed upload may have left; that the upload failed is what will be reported."""
    if not store.capabilities.delete:
        return
    try:
        with store.borrow() as provider:
            provider.delete(path)
    except Unsupported:
        pass
    except Exception as error:  # noqa: BLE001  # the border to a plugin
        log.warning("%s: %s may have been left incomplete: %s", store.name, printable(path), error)
