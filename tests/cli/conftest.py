"""The same start as the end-to-end tests have."""

from __future__ import annotations

from tests.e2e.conftest import bucket, service

__all__ = ["bucket", "service"]
