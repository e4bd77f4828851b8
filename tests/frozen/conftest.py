"""The frozen supervisor, as `make freeze` made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.dcache.tests.servers import apache, certificates, homes
from tests.containers import Mount, Supervisor
from tests.frozen.function import Function

__all__ = ["apache", "certificates", "homes"]

DIST = Path(__file__).parents[2] / "dist"


@pytest.fixture(scope="session")
def dist():
    """The folder with all artifacts."""
    if not (DIST / "supervisor" / "supervisor").exists():
        pytest.fail("there is no dist/supervisor; run make freeze, or make test-frozen")
    return DIST


@pytest.fixture(scope="session")
def folder(dist):
    """The frozen folder."""
    return dist / "supervisor"


@pytest.fixture(scope="session")
def inside(folder):
    """The inner folder, with the libraries."""
    (found,) = folder.glob("_internal-*")
    return found


@pytest.fixture(scope="session")
def frozen(folder):
    """The frozen supervisor at `/oscar/bin`, for containers."""
    return Supervisor(("/oscar/bin/supervisor",), (Mount("/oscar/bin", folder),))


@pytest.fixture
def function(tmp_path, seaweedfs, new_bucket):
    """A function of OSCAR with a bucket on SeaweedFS."""
    tmp_path.chmod(0o755)  # for users without rights
    return Function(tmp_path, seaweedfs, new_bucket(seaweedfs))
