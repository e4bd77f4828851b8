"""MinIO's notifications, with everything that MinIO writes into them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus


def notification(*records: dict[str, Any]) -> str:
    """Return the event that holds these records."""
    first = records[0]["s3"]
    key = f"{first['bucket']['name']}/{first['object']['key']}"
    return json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": key, "Records": records}, separators=(",", ":"))


def record(bucket: str, key: str, *, size: int, etag: str, source: str = "minio:s3") -> dict[str, Any]:
    """Return the record for an upload."""
    return {
        "eventVersion": "2.0",
        "eventSource": source,
        "awsRegion": "",
        "eventTime": "2026-01-31T12:00:00.000Z",
        "eventName": "s3:ObjectCreated:Put",
        "userIdentity": {"principalId": "minio"},
        "requestParameters": {"principalId": "minio", "region": "", "sourceIPAddress": "10.244.0.1"},
        "responseElements": {
            "x-amz-id-2": "dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8",
            "x-amz-request-id": "17A2E3B4C5D6F708",
            "x-minio-deployment-id": "8c0f0c9d-4c1f-4a1e-9a3f-0b5f5ad2f1d7",
            "x-minio-origin-endpoint": "http://minio.minio.svc.cluster.local:9000",
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "minio"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": quote_plus(key),
                "size": size,
                "eTag": etag,
                "contentType": "application/octet-stream",
                "userMetadata": {"content-type": "application/octet-stream"},
                "sequencer": "18A2B3C4D5E6F708",
            },
        },
        "source": {"host": "10.244.0.1", "port": "", "userAgent": "MinIO (linux; amd64) minio-go/v7.0.95"},
    }
