"""The frozen supervisor, as `make freeze` made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.containers import Mount, Supervisor

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
