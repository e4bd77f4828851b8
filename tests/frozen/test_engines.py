"""A whole invocation from a volume that busybox has filled, and by another container engine than runc."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.containers import Mount
from tests.frozen.function import COMMAND
from tests.frozen.images import Oddity, image, run
from tests.programs import need, need_root

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def delivered(dist, tmp_path) -> Path:
    """A volume that OSCAR's Job has filled: busybox' `unzip`, then `cp -r`."""
    need("busybox")
    work, volume = tmp_path / "work", tmp_path / "volume"
    (volume / "alpine").mkdir(parents=True)
    work.mkdir()
    line = (
        "busybox unzip -q {dist}/supervisor.zip && busybox cp -r supervisor/* {volume} && busybox rm -r supervisor && "
        "busybox unzip -q {dist}/supervisor-alpine.zip && busybox cp -r supervisor/* {volume}/alpine"
    )
    subprocess.run(["sh", "-ec", line.format(dist=dist, volume=volume)], cwd=work, check=True, timeout=120)
    return volume


@pytest.mark.parametrize("start", ["/oscar/bin/supervisor", "/oscar/bin/alpine/supervisor"])
@pytest.mark.parametrize("name", ["Debian 11", "musl"])
def test_a_volume_filled_by_busybox_works(name, start, delivered, function, containers, tmp_path):
    ended = run(
        containers,
        image(name, tmp_path),
        Oddity(),
        ("/bin/sh", "-c", f"echo $EVENT | {start}"),
        mounts=[Mount("/oscar/bin", delivered), *function.mounts()],
        environment={"EVENT": function.put()},
    )
    assert ended.code == 0, ended.log
    assert function.outputs()["input.txt"] == b"what goes in\n"


@pytest.fixture
def docker(tmp_path):
    """A function that runs Docker's client against a daemon of its own."""
    need("dockerd", "docker")
    need_root()
    socket = f"unix://{tmp_path}/docker.sock"
    state = ["--data-root", tmp_path / "data", "--exec-root", tmp_path / "exec", "--pidfile", tmp_path / "pid"]
    nothing = ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"]
    with (tmp_path / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd", "-H", socket, *state, *nothing], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "-H", socket, "info"], capture_output=True, check=False).returncode:
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"Docker does not start here: {(tmp_path / 'dockerd.log').read_text()[-1000:]}")
            time.sleep(0.1)
        yield lambda *arguments, **options: subprocess.run(
            ["docker", "-H", socket, *arguments], capture_output=True, timeout=120, check=False, **options
        )
    finally:
        daemon.terminate()
        daemon.wait(30)
        # It leaves this behind, and then its folder can't be removed.
        subprocess.run(
            ["umount", tmp_path / "exec" / "netns" / "default"], capture_output=True, timeout=30, check=False
        )


def test_docker_runs_it_too(docker, function, folder, tmp_path):
    root = image("busybox", tmp_path)
    packed = subprocess.run(["tar", "--create", "--directory", root, "."], capture_output=True, check=True).stdout
    assert docker("import", "-", "busybox:test", input=packed).returncode == 0
    mounts = [Mount("/oscar/bin", folder), *function.mounts()]
    volumes = [word for mount in mounts for word in ("-v", f"{mount.source}:{mount.destination}:ro")]
    limits = ["--read-only", "--tmpfs", "/tmp", "-u", "12345:12345", "--cap-drop", "ALL", "--network", "host"]
    done = docker("run", "--rm", *limits, *volumes, "-e", f"EVENT={function.put()}", "busybox:test", *COMMAND)
    assert done.returncode == 0, done.stderr.decode()
    assert function.outputs()["input.txt"] == b"what goes in\n"
