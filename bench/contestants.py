"""The commands that compete. Each starts in an empty folder; environment variables tell it where everything is."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.events import notification, record
from bench.measure import Contestant
from bench.tools import search_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import S3Server

SUPERVISOR = "supervisor"
BUCKET = "bench"

_SCRIPT = "#!/bin/sh\nset -e\n{}\n"

# By name of the peer; the object is called $NAME in both folders.
_BOTH_WAYS = {
    "s5cmd": "s5cmd cp s3://bench/in/$NAME . && cp $NAME copy && s5cmd cp copy s3://bench/out/$NAME",
    "rclone": "rclone copyto s3:bench/in/$NAME $NAME && cp $NAME copy && rclone copyto copy s3:bench/out/$NAME",
    "aws": "aws s3 cp s3://bench/in/$NAME . && cp $NAME copy && aws s3 cp copy s3://bench/out/$NAME",
}
_UP = {
    "s5cmd": "cp -r $PREPARED files && s5cmd cp 'files/*' s3://bench/out/",
    "rclone": "cp -r $PREPARED files && rclone copy files s3:bench/out",
    "rclone --transfers 16": "cp -r $PREPARED files && rclone copy --transfers 16 files s3:bench/out",
    "aws": "cp -r $PREPARED files && aws s3 cp --recursive files s3://bench/out/",
}


@dataclass(frozen=True, slots=True)
class Object:
    """An object below `in/`, as an event tells of it."""

    name: str
    size: int
    etag: str


class Commands:
    """Makes the contestants for one server; `prepared` is the folder with the files that are only uploaded."""

    def __init__(self, server: S3Server, prepared: Path) -> None:
        self._server = server
        self._base = {"PATH": search_path(), "LANG": "C.UTF-8", "PREPARED": str(prepared)}

    def starts(self) -> list[Contestant]:
        """Return those that do nothing: the supervisor, and programs that no start can be cheaper than."""
        return [
            self._ours(SUPERVISOR, '{"message": "any JSON"}', "true", {"output": []}),
            Contestant("python -I -S -c pass", ["python", "-I", "-S", "-c", "pass"], self._base),
            Contestant("sh -c true", ["sh", "-c", "true"], self._base),
        ]

    def both_ways(self, item: Object) -> list[Contestant]:
        """Return those that download `item`, copy it, and upload the copy."""
        script = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"'
        ours = {
            SUPERVISOR: ("minio", {}),
            f"{SUPERVISOR}, `engine: sdk` (minio)": ("minio", {"engine": "sdk"}),
            f"{SUPERVISOR}, `engine: sdk` (boto3)": ("s3", {"engine": "sdk"}),
        }
        return [
            *(
                self._ours(name, _event(item, kind), script, {}, kind=kind, **settings)
                for name, (kind, settings) in ours.items()
            ),
            *(self._peer(name, line, NAME=item.name) for name, line in _BOTH_WAYS.items()),
        ]

    def up(self, item: Object) -> list[Contestant]:
        """Return those that upload the prepared folder; the supervisor does so upon an event for `item`."""
        script = 'cp -r "$PREPARED/." "$TMP_OUTPUT_DIR"'
        return [
            self._ours(SUPERVISOR, _event(item, "minio"), script, {"download_input": False}),
            *(self._peer(name, line) for name, line in _UP.items()),
        ]

    def _ours(
        self, name: str, event: str, script: str, config: dict[str, Any], *, kind: str = "minio", **settings: str
    ) -> Contestant:
        """Return the supervisor as OSCAR starts it in a Job."""
        provider = {
            "endpoint": self._server.url,
            "region": self._server.region,
            "access_key": self._server.access_key,
            "secret_key": self._server.secret_key,
            **settings,
        }
        place = f"{kind}.default"
        document = {
            "name": "bench",
            "input": [{"storage_provider": place, "path": f"{BUCKET}/in"}],
            "output": [{"storage_provider": place, "path": f"{BUCKET}/out"}],
            "storage_providers": {kind: {"default": provider}},
            **config,
        }
        return Contestant(
            name,
            ["sh", "-c", "echo $EVENT | supervisor"],
            {
                **self._base,
                "EVENT": event,
                "FUNCTION_CONFIG": _encoded(json.dumps(document)),  # JSON is YAML
                "SCRIPT": _encoded(_SCRIPT.format(script)),
            },
        )

    def _peer(self, name: str, line: str, **variables: str) -> Contestant:
        server = self._server
        access = {
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ENDPOINT_URL": server.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_ENDPOINT_URL": server.url,
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_S3_TYPE": "s3",
            "RCLONE_CONFIG_S3_PROVIDER": "SeaweedFS",
            "RCLONE_CONFIG_S3_ENV_AUTH": "true",
            "RCLONE_CONFIG_S3_ENDPOINT": server.url,
            "RCLONE_CONFIG_S3_REGION": server.region,
            "RCLONE_CONFIG_S3_NO_CHECK_BUCKET": "true",  # one request less: it would try to make the bucket
        }
        return Contestant(name, ["sh", "-c", line], {**self._base, **access, **variables})


def _event(item: Object, kind: str) -> str:
    source = "minio:s3" if kind == "minio" else "aws:s3"
    return notification(record(BUCKET, f"in/{item.name}", size=item.size, etag=item.etag, source=source))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
