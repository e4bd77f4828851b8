"""These tests run in a machine of their own: `make test-uml`."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items):
    if "IN_MACHINE" not in os.environ:
        for item in items:
            if "/uml/" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="needs cgroup v2: run make test-uml"))
