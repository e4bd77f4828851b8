"""Gives every test of the repository, the core's and the plugins', the same servers."""

from __future__ import annotations

pytest_plugins = ["tests.servers"]
