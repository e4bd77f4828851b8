"""MinIO's stream of notifications, as far as a listener can see it.

Made after MinIO's own sources (github.com/minio/minio):

- cmd/listen-notification-handlers.go, ListenNotificationHandler: `GET /{bucket}?events=&prefix=&suffix=[&ping=]`.
  Rights and bucket are checked first. The subscription stands before the answer begins, and the answer's header is
  sent with its first bytes. Then one line of JSON, `{"Records":[event]}`, for each event; a single blank, without a
  line feed, every 500 ms as a sign of life, or, if the request has `ping=N`, `{"Records":null}` every N seconds.
- cmd/utils.go, setEventStreamHeaders: Content-Type, Cache-Control and X-Accel-Buffering.
- cmd/event-notification.go, sendEvent and ToEvent(false): what an event holds; the key is not quoted here.
- internal/pubsub/pubsub.go, Publish: an event that does not fit into the subscriber's channel is dropped.

The signs of life come quicker here, so that no test has to wait for one.
"""

from __future__ import annotations

import fnmatch
import json
import queue
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

SIGN_OF_LIFE = 0.05
CAPACITY = 1000


class FakeMinio:
    """A server on 127.0.0.1 with the notifications of some buckets; `with FakeMinio("bucket") as server`."""

    def __init__(self, *buckets: str, port: int = 0, knows_ping: bool = True) -> None:
        self.buckets = set(buckets)
        self.knows_ping = knows_ping
        self.refusal: tuple[int, dict[str, str], str] | None = None
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.subscribed = threading.Semaphore(0)
        self.dropped = 0
        self._subscribers: list[_Subscriber] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.cut()
        self._server.server_close()

    def wait_for_subscriber(self) -> None:
        """Return once one more listener has subscribed."""
        assert self.subscribed.acquire(timeout=10), "nobody subscribed"

    def publish(self, bucket: str, key: str, *, event: str = "s3:ObjectCreated:Put", size: int = 3) -> None:
        """Tell the subscribers of an upload, as Publish does."""
        with self._lock:
            for subscriber in self._subscribers:
                if subscriber.wants(bucket, key, event):
                    subscriber.offer(_line(bucket, key, event, size))

    def send(self, data: bytes) -> None:
        """Send bytes to all subscribers as they are."""
        with self._lock:
            for subscriber in self._subscribers:
                subscriber.offer(data)

    def end(self) -> None:
        """End all answers properly, as a server that shuts down."""
        self.send(b"")

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            for subscriber in self._subscribers:
                subscriber.cut()

    def add(self, subscriber: _Subscriber) -> None:
        with self._lock:
            self._subscribers.append(subscriber)
        self.subscribed.release()

    def remove(self, subscriber: _Subscriber) -> None:
        with self._lock:
            self._subscribers.remove(subscriber)

    def listeners(self) -> int:
        """Return how many listeners there are."""
        with self._lock:
            return len(self._subscribers)


class _Subscriber:
    def __init__(self, fake: FakeMinio, connection: socket.socket, bucket: str, query: dict[str, list[str]]) -> None:
        self.lines: queue.Queue[bytes] = queue.Queue(CAPACITY)
        self._fake = fake
        self._connection = connection
        self._bucket = bucket
        self._events = query.get("events", [])
        self._prefix, self._suffix = query.get("prefix", [""])[0], query.get("suffix", [""])[0]
        ping = query.get("ping", [""])[0] if fake.knows_ping else ""
        self.sign_of_life = b'{"Records":null}\n' if ping else b" "

    def wants(self, bucket: str, key: str, event: str) -> bool:
        return (
            bucket == self._bucket
            and any(fnmatch.fnmatchcase(event, name) for name in self._events)
            and key.startswith(self._prefix)
            and key.endswith(self._suffix)
        )

    def offer(self, line: bytes) -> None:
        try:
            self.lines.put_nowait(line)
        except queue.Full:
            self._fake.dropped += 1

    def cut(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self.offer(b"")


class _Handler(BaseHTTPRequestHandler):
    fake: FakeMinio
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        fake, parts = self.fake, urlsplit(self.path)
        fake.requests.append((self.path, dict(self.headers)))
        bucket = unquote(parts.path.strip("/"))
        if fake.refusal is not None:
            self._refuse(*fake.refusal)
        elif bucket not in fake.buckets:
            self._refuse(404, {}, "NoSuchBucket")
        else:
            self._stream(_Subscriber(fake, self.connection, bucket, parse_qs(parts.query, keep_blank_values=True)))

    def _stream(self, subscriber: _Subscriber) -> None:
        self.fake.add(subscriber)
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-cache")
            self.send_header("X-Accel-Buffering", "no")
            self.send_header("Transfer-Encoding", "chunked")
            while line := self._next(subscriber):
                self._chunk(line)
            self._chunk(b"")
        except OSError:
            self.close_connection = True
        finally:
            self.fake.remove(subscriber)

    def _next(self, subscriber: _Subscriber) -> bytes:
        try:
            return subscriber.lines.get(timeout=SIGN_OF_LIFE)
        except queue.Empty:
            return subscriber.sign_of_life

    def _chunk(self, data: bytes) -> None:
        if self._headers_buffer:  # Go, too, sends the header with the first bytes
            self.end_headers()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _refuse(self, status: int, headers: dict[str, str], code: str) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>refused</Message></Error>".encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/xml", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def _line(bucket: str, key: str, event: str, size: int) -> bytes:
    """Return the line for one event, with the fields of ToEvent in their order."""
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": "2026-01-01T10:00:00.000Z",
        "eventName": event,
        "userIdentity": {"principalId": "minio"},
        "requestParameters": {"principalId": "minio", "region": "", "sourceIPAddress": "10.0.0.1"},
        "responseElements": {"x-amz-request-id": "1", "x-minio-deployment-id": "2"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "minio"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": key,
                "size": size,
                "eTag": "900150983cd24fb0d6963f7d28e17f72",
                "contentType": "text/plain",
                "userMetadata": {"content-type": "text/plain"},
                "sequencer": "1886C5B3A1D2E3F4",
            },
        },
        "source": {"host": "10.0.0.1", "port": "", "userAgent": "MinIO (linux; amd64)"},
    }
    return json.dumps({"Records": [record]}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
