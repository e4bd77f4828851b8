"""Each artifact, delivered as it is meant to be, runs an event in a container that has nothing but busybox."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests import roots
from tests.containers import Mount
from tests.programs import need

LINE = ["/bin/sh", "-c", "echo $EVENT | /oscar/bin/supervisor"]


@pytest.fixture
def volume():
    """What OSCAR mounts at `/oscar`: the volume `bin`, and the configuration of a function."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "bin").mkdir()
        (place / "config").mkdir()
        (place / "config" / "script.sh").write_text('#!/bin/sh\nwc -c < "$INPUT_FILE_PATH"\n')
        (place / "config" / "function_config.yaml").write_text("name: count\n")
        yield place


def works(containers, volume, *, line=LINE, **options):
    mounts = [Mount("/oscar", volume)]
    ended = containers.run(line, root=roots.busybox(), mounts=mounts, environment={"EVENT": "12345"}, **options)
    assert ended.code == 0, ended.log
    assert b"5" in ended.stdout
    return ended


def test_the_zip_by_busybox_unzip_and_recursive_copy(dist, volume, containers, tmp_path):
    need("busybox")
    steps = f"""
        set -e
        umask 022
        busybox mkdir {tmp_path}/a {tmp_path}/b {volume}/bin/alpine
        busybox unzip -q {dist}/supervisor.zip -d {tmp_path}/a
        busybox cp -r {tmp_path}/a/supervisor/* {volume}/bin
        busybox unzip -q {dist}/supervisor-alpine.zip -d {tmp_path}/b
        busybox cp -r {tmp_path}/b/supervisor/* {volume}/bin/alpine
    """
    subprocess.run(["busybox", "sh", "-c", steps], check=True, timeout=120)
    works(containers, volume)
    works(containers, volume, line=["/bin/sh", "-c", "echo $EVENT | /oscar/bin/alpine/supervisor"])


def test_the_bare_file_where_it_can_be_written_beside_it(dist, volume, containers):
    shutil.copy(dist / "bin" / "supervisor", volume / "bin")
    (volume / "bin").chmod(0o777)
    mounts = [Mount("/oscar/bin", volume / "bin", writable=True), Mount("/oscar/config", volume / "config")]
    first, second = (
        containers.run(LINE, root=roots.busybox(), mounts=mounts, environment={"EVENT": "12345"}) for _ in range(2)
    )
    assert (first.code, second.code) == (0, 0), first.log + second.log
    assert len(list((volume / "bin").glob(".supervisor-*"))) == 1


def test_the_bare_file_on_a_read_only_volume(dist, volume, containers):
    shutil.copy(dist / "bin" / "supervisor-alpine", volume / "bin" / "supervisor")
    works(containers, volume, tmp=Mount("/tmp", options=("nosuid", "nodev", "mode=1777", "size=128m")))


def test_install_into_a_volume_from_a_container_without_cp(frozen, volume, containers):
    mounts = [*frozen.mounts, Mount("/volume", volume / "bin", writable=True)]
    for target in ("/volume", "/volume/alpine"):
        ended = containers.run(
            [*frozen.command, "install", target], root=roots.busybox(), user=0, mounts=mounts, tmp=None
        )
        assert ended.code == 0, ended.log
        assert ended.stdout.decode() == f"The supervisor is in {target}.\n"
    works(containers, volume)
    works(containers, volume, line=["/oscar/bin/alpine/supervisor"], stdin=b"12345")


def test_the_kit_image_by_its_own_cp(dist, volume, containers, tmp_path):
    with tarfile.open(dist / "supervisor-kit.tar") as archive:
        archive.extractall(tmp_path / "layout", filter="data")
    listed = json.loads((tmp_path / "layout" / "manifest.json").read_text())[0]["Layers"]
    root = tmp_path / "root"
    for layer in listed:
        with tarfile.open(tmp_path / "layout" / layer) as archive:
            archive.extractall(root, filter="tar")
    for name in ("dev", "proc", "sys", "data", "tmp"):
        (root / name).mkdir()
    ended = containers.run(
        ["/bin/sh", "-c", "cp -r /supervisor/* /data"],
        root=root, user=0, mounts=[Mount("/data", volume / "bin", writable=True)], tmp=None,
    )  # fmt: skip
    assert ended.code == 0, ended.log
    works(containers, volume)


def test_both_names_of_an_archive_are_the_same_bytes_and_all_sums_are_right(dist):
    assert (dist / "supervisor.zip").read_bytes() == (dist / "supervisor-alpine.zip").read_bytes()
    assert (dist / "bin" / "supervisor").read_bytes() == (dist / "bin" / "supervisor-alpine").read_bytes()
    sums = dict(reversed(line.split("  ")) for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {
        "THIRD-PARTY-NOTICES.txt", "bin/supervisor", "bin/supervisor-alpine", "sbom.cdx.json", "supervisor-alpine.zip",
        "supervisor-kit.tar", "supervisor.zip",
    }  # fmt: skip
    for name, expected in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == expected
