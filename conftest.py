"""Gives every test of the repository, the core's and the plugins', the same servers and containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["tests.servers", "tests.containers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the address of another watchdog for the conformance suite to talk to (see docs/serving.md)."""
    parser.addoption("--watchdog-url", help="a running watchdog whose fprocess is tests/watchdog/probe.sh")
