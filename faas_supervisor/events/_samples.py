"""Real-looking events, one of each kind, to start from."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["SAMPLES", "sample"]


def _s3_record(source: str, **object_: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    name = "s3:ObjectCreated:Put" if source == "minio:s3" else "ObjectCreated:Put"
    return {
        "eventVersion": "2.1",
        "eventSource": source,
        "awsRegion": "us-east-1",
        "eventTime": "2026-01-31T12:00:00.000Z",
        "eventName": name,
        "responseElements": {"x-amz-request-id": "17A2E3B4C5D6F708"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": "bucket", "arn": "arn:aws:s3:::bucket"},
            "object": {"size": 12, "eTag": "e59ff97941044f85df5297e1c302d260", **object_},
        },
    }


_DOCUMENTS: Final[dict[str, Any]] = {
    "minio": {
        "EventName": "s3:ObjectCreated:Put",
        "Key": "bucket/in/hello.txt",
        "Records": [
            _s3_record("minio:s3", key="in%2Fhello.txt", contentType="text/plain", sequencer="18A2B3C4D5E6F708")
        ],
    },
    "s3": {"Records": [_s3_record("aws:s3", key="in/hello.txt", sequencer="0061F7B1A2C3D4E5F6")]},
    "unknown": {"message": "any JSON, text or base64 is the input of the function as it is"},
}

SAMPLES: Final = tuple(_DOCUMENTS)
"""The types of which there is a sample."""


def sample(kind: str) -> bytes:
    """Return a real-looking event of type `kind`, one of `SAMPLES`; any other is a `KeyError`."""
    return json.dumps(_DOCUMENTS[kind], indent=2).encode() + b"\n"
