"""Gives every test of the repository, the core's and the plugins', the same servers and containers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tests run the supervisor in their own process, too, and it sets up the log for the rest of its life.
_LOGGERS = ("", "faas_supervisor", *(f"faas_supervisor_{name}" for name in ("s3", "minio", "onedata", "dcache")))


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Give every test the log that a process begins with, whatever a fixture of many tests has set up."""
    root, *ours = (logging.getLogger(name) for name in _LOGGERS)
    level, handlers = root.level, root.handlers[:]
    for logger in ours:
        logger.setLevel(logging.NOTSET)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["tests.servers", "tests.containers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the address of another watchdog for the conformance suite to talk to (see docs/serving.md)."""
    parser.addoption("--watchdog-url", help="a running watchdog whose fprocess is tests/watchdog/probe.sh")
