"""Both ways in which a script is started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from faas_supervisor.script import _start
from tests.programs import need

SOURCE = Path(__file__).parents[2] / "packaging" / "starter.c"


@pytest.fixture(scope="session")
def starter(tmp_path_factory):
    """The program that the frozen supervisor brings, made from its source."""
    return _made(tmp_path_factory.mktemp("starter"))


@pytest.fixture(scope="session")
def older_starter(tmp_path_factory):
    """The same, as it behaves on a kernel before Linux 5.9."""
    return _made(tmp_path_factory.mktemp("starter"), "-DBEFORE_LINUX_5_9")


def _made(folder, *options):
    need("musl-gcc")
    program = folder / "starter"
    flags = ["-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror", "-static", *options]
    subprocess.run(["musl-gcc", *flags, SOURCE, "-o", program], check=True)
    folder.chmod(0o755)
    return str(program)


@pytest.fixture(params=["starter", "fork"])
def way(request, monkeypatch):
    """How a script is started: by the frozen supervisor's program, or by a fork."""
    if request.param == "starter":
        program = request.getfixturevalue("starter")
        # The launcher of the frozen supervisor has made it a subreaper; here somebody else has to.
        _start.adopt_orphans()
        monkeypatch.setattr(_start, "_starter", lambda: program)
    return request.param
