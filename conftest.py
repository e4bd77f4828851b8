"""Gives every test of the repository, the core's and the plugins', the same servers, and the same containers."""

from __future__ import annotations

pytest_plugins = ["tests.servers", "tests.containers"]
