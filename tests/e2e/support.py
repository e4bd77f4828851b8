"""A function in a folder of its own, run by the real `supervisor` command; and events and buckets to run it on."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import yaml

from tests.servers import s3_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.servers import S3Server

BIN = Path(sys.executable).parent
SUPERVISOR = BIN / "supervisor"

COPY = """\
#!/bin/sh
cp -- "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"
"""
"""A script that puts out what it gets."""

_PATIENCE = 60.0

# So that subprocesses are measured, too, when the test-suite runs under coverage.
_KEPT = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "COV_"))}


@dataclass(frozen=True)
class Done:
    """How one run of the command ended."""

    code: int
    stdout: bytes
    stderr: str
    termination: bytes

    @cached_property
    def result(self) -> dict[str, Any]:
        """The result on the last line of the log."""
        last = self.stderr.rstrip("\n").rpartition("\n")[2]
        if last.startswith("{"):
            return dict(json.loads(last)["result"])
        return dict(json.loads(last.partition(" - result ")[2]))

    @property
    def errors(self) -> list[str]:
        """What the log says at ERROR, but for the result."""
        return self.said("ERROR")

    @property
    def warnings(self) -> list[str]:
        """What the log says at WARNING."""
        return self.said("WARNING")

    def said(self, level: str) -> list[str]:
        """What the log says at `level`, but for the result."""
        mark = f" - supervisor - {level} - "
        lines = [line.partition(mark)[2] for line in self.stderr.splitlines() if mark in line]
        return [line for line in lines if not line.startswith("result {")]


class Service:
    """A function, its script, its folders; `job` and `run` start the command on an event.

    Attributes:
        config: `function_config.yaml` as a document; an empty `storage_providers.minio.default` to begin with.
        secrets: Where credentials may be mounted: `<type>.<id>/<file>`.
        storage: What `run` gets as `--storage`.
        workspace: `TMPDIR` of the command; empty whenever none runs.
        environment: The whole environment of the command.
    """

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = {"name": "function", "storage_providers": {"minio": {"default": {}}}}
        self.script = COPY
        self.secrets, self.storage, self.workspace, self.home = (
            folder / name for name in ("secrets", "storage", "workspace", "home")
        )
        for made in (self.secrets, self.storage, self.workspace, self.home):
            made.mkdir()
        self.termination = self.home / "termination-log"
        self.environment = {
            **_KEPT,
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.workspace),
            "FAAS_SUPERVISOR_SECRETS_DIR": str(self.secrets),
            "FAAS_SUPERVISOR_TERMINATION_LOG": str(self.termination),
        }

    def outputs(self, *outputs: str | Mapping[str, Any]) -> None:
        """Configure outputs; `"minio.default bucket/out"` is short for the mapping."""
        self.config["output"] = [
            dict(zip(("storage_provider", "path"), one.split(" ", 1), strict=True)) if isinstance(one, str) else one
            for one in outputs
        ]

    def provider(self, name: str, **settings: object) -> None:
        """Configure the provider `type.id`."""
        kind, _, id_ = name.partition(".")
        self.config["storage_providers"].setdefault(kind, {})[id_] = settings

    def mount(self, provider: str, **files: str) -> None:
        """Mount credentials as Kubernetes does."""
        folder = self.secrets / provider
        folder.mkdir()
        for name, value in files.items():
            (folder / name).write_text(value)

    def put(self, path: str, data: bytes = b"hello\n", provider: str = "minio.default") -> None:
        """Put an object into the folder that stands for `provider`."""
        file = self.storage / provider / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def stored(self, provider: str = "minio.default") -> dict[str, bytes]:
        """What the folder holds that stands for `provider`: contents by path."""
        root = self.storage / provider
        return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}

    def write(self) -> tuple[Path, Path]:
        """Write configuration and script, side by side as OSCAR mounts them."""
        config, script = self.home / "function_config.yaml", self.home / "script.sh"
        config.write_text(yaml.safe_dump(self.config))
        script.write_text(self.script)
        return config, script

    def job_environment(self, **extra: str) -> dict[str, str]:
        """Return the environment of a Job: configuration and script come in variables."""
        return {
            **self.environment,
            "FUNCTION_CONFIG": encoded(yaml.safe_dump(self.config)),
            "SCRIPT": encoded(self.script),
            **extra,
        }

    def job(self, event: bytes, **extra: str) -> Done:
        """Give `event` to the job front on standard input."""
        return self.command([], event, self.job_environment(**extra))

    def run(self, event: bytes, *options: str, **extra: str) -> Done:
        """Give `event` to `supervisor run`, with folders in the place of all stores."""
        config, _ = self.write()
        arguments = ["run", "--config", str(config), "--storage", str(self.storage), *options]
        return self.command(arguments, event, {**self.environment, **extra})

    def cli(self, *arguments: str, event: bytes = b"", **extra: str) -> Done:
        """Run any command, without configuration."""
        return self.command(arguments, event, {**self.environment, **extra})

    def command(self, arguments: Sequence[str], stdin: bytes, environment: Mapping[str, str]) -> Done:
        """Run `supervisor` with `arguments` to its end."""
        return self.done(self.start(arguments, environment), stdin)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start `supervisor`; `done` has to follow."""
        return subprocess.Popen(
            [str(SUPERVISOR), *arguments],
            cwd=self.home,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def done(self, process: subprocess.Popen[bytes], stdin: bytes | None = b"") -> Done:
        """Wait until `process` has ended, and return how; `stdin` is None where it has got its input already."""
        with process:
            try:
                out, err = process.communicate(stdin, timeout=_PATIENCE)
            except BaseException:
                process.kill()
                raise
        told = self.termination.read_bytes() if self.termination.exists() else b""
        return Done(process.returncode, out, err.decode("utf-8", "backslashreplace"), told)


def succeeds(done: Done, service: Service) -> None:
    """Assert that all went well, and that nothing is left."""
    assert done.code == 0, done.stderr
    assert done.result["status"] == "succeeded"
    assert done.errors == []
    _require_tidy(done, service)


def fails(done: Done, service: Service, code: int, failure: str, *texts: str) -> None:
    """Assert that a run failed with this exit code, said so on one line that holds `texts`, and left nothing.

    Result and termination message must say the same.
    """
    assert (done.code, done.result["failure"]) == (code, failure), done.stderr
    assert done.result["status"] == "failed"
    assert done.result["exit_code"] == code
    assert len(done.errors) == 1, done.stderr
    for text in texts:
        assert text in done.errors[0]
    told = json.loads(done.termination)
    assert (told["failure"], told["exit_code"], told["reason"]) == (failure, code, done.result["reason"])
    assert all(text in told["reason"] for text in texts), told["reason"]
    _require_tidy(done, service)


def _require_tidy(done: Done, service: Service) -> None:
    assert "Traceback" not in done.stderr
    assert list(service.workspace.iterdir()) == []


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead, but that its parent has not asked about yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def install(folder: Path, name: str, code: str) -> str:
    """Install a plugin as pip would, and return the folder for `PYTHONPATH`."""
    site = folder / "site"
    metadata = site / f"faas_supervisor_{name}-1.2.3.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: faas-supervisor-{name}\nVersion: 1.2.3\n")
    (metadata / "entry_points.txt").write_text(f"[faas_supervisor]\n{name} = faas_supervisor_{name}\n")
    (site / f"faas_supervisor_{name}.py").write_text(code)
    return str(site)


def encoded(text: str | bytes) -> str:
    """Return `text` in base64."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def record(path: str, *, source: str = "minio:s3", key: str | None = None, **details: Any) -> dict[str, Any]:
    """Return one record of a notification about `bucket/key`; `key` is how it is written there, if unusual."""
    bucket, _, plain = path.partition("/")
    return {
        "eventVersion": "2.0",
        "eventSource": source,
        "eventName": "s3:ObjectCreated:Put",
        "eventTime": "2026-01-31T12:00:00.000Z",
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(plain) if key is None else key, **details}},
    }


def notification(*records: dict[str, Any]) -> bytes:
    """Return the event that holds these records."""
    return json.dumps({"EventName": "s3:ObjectCreated:Put", "Records": records}).encode()


def event(path: str, **details: Any) -> bytes:
    """Return the MinIO event for an upload to `bucket/key`; see `record`."""
    return notification(record(path, **details))


def delegated(inner: bytes, provider: str) -> bytes:
    """Wrap an event as OSCAR does when it delegates a job to another cluster."""
    return json.dumps({"storage_provider": provider, "event": inner.decode()}).encode()


class Bucket:
    """A bucket on a real server, seen by another client than the supervisor's."""

    def __init__(self, server: S3Server, name: str) -> None:
        self.server = server
        self.name = name
        self.client = s3_client(server)

    def put(self, key: str, data: bytes = b"hello\n", source: str = "minio:s3") -> dict[str, Any]:
        """Put an object there, and return the record of the notification that the server would send."""
        made = self.client.put_object(Bucket=self.name, Key=key, Body=data)
        return record(f"{self.name}/{key}", source=source, size=len(data), eTag=made["ETag"].strip('"'))

    def objects(self) -> dict[str, bytes]:
        """What the bucket holds: contents by key."""
        keys = [entry["Key"] for entry in self.listing()]
        return {key: self.client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

    def listing(self) -> list[dict[str, Any]]:
        """The bucket's objects as the server lists them."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [entry for page in pages for entry in page.get("Contents", [])]

    def unfinished(self) -> list[str]:
        """The keys of multipart uploads that nobody has completed or aborted."""
        listed = self.client.list_multipart_uploads(Bucket=self.name)
        return [upload["Key"] for upload in listed.get("Uploads", [])]
