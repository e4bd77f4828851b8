"""The servers, and short ways to use a provider, for all tests of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faas_supervisor_dcache.provider import make_provider
from faas_supervisor_dcache.testing import FakeDoor, Rules
from plugins.dcache.tests.servers import apache, certificates, homes, judge, nginx, oidc, rclone, wsgidav, xrootd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faas_supervisor_dcache import Settings
    from faas_supervisor_dcache.provider import WebDavProvider
    from plugins.dcache.tests.servers import Site

__all__ = ["apache", "certificates", "homes", "nginx", "oidc", "rclone", "wsgidav", "xrootd"]


@pytest.fixture(scope="session")
def _door(wsgidav: Site) -> Iterator[FakeDoor]:
    with FakeDoor(wsgidav.url, wsgidav.authorization) as door:
        yield door


@pytest.fixture
def door(_door: FakeDoor) -> FakeDoor:
    """A fake dCache in front of WsgiDAV, with the same users as Apache has."""
    _door.rules = Rules(judge=judge)
    _door.seen.clear()
    _door.tickets.clear()
    return _door


@pytest.fixture
def open_provider() -> Iterator[Callable[..., WebDavProvider]]:
    """A function that makes a provider, which is closed at the end of the test."""
    opened = []

    def make(settings: Settings, *arguments: object) -> WebDavProvider:
        opened.append(make_provider(settings, *arguments))
        return opened[-1]

    yield make
    for provider in opened:
        provider.close()


@pytest.fixture
def local(tmp_path: Path) -> Callable[[bytes], Path]:
    """A function that makes a local file."""

    def make(data: bytes) -> Path:
        path = tmp_path / f"local-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return path

    return make
