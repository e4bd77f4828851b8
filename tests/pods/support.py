"""A function in a container, as OSCAR has it: what is mounted where, and how the supervisor is started."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import yaml

from tests.containers import NOBODY, Mount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.containers import Container, Containers, Ended, Supervisor

__all__ = ["DIRECT", "JOB", "STARTS", "UNDER_INIT", "Pod"]

DIRECT = ("/oscar/bin/supervisor",)
JOB = ("/bin/sh", "-c", "echo $EVENT | /oscar/bin/supervisor")
UNDER_INIT = ("/usr/bin/tini", "--", "/oscar/bin/supervisor")

STARTS = {"as PID 1": DIRECT, "behind sh": JOB, "under an init": UNDER_INIT}


class Pod:
    """A function whose outputs go to a folder, and the containers that it is run in.

    Attributes:
        config: `function_config.yaml` as a document.
        script: The script.
        user: Who it runs as.
        limits: Options for every container: memory in MiB, processes, processors.
    """

    def __init__(self, containers: Containers, supervisor: Supervisor, folder: Path, user: int = NOBODY) -> None:
        self._containers = containers
        self._supervisor = supervisor
        self._oscar = folder / "oscar"
        self._store = folder / "store"
        self._termination = folder / "termination-log"
        self.user = user
        self.config: dict[str, Any] = {
            "name": "function",
            "storage_providers": {"file": {"store": {"root": "/store"}}},
            "output": [{"storage_provider": "file.store", "path": "out"}],
        }
        self.script = 'echo hello\necho written > "$TMP_OUTPUT_DIR/file"\n'
        self.limits: dict[str, Any] = {"memory": 256, "pids": 64, "cpus": 1.0}
        folder.chmod(0o755)
        self._oscar.mkdir()
        self._store.mkdir()
        self._termination.touch()
        for mine in (self._store, self._termination):
            os.chown(mine, user, user)

    def start(
        self,
        argv: tuple[str, ...] = JOB,
        *,
        event: str = "some text",
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Container:
        """Start a container on `event`, which it gets both ways: on standard input, and in its environment."""
        (self._oscar / "function_config.yaml").write_text(yaml.safe_dump(self.config))
        (self._oscar / "script.sh").write_text(self.script)
        mounts = [
            *self._supervisor.mounts,
            Mount("/oscar/config", self._oscar),
            Mount("/store", self._store, writable=True),
            Mount("/dev/termination-log", self._termination, writable=True),
            *options.pop("mounts", ()),
        ]
        variables = {"EVENT": event, "JOB_UUID": "6f1e", "OSCAR_SERVICE_NAME": "function", **(environment or {})}
        options = {**self.limits, "user": self.user, **options}
        return self._containers.start(argv, mounts=mounts, environment=variables, stdin=event.encode(), **options)

    def run(self, argv: tuple[str, ...] = JOB, **options: Any) -> Ended:
        """Run a container to its end; the options are those of `start`."""
        return self.start(argv, **options).wait()

    @property
    def stored(self) -> dict[str, bytes]:
        """What the store holds: contents by path."""
        return {
            str(file.relative_to(self._store)): file.read_bytes() for file in self._store.rglob("*") if file.is_file()
        }

    @property
    def told(self) -> dict[str, Any]:
        """The termination message."""
        return dict(json.loads(self._termination.read_bytes()))
