"""The archives give the folder back as it was, through the tools that deliver it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tarfile

import pytest
from archives import make_sums, make_tar, make_zip

from tests.programs import need

EPOCH = 1_700_000_000


def shape(folder):
    """What matters of a folder: names, kinds, modes and content."""
    return {
        os.fspath(path.relative_to(folder)): (
            stat.filemode(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


@pytest.fixture
def archive(folder, tmp_path):
    make_zip(folder, tmp_path / "supervisor.zip", EPOCH)
    return tmp_path / "supervisor.zip"


def test_the_zip_survives_busybox_unzip_and_recursive_copy(folder, archive, tmp_path):
    need("busybox")
    out, volume = tmp_path / "out", tmp_path / "volume"
    out.mkdir()
    volume.mkdir()
    steps = f"umask 022 && busybox unzip -q {archive} -d {out} && busybox cp -r {out}/supervisor/. {volume}"
    subprocess.run(["busybox", "sh", "-c", steps], check=True, timeout=60)
    assert shape(volume) == shape(folder)


def test_the_zip_holds_one_folder_and_no_link(folder, archive):
    need("unzip")
    listed = subprocess.run(["unzip", "-Z1", archive], capture_output=True, text=True, check=True, timeout=60)
    names = listed.stdout.splitlines()
    assert names == sorted(names)
    assert {name.partition("/")[0] for name in names} == {"supervisor"}


def test_the_same_folder_gives_the_same_bytes_wherever_it_is(folder, archive, tmp_path):
    copy = tmp_path / "elsewhere" / "supervisor"
    shutil.copytree(folder, copy)
    for path in copy.rglob("*"):
        os.utime(path, (5, 5))
    make_zip(copy, tmp_path / "again.zip", EPOCH)
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
    assert make_tar(copy, EPOCH) == make_tar(folder, EPOCH)


def test_the_tar_holds_the_same(folder, tmp_path):
    (tmp_path / "a.tar").write_bytes(make_tar(folder, EPOCH))
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert {(member.uid, member.gid, member.mtime) for member in archive} == {(0, 0, EPOCH)}
        archive.extractall(tmp_path / "out", filter="tar")
    assert shape(tmp_path / "out" / "supervisor") == shape(folder)


def test_the_sums_are_those_that_sha256sum_checks(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "supervisor")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "supervisor").write_bytes(b"program")
    (tmp_path / "supervisor.zip").write_bytes(b"zip")
    make_sums(tmp_path)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert lines[0] == f"{hashlib.sha256(b'program').hexdigest()}  bin/supervisor"
    assert [line.partition("  ")[2] for line in lines] == ["bin/supervisor", "supervisor.zip"]
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, timeout=60)
