"""Real-looking events, one of each kind, to start from."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["SAMPLES", "sample"]

_ETAG: Final = "6f5902ac237024bdd0c176cb93063dc4"
_TIME: Final = "2026-01-31T12:00:00.000Z"
_SUBSCRIPTION: Final = "https://dcache.example.org:3880/api/v1/events/channels/a1/subscriptions/inotify/AACF"


def _s3(source: str, name: str, **more: str) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": source,
        "awsRegion": "us-east-1",
        "eventTime": _TIME,
        "eventName": name,
        "responseElements": {"x-amz-request-id": "17A2E3B4C5D6F708"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": "bucket", "arn": "arn:aws:s3:::bucket"},
            "object": {"key": "in/hello.txt", "size": 12, "eTag": _ETAG, "sequencer": "18A2B3C4D5E6F708", **more},
        },
    }


_S3: Final = {"Records": [_s3("aws:s3", "ObjectCreated:Put")]}
_MINIO: Final = {
    "EventName": "s3:ObjectCreated:Put",
    "Key": "bucket/in/hello.txt",
    "Records": [_s3("minio:s3", "s3:ObjectCreated:Put", key="in%2Fhello.txt", contentType="text/plain")],
}

_NOTIFICATIONS: Final[dict[str, Any]] = {
    "minio": _MINIO,
    "s3": _S3,
    "ceph": {"Records": [_s3("ceph:s3", "ObjectCreated:Put", versionId="") | {"eventId": "1769860800.000000.6f5902"}]},
    "seaweedfs": {
        "event_type": "create",
        "key": "/buckets/bucket/in/hello.txt",
        "message": {
            "new_entry": {
                "name": "hello.txt",
                "attributes": {"file_size": 12, "mtime": 1769860800, "mime": "text/plain"},
                "extended": {"Seaweed-X-Amz-ETag": "NmY1OTAyYWMyMzcwMjRiZGQwYzE3NmNiOTMwNjNkYzQ="},
            },
            "new_parent_path": "/buckets/bucket/in",
        },
    },
    "onedata": {
        "Key": "/space/in/hello.txt",
        "Records": [
            {
                "objectKey": "hello.txt",
                "objectId": "0000034500046EE9C67756964233836666330363031303664",
                "eventTime": "2026-01-31T12:00:00.000000",
                "eventSource": "OneTrigger",
            }
        ],
    },
    "dcache": {"event": {"name": "hello.txt", "mask": ["IN_CLOSE_WRITE"]}, "subscription": _SUBSCRIPTION},
    "rucio": {
        "event_type": "close",
        "payload": {"scope": "user.jdoe", "name": "hello.txt", "bytes": 12, "length": 1},
        "created_at": "2026-01-31 12:00:00.000000",
    },
}

_ENVELOPES: Final[dict[str, Any]] = {
    "oscar-delegation": {"storage_provider": "minio.cluster", "event": json.dumps(_MINIO)},
    "api-gateway": {
        "httpMethod": "POST",
        "path": "/launch",
        "headers": {"Content-Type": "text/plain"},
        "queryStringParameters": {"level": "9"},
        "requestContext": {"requestId": "385ed319-375f-11e9-aa95-df027d8eef05", "stage": "scar"},
        "body": "aGVsbG8gd29ybGQK",
        "isBase64Encoded": True,
    },
    "sqs": {
        "Records": [
            {
                "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
                "body": json.dumps(_S3),
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
            }
        ]
    },
    "sns": {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:topic:21be56ed",
                "Sns": {
                    "Type": "Notification",
                    "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                    "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
                    "Subject": "Amazon S3 Notification",
                    "Message": json.dumps(_S3),
                    "Timestamp": _TIME,
                },
            }
        ]
    },
    "eventbridge": {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-01-31T12:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::bucket"],
        "detail": {
            "version": "0",
            "bucket": {"name": "bucket"},
            "object": {"key": "in/hello.txt", "size": 12, "etag": _ETAG, "sequencer": "18A2B3C4D5E6F708"},
            "reason": "PutObject",
        },
    },
    "cloudevent": {
        "specversion": "1.0",
        "id": "17A2E3B4C5D6F708",
        "source": "https://store.example.org/bucket",
        "type": "org.example.object.created",
        "time": _TIME,
        "datacontenttype": "application/json",
        "data": _MINIO,
    },
}

_UNKNOWN: Final[dict[str, Any]] = {"unknown": {"message": "any JSON, text or base64 is the function's input as it is"}}
_DOCUMENTS: Final = _NOTIFICATIONS | _ENVELOPES | _UNKNOWN

SAMPLES: Final = tuple(_DOCUMENTS)
"""The kinds of which there is a sample: types of events, and envelopes."""


def sample(kind: str) -> bytes:
    """Return a real-looking event of this kind, one of `SAMPLES`; any other is a `KeyError`."""
    return json.dumps(_DOCUMENTS[kind], indent=2).encode() + b"\n"
