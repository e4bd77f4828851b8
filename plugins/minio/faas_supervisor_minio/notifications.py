"""Uploads as MinIO's own stream tells them, for `listen`: read ahead in a thread, and again after each loss."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from faas_supervisor.errors import StorageError
from faas_supervisor_minio.connections import connections
from faas_supervisor_minio.mailbox import Mailbox
from faas_supervisor_minio.subscription import Subscription
from faas_supervisor_s3.engine import MIB, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor_s3.connection import Connection
    from faas_supervisor_s3.credentials import StaticKeys

__all__ = ["listen"]

_log: Final = logging.getLogger(__name__)

# Some ten thousand events. MinIO drops, without a word, what does not fit into its own buffer, so ours is generous.
_MOST_WAITING: Final = 16 * MIB

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0

# How long the end of the reading thread is waited for. It is woken; only a connection being made can keep it longer.
_END: Final = 2.0


def listen(connection: Connection, keys: StaticKeys, path: str) -> Iterator[bytes]:
    """Yield an event, shaped as MinIO sends it to webhooks, for every upload below `path` from now on.

    - No event is lost while connected; they wait, up to a bound, while the consumer is busy.
    - A lost connection is made anew, with growing pauses. Uploads meanwhile are not told, which is logged.
    - Closing the generator ends the stream at once.

    Raises:
        StorageError: The credentials are refused, there is no such bucket, or the server has no such stream.
    """
    place = Place.of(path.strip("/"))
    mailbox = Mailbox(_MOST_WAITING)
    reader = _Reader(connection, keys, place, mailbox)
    thread = threading.Thread(target=reader.run, name="minio-events", daemon=True)
    thread.start()
    try:
        while True:
            yield mailbox.take()
    finally:
        reader.stop()
        thread.join(_END)


class _Reader:
    """Reads the stream into the mailbox until it is told to stop or is refused."""

    def __init__(self, connection: Connection, keys: StaticKeys, place: Place, mailbox: Mailbox) -> None:
        self._connection = connection
        self._keys = keys
        self._place = place
        self._mailbox = mailbox
        self._pool = connections(connection, 1)
        self._subscription: Subscription | None = None
        self._lost_at: float | None = None
        self._pause = _FIRST_PAUSE
        self._is_slow = False

    def run(self) -> None:
        try:
            while not self._mailbox.is_closed():
                self._read_once()
        except BaseException as error:  # noqa: BLE001  # raised again in the consumer's thread
            self._mailbox.fail(error)
        finally:
            self._pool.clear()

    def stop(self) -> None:
        self._mailbox.close()
        if self._subscription is not None:
            self._subscription.stop()

    def _read_once(self) -> None:
        """Read from one connection until it ends, then pause before the next."""
        reason = "the server ended the stream"
        try:
            self._read()
        except StorageError as error:
            if not error.retryable:
                raise
            reason = error.message
            self._pause = max(self._pause, error.retry_after or 0.0)
        if self._mailbox.is_closed():
            return
        self._lost_at = self._lost_at or time.monotonic()
        _log.warning("no events from %s: %s; next try in %g s", self._place.path, reason, self._pause)
        self._mailbox.pause(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _read(self) -> None:
        self._subscription = subscription = Subscription(self._pool, self._connection, self._keys, self._place)
        try:
            if self._mailbox.is_closed():  # then `stop` may have come too early to see the subscription
                return
            self._say_what_may_be_missing()
            for line in subscription.lines():
                if self._mailbox.is_closed():
                    return
                self._deliver(line)
        finally:
            subscription.close()

    def _say_what_may_be_missing(self) -> None:
        if self._lost_at is None:
            _log.warning("listening to %s from now on; uploads before this were not told", self._place.path)
        else:
            gap = time.monotonic() - self._lost_at
            _log.warning("listening to %s again; uploads of the last %.0f s were not told", self._place.path, gap)
        self._lost_at = None
        self._pause = _FIRST_PAUSE

    def _deliver(self, line: bytes) -> None:
        try:
            events = [_event(record) for record in json.loads(line)["Records"] or ()]
        except (KeyError, TypeError, ValueError, AttributeError):
            _log.warning("an event of %s can't be understood and is lost: %.200r", self._place.path, line)
            return
        for event in events:
            if self._mailbox.put(event) and not self._is_slow:
                self._is_slow = True
                _log.warning("uploads to %s come faster than they are handled; MinIO may drop events", self._place.path)


def _event(record: dict[str, Any]) -> bytes:
    """Return the webhook's event for one record of the stream.

    In the stream keys are as they are, in webhooks quoted: ToEvent(false) and ToEvent(true) in MinIO's
    cmd/event-notification.go. The form around them is that of internal/event/target/webhook.go.
    """
    stored = record["s3"]
    key = stored["object"]["key"]
    record = {**record, "s3": {**stored, "object": {**stored["object"], "key": quote_plus(key)}}}
    event = {"EventName": record["eventName"], "Key": f"{stored['bucket']['name']}/{key}", "Records": [record]}
    return json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")
