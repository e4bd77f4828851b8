"""These tests run in a machine of their own: `make test-uml`."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from tests.containers import NOBODY, ROOT
from tests.pods.support import Pod


def pytest_collection_modifyitems(items):
    if "IN_MACHINE" not in os.environ:
        for item in items:
            if "/uml/" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="needs cgroup v2: run make test-uml"))


@pytest.fixture(params=[0, NOBODY], ids=["root", "nobody"])
def pod(request, containers, unfrozen, tmp_path):
    """A function in a container that sees its own group as the root of all, as Kubernetes has it with cgroup v2."""
    made = Pod(containers, unfrozen, tmp_path, request.param)
    made.limits.update(memory=128, own_cgroups=True)
    return made


@pytest.fixture
def disk():
    """A folder on the host's disk; all other temporary folders are in the machine's memory."""
    folder = tempfile.mkdtemp(prefix="disk-", dir=ROOT / "build")
    os.chmod(folder, 0o777)  # noqa: PTH101
    yield ROOT / "build" / folder
    shutil.rmtree(folder)
