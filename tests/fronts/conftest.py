"""What tests of the resident front start from: a function on disk, and a service that answers for it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
import yaml

from faas_supervisor.fronts._service import Request, Service
from faas_supervisor.stop import Stop
from tests.core.conftest import _log_as_it_was, _no_secrets_known  # noqa: F401  # fixtures

if TYPE_CHECKING:
    from pathlib import Path


class Served:
    """A function served in this process.

    Attributes:
        config: The document of `function_config.yaml`, as `write` writes it.
        environment: The container's.
        requests: Where each request has its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.home, self.requests, self.secrets, self.storage = (
            folder / name for name in ("home", "requests", "secrets", "storage")
        )
        for made in (self.home, self.requests, self.secrets, self.storage):
            made.mkdir()
        self.config = {"name": "function", "log_level": "CRITICAL"}
        self.environment = {"PATH": os.environ["PATH"], "FAAS_SUPERVISOR_SECRETS_DIR": str(self.secrets)}
        self._numbers = iter(range(1_000_000))
        self._lock = threading.Lock()
        self._service = None

    def script(self, text: str) -> None:
        """Write the script and the configuration beside it."""
        (self.home / "script.sh").write_text(text)
        self.write()

    def write(self) -> None:
        """Write the configuration."""
        (self.home / "function_config.yaml").write_text(yaml.safe_dump(self.config))

    @property
    def service(self) -> Service:
        """The service, made at the first use."""
        with self._lock:
            if self._service is None:
                self._service = Service(self.environment, config=self.home / "function_config.yaml")
            return self._service

    def ask(self, body=b"", *, raw=False, stop=None, headers=(), **environment):
        """Let the service answer a request, and return the answer and its body."""
        with self._lock:
            folder = self.requests / str(next(self._numbers))
        folder.mkdir()
        (folder / "body").write_bytes(body)
        request = Request(
            body=folder / "body",
            method="POST",
            headers=dict(headers),
            environment={**self.environment, "Http_Method": "POST", **environment},
            raw=raw,
            stop=stop or Stop(),
            timeout=None,
        )
        answer = self.service.answer(request, folder)
        return answer, answer.body.read_bytes()

    def close(self) -> None:
        """Close the service, if there is one."""
        if self._service is not None:
            self._service.close()


@pytest.fixture
def served(tmp_path):
    one = Served(tmp_path)
    yield one
    one.close()
