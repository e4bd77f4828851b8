"""Notifications that servers really send: moto through SQS and through SNS over HTTP, and SeaweedFS's webhook."""

from __future__ import annotations

import http.server
import json
import queue
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from faas_supervisor.events import decode
from tests.servers import _OWNER, S3Server, _answers, _free_ports, _start_weed, s3_client

KEY = "in/a b+c%2F é.txt"
CONTENT = b"hello world\n"
ETAG = "6f5902ac237024bdd0c176cb93063dc4"


@pytest.fixture(scope="module")
def webhook():
    """A socket that takes notifications: its URL, and a queue of the bodies that came."""
    bodies = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.put(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", bodies
    server.shutdown()
    thread.join(10)
    server.server_close()


def received(bodies: queue.Queue, *keys: str) -> list:
    """Return the events that came until there were records of all these keys, in whichever order."""
    events = []
    deadline = time.monotonic() + 30
    missing = list(keys)
    while missing:
        events.append(decode(bodies.get(timeout=max(0.0, deadline - time.monotonic()))))
        for record in events[-1].records:
            if record.key in missing:
                missing.remove(record.key)
    return events


def client(server: S3Server, service: str):
    return boto3.session.Session().client(
        service,
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
    )


def notify(server: S3Server, bucket: str, **target) -> None:
    s3_client(server).create_bucket(Bucket=bucket)
    (kind, arn), *_ = target.items()
    name = {"queue": "QueueConfigurations", "topic": "TopicConfigurations"}[kind]
    s3_client(server).put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            name: [{f"{kind.title()}Arn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
        },
    )


def test_moto_notifies_through_sqs(moto_server):
    sqs = client(moto_server, "sqs")
    url = sqs.create_queue(QueueName="uploads")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    notify(moto_server, "through-sqs", queue=arn)
    s3_client(moto_server).put_object(Bucket="through-sqs", Key=KEY, Body=CONTENT)
    s3_client(moto_server).delete_object(Bucket="through-sqs", Key=KEY)

    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
    # Lambda hands messages on with these names; a consumer of one's own passes the body alone.
    passed_on = [{"messageId": m["MessageId"], "body": m["Body"], "eventSource": "aws:sqs"} for m in messages]
    event = decode(json.dumps({"Records": passed_on}).encode())
    assert event.type == "s3"
    (record,) = event.records
    assert (record.path, record.key, record.size, record.etag) == (f"through-sqs/{KEY}", KEY, len(CONTENT), ETAG)
    assert any("test event" in note for note in event.notes)
    assert any("was removed" in note for note in event.notes)
    assert any(decode(message["Body"].encode()).records == (record,) for message in messages)


def test_moto_notifies_through_sns_over_http(moto_server, webhook):
    url, bodies = webhook
    sns = client(moto_server, "sns")
    arn = sns.create_topic(Name="uploads")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=url)
    notify(moto_server, "through-sns", topic=arn)
    s3_client(moto_server).put_object(Bucket="through-sns", Key=KEY, Body=CONTENT)

    *_, event = received(bodies, KEY)
    assert (event.type, event.envelopes) == ("s3", ("sns",))
    assert event.records[0].path == f"through-sns/{KEY}"
    assert event.records[0].size == len(CONTENT)


@pytest.fixture(scope="module")
def seaweedfs_with_webhook(webhook):
    """SeaweedFS, whose filer tells `webhook` of every file."""
    url, _ = webhook
    for _attempt in range(3):
        folder = Path(tempfile.mkdtemp(prefix="seaweedfs-"))
        (folder / "notification.toml").write_text(f'[notification.webhook]\nenabled = true\nendpoint = "{url}"\n')
        ports = _free_ports(4)
        process = _start_weed(folder, ports)
        try:
            server = replace(_OWNER, url=f"http://127.0.0.1:{ports[0]}")
            if _answers(server.url, process):
                yield server
                return
            print((folder / "weed.log").read_text(errors="replace")[-2000:], file=sys.stderr)  # noqa: T201
        finally:
            process.kill()
            process.wait(timeout=30)
            shutil.rmtree(folder, ignore_errors=True)
    pytest.fail("SeaweedFS did not start")


def test_seaweedfs_calls_a_webhook(seaweedfs_with_webhook, webhook):
    s3 = s3_client(seaweedfs_with_webhook)
    s3.create_bucket(Bucket="hooked")
    s3.put_object(Bucket="hooked", Key="in/", Body=b"")
    s3.put_object(Bucket="hooked", Key=KEY, Body=CONTENT)
    s3.delete_object(Bucket="hooked", Key=KEY)
    s3.put_object(Bucket="hooked", Key="in/last", Body=b"x")

    events = received(webhook[1], KEY, "in/last")
    assert {event.type for event in events} == {"seaweedfs"}
    records = {record.key: record for event in events for record in event.records}
    assert set(records) == {KEY, "in/last"}
    assert (records[KEY].path, records[KEY].size, records[KEY].etag) == (f"hooked/{KEY}", len(CONTENT), ETAG)
    assert records[KEY].provider == "s3"


def test_seaweedfs_tells_the_version_of_an_object(seaweedfs_with_webhook, webhook):
    s3 = s3_client(seaweedfs_with_webhook)
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket="versions", Key="in/a", Body=body)["VersionId"] for body in (b"one", b"two!")]
    s3.delete_object(Bucket="versions", Key="in/a")
    s3.put_object(Bucket="versions", Key="in/last", Body=b"x")

    events = received(webhook[1], "in/a", "in/a", "in/last")
    records = [record for event in events for record in event.records if record.key == "in/a"]
    assert sorted((record.version, record.size) for record in records) == sorted(zip(versions, (3, 4), strict=True))
    for record in records:
        body = s3.get_object(Bucket="versions", Key=record.key, VersionId=record.version)["Body"].read()
        assert len(body) == record.size
