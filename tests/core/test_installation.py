"""An installation is there or not, whatever happens on the way, and leaves alone what runs."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faas_supervisor import installation
from faas_supervisor.errors import NoSpace
from faas_supervisor.installation import InstallationError, install


def _make(folder, version):
    inside = folder / f"_internal-{version}"
    (inside / "deep" / "empty").mkdir(parents=True)
    (inside / "app.bin").write_text(version)
    (inside / "deep" / "module.so").write_bytes(os.urandom(10_000))
    (inside / "ld.so").touch()
    (inside / "ld.so").chmod(0o755)
    (folder / "LICENSE").write_text(version)
    for name in ("supervisor", "fwatchdog"):
        (folder / name).write_text(f"#!/bin/sh\ncat ${{0%/*}}/_internal-{version}/app.bin\n")
        (folder / name).chmod(0o755)
    return folder


def shape(folder):
    return {
        os.fspath(path.relative_to(folder)): (
            stat.filemode(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


@pytest.fixture
def old(tmp_path):
    return _make(tmp_path / "old", "1")


@pytest.fixture
def new(tmp_path):
    return _make(tmp_path / "new", "2")


def test_it_copies_everything_with_modes_into_a_new_folder(new, tmp_path):
    before = os.umask(0o077)
    try:
        assert install(new, tmp_path / "a" / "b") == []
    finally:
        os.umask(before)
    assert shape(tmp_path / "a" / "b") == shape(new)


def test_twice_is_as_good_as_once(new, tmp_path):
    target = tmp_path / "bin"
    install(new, target)
    inside = (target / "_internal-2").stat().st_ino
    assert install(new, target) == []
    assert shape(target) == shape(new)
    assert (target / "_internal-2").stat().st_ino == inside


def test_another_version_is_replaced_and_may_go_on_running(old, new, tmp_path):
    target = tmp_path / "bin"
    install(old, target)
    with (target / "supervisor").open("rb") as running:
        assert install(new, target) == [target / "_internal-1"]
        assert b"_internal-1" in running.read()
    assert shape(target) == shape(new) | {
        name: content for name, content in shape(old).items() if name.startswith("_internal-1")
    }
    assert subprocess.run([target / "supervisor"], capture_output=True, check=True, timeout=60).stdout == b"2"


def test_what_others_put_there_stays(new, tmp_path):
    target = tmp_path / "bin"
    (target / "plugins" / "mine").mkdir(parents=True)
    (target / "alpine").mkdir()
    (target / "other").write_text("kept")
    (new / "plugins" / "ours").mkdir(parents=True)
    install(new, target)
    assert {path.name for path in (target / "plugins").iterdir()} == {"mine"}
    assert (target / "other").read_text() == "kept"
    assert (target / "alpine").is_dir()


def test_plugins_go_along_where_there_are_none(new, tmp_path):
    (new / "plugins" / "ours").mkdir(parents=True)
    install(new, tmp_path / "bin")
    assert (tmp_path / "bin" / "plugins" / "ours").is_dir()


def test_several_at_once_get_along(new, tmp_path):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: install(new, tmp_path / "bin"), range(12)))
    assert shape(tmp_path / "bin") == shape(new)


@pytest.mark.parametrize("kind", [OSError(errno.ENOSPC, "No space"), KeyboardInterrupt()], ids=["full", "stopped"])
@pytest.mark.parametrize("which", range(6))
def test_after_a_failure_the_old_version_works_and_nothing_is_left(old, new, tmp_path, monkeypatch, kind, which):
    target = tmp_path / "bin"
    install(old, target)
    copies = iter(range(100))
    copy = shutil.copy2

    def failing(*arguments):
        if next(copies) == which:
            raise kind
        return copy(*arguments)

    monkeypatch.setattr(installation.shutil, "copy2", failing)
    with pytest.raises((NoSpace, KeyboardInterrupt)):
        install(new, target)
    version = subprocess.run([target / "supervisor"], capture_output=True, check=True, timeout=60).stdout
    assert version == b"1"
    assert [path.name for path in target.iterdir() if path.name.startswith(".")] == []
    assert not (target / "_internal-2").exists() or shape(target / "_internal-2") == shape(new / "_internal-2")


def test_it_does_not_install_onto_itself(new):
    with pytest.raises(InstallationError, match="is where this supervisor runs from"):
        install(new, new)
    assert (new / "supervisor").exists()


def test_a_folder_that_can_not_be_written_is_an_error_that_names_it(new, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InstallationError, match=r"can't be installed in .*/file/bin: Not a directory"):
        install(new, tmp_path / "file" / "bin")


def test_a_python_package_says_that_it_can_not_be_installed_so(tmp_path):
    command = [Path(sys.executable).with_name("supervisor"), "install", tmp_path / "bin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "only the frozen supervisor can be installed so" in done.stderr
    assert not (tmp_path / "bin").exists()
