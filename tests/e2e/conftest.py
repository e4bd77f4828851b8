"""What every end-to-end test starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.support import Bucket, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import S3Server


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A function in a folder of its own."""
    return Service(tmp_path)


@pytest.fixture
def bucket(seaweedfs: S3Server, new_bucket: Callable[[S3Server], str]) -> Bucket:
    """An empty bucket on a real server."""
    return Bucket(seaweedfs, new_bucket(seaweedfs))
