"""A function as OSCAR deploys it: configuration, script, secrets and event; and what becomes of it on the store."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.containers import Mount
from tests.servers import s3_client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import S3Server

__all__ = ["COMMAND", "INTERLINK", "Function"]

COMMAND = ("/bin/sh", "-c", "echo $EVENT | /oscar/bin/supervisor")
"""How OSCAR starts a Job."""

INTERLINK = ("/bin/sh", "-c", "echo $EVENT | base64 -d | /data/supervisor")
"""How OSCAR starts one by InterLink."""

# What it puts out is the environment that it sees, next to its input.
SCRIPT = """\
cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"
cat /proc/self/environ > "$TMP_OUTPUT_DIR/environ" 2>/dev/null || env > "$TMP_OUTPUT_DIR/env"
"""

HOSTS = "127.0.0.1 localhost\n127.0.0.1 store.of.this.test\n"


class Function:
    """What OSCAR mounts for one function, and a bucket `in/` and `out/` for it.

    Attributes:
        config: `function_config.yaml` as a document.
        script: The script.
    """

    def __init__(self, folder: Path, server: S3Server, bucket: str) -> None:
        self.bucket = bucket
        self._folder = folder
        self._server = server
        self._client: Any = s3_client(server)
        port = server.url.rpartition(":")[2]
        self.script = SCRIPT
        # By a name that only the image's /etc/hosts knows.
        provider = {"endpoint": f"http://store.of.this.test:{port}", "region": server.region}
        place = {"storage_provider": "minio.default"}
        self.config: dict[str, Any] = {
            "name": "function",
            "input": [{**place, "path": f"{bucket}/in"}],
            "output": [{**place, "path": f"{bucket}/out"}],
            "storage_providers": {"minio": {"default": provider}},
        }

    def mounts(self) -> list[Mount]:
        """Write everything, and return what is mounted."""
        oscar, secrets = self._folder / "oscar", self._folder / "secrets"
        keys = secrets / "minio.default"
        for made in (oscar, keys):
            made.mkdir(parents=True, exist_ok=True)
        (oscar / "script.sh").write_text(self.script)
        (oscar / "function_config.yaml").write_text(json.dumps(self.config))
        (keys / "accessKey").write_text(self._server.access_key)
        (keys / "secretKey").write_text(self._server.secret_key)
        (self._folder / "hosts").write_text(HOSTS)
        return [
            Mount("/oscar/config", oscar),
            Mount("/var/run/secrets/providers", secrets),
            Mount("/etc/hosts", self._folder / "hosts"),
        ]

    def put(self, name: str = "input.txt", data: bytes = b"what goes in\n") -> str:
        """Upload an input, and return the event that MinIO sends."""
        tag = self._client.put_object(Bucket=self.bucket, Key=f"in/{name}", Body=data)["ETag"].strip('"')
        record = {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "eventName": "s3:ObjectCreated:Put",
            "eventTime": "2026-01-31T12:00:00.000Z",
            "s3": {"bucket": {"name": self.bucket}, "object": {"key": f"in%2F{name}", "size": len(data), "eTag": tag}},
        }
        return json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": f"{self.bucket}/in/{name}", "Records": [record]})

    def outputs(self) -> dict[str, bytes]:
        """Return what is below `out/`."""
        listed = self._client.list_objects_v2(Bucket=self.bucket, Prefix="out/").get("Contents", [])
        return {
            entry["Key"].removeprefix("out/"): self._client.get_object(Bucket=self.bucket, Key=entry["Key"])[
                "Body"
            ].read()
            for entry in listed
        }


def encoded(text: str) -> str:
    """Return `text` in base64, as InterLink passes it on."""
    return base64.b64encode(text.encode()).decode()


def variables(environ: bytes) -> dict[bytes, bytes]:
    """Return what `/proc/self/environ` holds."""
    return dict(entry.split(b"=", 1) for entry in environ.split(b"\0") if entry)
