"""Events from MinIO's stream: all of them while connected, and the truth about those that may be missing."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from faas_supervisor.errors import AuthenticationFailed, NotFound, PermissionDenied, Unsupported
from faas_supervisor.events import decode
from faas_supervisor.storage import Secret
from faas_supervisor_minio import Settings, faas_supervisor_listen, notifications, subscription
from faas_supervisor_minio.provider import make_provider
from plugins.minio.tests.fake_notifications import FakeMinio


def settings(url, **changes):
    return Settings(access_key="access-key", secret_key=Secret("secret-key-1"), endpoint=url, **changes)


@pytest.fixture
def listen(monkeypatch):
    """Begin to listen; what is returned is closed at the end, and its thread must be gone then."""
    monkeypatch.setattr(notifications, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(notifications, "_LONGEST_PAUSE", 0.05)
    before = set(threading.enumerate())
    streams, providers = [], []

    def begin(url, path="bucket/in", **changes):
        providers.append(make_provider(settings(url, **changes)))
        streams.append(faas_supervisor_listen(providers[-1], path))
        return streams[-1]

    yield begin
    for stream in streams:
        stream.close()
    for provider in providers:
        provider.close()
    left = {thread for thread in threading.enumerate() if thread.name == "minio-events"} - before
    assert not left


class Ahead:
    """The first event of a stream, asked for before there is one: a generator subscribes when it is first asked."""

    def __init__(self, stream):
        self._answers = []
        self._thread = threading.Thread(target=self._ask, args=(stream,), daemon=True)
        self._thread.start()

    def _ask(self, stream):
        try:
            self._answers.append(next(stream))
        except BaseException as error:  # noqa: BLE001  # raised again by `get`
            self._answers.append(error)

    def get(self):
        self._thread.join(10)
        assert self._answers, "no event came"
        if isinstance(self._answers[0], BaseException):
            raise self._answers[0]
        return json.loads(self._answers[0])


def key_of(event):
    return event["Key"]


def test_an_upload_is_told_as_a_webhook_tells_it(listen):
    with FakeMinio("bucket") as server:
        first = Ahead(listen(server.url))
        server.wait_for_subscriber()
        server.publish("bucket", "in/a b+ü.txt", size=7)
        event = first.get()

    assert list(event) == ["EventName", "Key", "Records"]
    assert event["EventName"] == "s3:ObjectCreated:Put"
    assert event["Key"] == "bucket/in/a b+ü.txt"
    (record,) = event["Records"]
    assert record["eventSource"] == "minio:s3"
    assert record["s3"]["object"]["key"] == "in%2Fa+b%2B%C3%BC.txt"
    assert record["s3"]["object"]["size"] == 7
    assert record["s3"]["bucket"]["name"] == "bucket"


def test_the_core_understands_the_event(listen):
    with FakeMinio("bucket") as server:
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        server.publish("bucket", "in/100%+a b.txt", size=7)
        event = decode(json.dumps(first.get()).encode())
    assert [(record.path, record.size) for record in event.records] == [("bucket/in/100%+a b.txt", 7)]


@pytest.mark.parametrize("knows_ping", [True, False], ids=["pings", "blanks"])
def test_signs_of_life_are_no_events(listen, knows_ping):
    with FakeMinio("bucket", knows_ping=knows_ping) as server:
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        for _ in range(100):
            server.send(b'{"Records":null}\n' if knows_ping else b" ")
        server.send(b"\n\r\n  \n")
        server.publish("bucket", "in/a")
        assert key_of(first.get()) == "bucket/in/a"
        server.publish("bucket", "in/b")
        assert key_of(json.loads(next(stream))) == "bucket/in/b"


def test_signs_of_life_do_not_pile_up(listen, monkeypatch):
    monkeypatch.setattr(subscription, "_LONGEST_LINE", 5000)
    with FakeMinio("bucket", knows_ping=False) as server:
        first = Ahead(listen(server.url))
        server.wait_for_subscriber()
        for _ in range(6):
            server.send(b" " * 1000)
        server.publish("bucket", "in/a")
        assert key_of(first.get()) == "bucket/in/a"
        assert len(server.requests) == 1


def test_an_event_in_pieces_is_one_event(listen):
    with FakeMinio("bucket") as server:
        first = Ahead(listen(server.url))
        server.wait_for_subscriber()
        line = b'{"Records":[{"eventName":"e","s3":{"bucket":{"name":"bucket"},"object":{"key":"in/\xc3\xa9"}}}]}\n'
        for at in range(0, len(line), 7):
            server.send(line[at : at + 7])
        assert key_of(first.get()) == "bucket/in/é"


def test_only_uploads_below_the_folder_are_asked_for(listen):
    with FakeMinio("bucket", "other") as server:
        first = Ahead(listen(server.url, "bucket/in"))
        server.wait_for_subscriber()
        server.publish("other", "in/x")
        server.publish("bucket", "input/x")
        server.publish("bucket", "in/x", event="s3:ObjectRemoved:Delete")
        server.publish("bucket", "in/x", event="s3:ObjectCreated:PutTagging")
        server.publish("bucket", "in/deep/er", event="s3:ObjectCreated:CompleteMultipartUpload")
        assert key_of(first.get()) == "bucket/in/deep/er"


def test_a_whole_bucket_can_be_listened_to(listen):
    with FakeMinio("bucket") as server:
        first = Ahead(listen(server.url, "bucket"))
        server.wait_for_subscriber()
        server.publish("bucket", "anything")
        assert key_of(first.get()) == "bucket/anything"


@pytest.mark.parametrize("lose", ["cut", "end"])
def test_a_lost_connection_is_made_anew_and_the_gap_is_said(listen, caplog, lose):
    with FakeMinio("bucket") as server, caplog.at_level(logging.WARNING):
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        server.publish("bucket", "in/before")
        assert key_of(first.get()) == "bucket/in/before"
        getattr(server, lose)()
        second = Ahead(stream)
        server.wait_for_subscriber()
        server.publish("bucket", "in/after")
        assert key_of(second.get()) == "bucket/in/after"

    said = [record.getMessage() for record in caplog.records if record.name == notifications.__name__]
    assert "listening to bucket/in from now on; uploads before this were not told" in said[0]
    assert said[1].startswith("no events from bucket/in: ")
    assert said[2].startswith("listening to bucket/in again; uploads of the last ")


def test_events_that_had_arrived_before_a_loss_are_kept(listen):
    with FakeMinio("bucket") as server:
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        for n in range(10):
            server.publish("bucket", f"in/{n}")
        server.end()
        server.wait_for_subscriber()
        events = [first.get(), *(json.loads(next(stream)) for _ in range(9))]
        assert [key_of(event) for event in events] == [f"bucket/in/{n}" for n in range(10)]


def test_a_server_that_is_down_is_waited_for(listen):
    with FakeMinio("bucket") as gone:
        port = gone.port
    first = Ahead(listen(f"http://127.0.0.1:{port}"))
    with FakeMinio("bucket", port=port) as server:
        server.wait_for_subscriber()
        server.publish("bucket", "in/a")
        assert key_of(first.get()) == "bucket/in/a"


def test_a_silent_connection_counts_as_lost(listen, monkeypatch):
    monkeypatch.setattr(subscription, "SILENCE", 0.3)
    with FakeMinio("bucket") as server:
        monkeypatch.setattr("plugins.minio.tests.fake_notifications.SIGN_OF_LIFE", 30)
        first = Ahead(listen(server.url))
        server.wait_for_subscriber()
        server.wait_for_subscriber()  # again: nothing came from the first
        server.publish("bucket", "in/a")
        assert key_of(first.get()) == "bucket/in/a"


@pytest.mark.parametrize("failure", [(503, "SlowDown"), (500, "InternalError")], ids=["busy", "failing"])
def test_a_server_in_trouble_is_asked_again(listen, failure):
    status, code = failure
    with FakeMinio("bucket") as server:
        server.refusal = (status, {}, code)
        first = Ahead(listen(server.url))
        while len(server.requests) < 3:
            threading.Event().wait(0.01)
        server.refusal = None
        server.wait_for_subscriber()
        server.publish("bucket", "in/a")
        assert key_of(first.get()) == "bucket/in/a"


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((403, {}, "InvalidAccessKeyId"), AuthenticationFailed),
        ((403, {}, "SignatureDoesNotMatch"), AuthenticationFailed),
        ((403, {}, "AccessDenied"), PermissionDenied),
        ((404, {}, "NoSuchBucket"), NotFound),
        ((501, {}, "NotImplemented"), Unsupported),
    ],
    ids=lambda value: value[2] if isinstance(value, tuple) else "",
)
def test_a_refusal_is_an_error_and_not_tried_again(listen, refusal, error):
    with FakeMinio("bucket") as server:
        server.refusal = refusal
        with pytest.raises(error) as raised:
            Ahead(listen(server.url)).get()
        assert len(server.requests) == 1
    assert raised.value.endpoint == server.url
    assert "secret-key-1" not in str(raised.value)


def test_credentials_that_are_refused_later_are_an_error_too(listen):
    with FakeMinio("bucket") as server:
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        server.publish("bucket", "in/a")
        assert first.get()
        server.refusal = (403, {}, "ExpiredToken")
        server.end()
        with pytest.raises(AuthenticationFailed):
            Ahead(stream).get()


def test_what_can_not_be_understood_is_said_and_passed_over(listen, caplog):
    with FakeMinio("bucket") as server:
        first = Ahead(listen(server.url))
        server.wait_for_subscriber()
        for line in (b"not json\n", b"[]\n", b"{}\n", b'{"Records":[{}]}\n', b'{"Records":[{"s3":7}]}\n', b"\xff\n"):
            server.send(line)
        server.publish("bucket", "in/a")
        assert key_of(first.get()) == "bucket/in/a"
    assert sum("can't be understood and is lost" in record.getMessage() for record in caplog.records) == 6


def test_a_line_without_end_is_cut_off(listen, monkeypatch):
    monkeypatch.setattr(subscription, "_LONGEST_LINE", 1000)
    with FakeMinio("bucket") as server:
        first = Ahead(listen(server.url))
        server.wait_for_subscriber()
        server.send(b"x" * 2000)
        server.wait_for_subscriber()
        server.publish("bucket", "in/a")
        assert key_of(first.get()) == "bucket/in/a"


def test_a_slow_consumer_loses_nothing(listen, monkeypatch, caplog):
    monkeypatch.setattr(notifications, "_MOST_WAITING", 10_000)
    with FakeMinio("bucket") as server:
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        for n in range(900):  # below what MinIO itself holds, some hundred times what we do
            server.publish("bucket", f"in/{n}")
        events = [first.get(), *(json.loads(next(stream)) for _ in range(899))]
        assert server.dropped == 0
    assert [key_of(event) for event in events] == [f"bucket/in/{n}" for n in range(900)]
    assert sum("MinIO may drop events" in record.getMessage() for record in caplog.records) == 1


def test_closing_ends_the_connection_at_once_even_if_the_queue_is_full(listen, monkeypatch):
    monkeypatch.setattr(notifications, "_MOST_WAITING", 1)
    with FakeMinio("bucket") as server:
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        for n in range(20):
            server.publish("bucket", f"in/{n}")
        first.get()
        stream.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "minio-events"]


def test_closing_does_not_wait_for_a_silent_server(listen, monkeypatch):
    monkeypatch.setattr("plugins.minio.tests.fake_notifications.SIGN_OF_LIFE", 30)
    with FakeMinio("bucket") as server:
        stream = listen(server.url)
        first = Ahead(stream)
        server.wait_for_subscriber()
        server.publish("bucket", "in/a")
        first.get()
        stream.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "minio-events"]


def test_closing_ends_the_pause_between_two_tries(monkeypatch):
    monkeypatch.setattr(notifications, "_FIRST_PAUSE", 60.0)
    with FakeMinio("bucket") as server:
        provider = make_provider(settings(server.url))
        stream = faas_supervisor_listen(provider, "bucket")
        first = Ahead(stream)
        server.wait_for_subscriber()
        server.publish("bucket", "a")
        first.get()
        server.end()
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "minio-events"]


def test_the_signature_is_one_that_others_would_make(listen):
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    with FakeMinio("bucket") as server:
        first = Ahead(listen(server.url, "bucket/a b/ü+%", session_token=Secret("token/1+2")))
        server.wait_for_subscriber()
        server.publish("bucket", "a b/ü+%/x")
        first.get()
        ((path, headers),) = server.requests

    sent = AWSRequest("GET", server.url + path, headers={"x-amz-content-sha256": headers["x-amz-content-sha256"]})
    sent.headers["x-amz-security-token"] = "token/1+2"
    sent.context["timestamp"] = headers["x-amz-date"]
    sent.headers["x-amz-date"] = headers["x-amz-date"]
    auth = S3SigV4Auth(Credentials("access-key", "secret-key-1", "token/1+2"), "s3", "us-east-1")
    canonical = auth.canonical_request(sent)
    assert auth.signature(auth.string_to_sign(sent, canonical), sent) in headers["Authorization"]


@pytest.mark.parametrize("kind", ["seaweedfs", "moto_server"])
def test_a_store_that_is_not_minio_is_said_to_be_none(request, new_bucket, kind):
    server = request.getfixturevalue(kind)
    provider = make_provider(
        Settings(access_key=server.access_key, secret_key=Secret(server.secret_key), endpoint=server.url)
    )
    with pytest.raises(Unsupported, match="no stream of events"):
        next(provider.listen(new_bucket(server)))
    provider.close()


def test_a_real_server_refuses_a_wrong_secret(listen, seaweedfs, new_bucket):
    with pytest.raises(AuthenticationFailed):
        next(listen(seaweedfs.url, new_bucket(seaweedfs)))


def test_another_providers_stream_is_none_of_ours():
    from faas_supervisor_s3 import Settings as S3Settings
    from faas_supervisor_s3.provider import make_provider as make_s3

    provider = make_s3(S3Settings(access_key="a", secret_key=Secret("bbbb")))
    assert faas_supervisor_listen(provider, "bucket") is None
    provider.close()
