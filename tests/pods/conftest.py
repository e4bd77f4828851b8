"""What every test in containers starts from."""

from __future__ import annotations

import pytest

from tests.containers import NOBODY
from tests.pods.support import Pod


@pytest.fixture(params=[0, NOBODY], ids=["root", "nobody"])
def pod(request, containers, unfrozen, tmp_path):
    """A function in a container without rights, run by root and by a user whom the image does not know."""
    return Pod(containers, unfrozen, tmp_path, request.param)
