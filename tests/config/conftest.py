"""Settings classes as plugins declare them, and the shortest way to load a text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from faas_supervisor.config import Function, Source, check, load
from faas_supervisor.errors import ConfigurationError, InvalidConfiguration, PluginError
from faas_supervisor.storage import Secret, setting

if TYPE_CHECKING:
    from pathlib import Path

FILE = "function_config.yaml"


@dataclass(frozen=True)
class MinioSettings:
    access_key: Secret = setting("Who.")
    secret_key: Secret = setting("The password.")
    endpoint: str = setting("Where.", default="http://minio-service.minio:9000")
    region: str = setting("Which.", default="us-east-1")
    verify: bool = setting("Whether.", default=True)


@dataclass(frozen=True)
class S3Settings:
    access_key: Secret | None = setting("Who.", default=None, env="AWS_ACCESS_KEY_ID")
    secret_key: Secret | None = setting("The password.", default=None, env="AWS_SECRET_ACCESS_KEY")
    region: str | None = setting("Which.", default=None, env="AWS_REGION")


@dataclass(frozen=True)
class WebdavSettings:
    hostname: str = setting("Where.")
    login: str = setting("Who.", credential=True, env="WEBDAV_LOGIN")
    password: Secret = setting("The password.")

    def __post_init__(self) -> None:
        if "://" in self.hostname:
            raise InvalidConfiguration(f"{self.hostname} holds a scheme", hint="Leave out https://")


@dataclass(frozen=True)
class OddSettings:
    port: int = setting("A number.", default=443)
    ratio: float = setting("Another.", default=0.5)
    engine: Literal["fast", "sdk"] = setting("Which.", default="fast")
    scopes: tuple[str, ...] = setting("Some.", default=())
    size: int | None = setting("Maybe.", default=None)


@dataclass(frozen=True)
class BrokenSettings:
    where: dict[str, str] = setting("No such type can be read.")


CLASSES = {
    "minio": MinioSettings,
    "s3": S3Settings,
    "webdav": WebdavSettings,
    "odd": OddSettings,
    "broken": BrokenSettings,
}


def settings(type_: str) -> type[Any]:
    if type_ not in CLASSES:
        raise PluginError(f"no plugin is installed for provider type {type_!r}", hint="pip install something")
    return CLASSES[type_]


class Reader:
    """Loads texts with the environment and the mounted secrets that a test sets."""

    def __init__(self, secrets_dir: Path) -> None:
        self.secrets_dir = secrets_dir
        self.environment: dict[str, str] = {}

    def mount(self, provider: str, **files: str) -> Path:
        folder = self.secrets_dir / provider
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content)
        return folder

    def given(self) -> dict[str, Any]:
        return {"environment": self.environment, "settings": settings, "secrets_dir": self.secrets_dir}

    def __call__(self, text: str | bytes) -> Function:
        return load(self.source(text), **self.given())

    def source(self, text: str | bytes) -> Source:
        return Source(textwrap.dedent(text) if isinstance(text, str) else text, FILE)

    def faults(self, text: str | bytes) -> tuple[str, ...]:
        """Return the faults, without the name of the file in front of them."""
        with pytest.raises(ConfigurationError) as caught:
            self(text)
        return tuple(fault.removeprefix(f"{FILE}:") for fault in caught.value.faults)

    def check(self, text: str) -> tuple[str, ...]:
        return check(self.source(text), **self.given())


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path / "providers")
