"""The bare file unpacks once, where nobody else could have put something, and starts what it unpacked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archives import make_bare

from tests.packaging.test_archives import shape
from tests.programs import need, need_root

NOBODY = 65532


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    need("musl-gcc")
    bare = tmp_path_factory.mktemp("bare") / "supervisor"
    make_bare(folder, bare, 0)
    return bare


@pytest.fixture
def open_path():
    """A folder that everybody can enter, as pytest's are not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def bare(made, open_path):
    place = open_path / "bin"
    place.mkdir()
    shutil.copy2(made, place)
    return place / "supervisor"


def start(*command, environment=None, **options):
    return subprocess.run(
        command, env=environment or {}, capture_output=True, text=True, timeout=60, check=False, **options
    )  # fmt: skip


def unpacked(place):
    return sorted(path for path in place.iterdir() if path.is_dir())


def test_it_unpacks_beside_itself_and_passes_arguments_and_status_on(bare, folder):
    done = start(bare, "a b", "c")
    (beside,) = unpacked(bare.parent)
    assert done.stdout == f"supervisor a b c in {beside}/supervisor\n"
    assert done.returncode == 7
    assert shape(beside / "supervisor") == shape(folder)
    assert beside.stat().st_mode & 0o777 == 0o755


def test_it_unpacks_once(bare):
    start(bare)
    (beside,) = unpacked(bare.parent)
    (beside / "supervisor" / "supervisor").write_text("#!/bin/sh\necho kept\n")
    assert start(bare).stdout == "kept\n"


def test_modes_do_not_depend_on_the_umask(bare, folder):
    start("sh", "-c", f"umask 077; {bare}", environment=dict(os.environ))
    assert shape(unpacked(bare.parent)[0] / "supervisor") == shape(folder)


def test_it_passes_its_name_on(bare):
    watchdog = bare.rename(bare.with_name("fwatchdog"))
    assert start(watchdog).stdout.startswith("fwatchdog in ")


def test_many_that_start_at_once_all_work_and_leave_one_folder(bare):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: start(bare), range(24)))
    assert {it.returncode for it in done} == {7}
    assert len(unpacked(bare.parent)) == 1


class TestWhereItCannotWriteBesideItself:
    @pytest.fixture
    def temporary(self, open_path):
        place = open_path / "tmp"
        place.mkdir()
        place.chmod(0o1777)
        return place

    @pytest.fixture
    def start(self, bare, temporary):
        need_root()
        bare.parent.chmod(0o555)

        def start(user=NOBODY):
            return globals()["start"](bare, environment={"TMPDIR": str(temporary)}, user=user, group=user)

        return start

    def test_it_unpacks_into_a_private_folder(self, start, temporary):
        done = start()
        (private,) = unpacked(temporary)
        assert done.returncode == 7, done.stderr
        assert done.stdout == f"supervisor in {private}/supervisor\n"
        assert (private.stat().st_mode & 0o777, private.stat().st_uid) == (0o700, NOBODY)

    def test_each_user_has_one(self, start, temporary):
        assert [start(user).returncode for user in (NOBODY, NOBODY - 1, NOBODY)] == [7, 7, 7]
        assert len(unpacked(temporary)) == 2

    def test_what_root_unpacked_beside_it_is_used(self, bare, start, temporary):
        globals()["start"](bare)
        assert start().stdout == f"supervisor in {unpacked(bare.parent)[0]}/supervisor\n"
        assert not unpacked(temporary)

    @pytest.mark.parametrize("trick", ["owner", "mode", "link", "file"])
    def test_a_folder_that_somebody_else_prepared_is_not_used(self, bare, start, temporary, open_path, trick, folder):
        start()
        (private,) = unpacked(temporary)
        evil = open_path / "evil"
        shutil.rmtree(private)
        shutil.copytree(folder, evil / "supervisor")
        (evil / "supervisor" / "supervisor").write_text("#!/bin/sh\necho evil\n")
        if trick == "link":
            os.chown(evil, NOBODY, NOBODY)
            evil.chmod(0o700)
            private.symlink_to(evil)
        elif trick == "file":
            private.touch()
        else:
            shutil.copytree(evil, private)
            os.chown(private, *((0, 0) if trick == "owner" else (NOBODY, NOBODY)))
            private.chmod(0o700 if trick == "owner" else 0o770)
        done = start()
        shutil.rmtree("/tmp/" + private.name, ignore_errors=True)  # where it went instead, if it could
        assert "evil" not in done.stdout

    def test_a_place_where_anybody_may_rename_is_not_used(self, start, temporary):
        temporary.chmod(0o777)
        done = start()
        shutil.rmtree(done.stdout.partition(" in ")[2].removesuffix("/supervisor\n"), ignore_errors=True)
        assert not unpacked(temporary)


def test_a_place_without_programs_is_passed_over(bare, containers, open_path):
    """In a container: a read-only root, `/tmp` mounted noexec, and one place that is left."""
    from tests import roots
    from tests.containers import Mount

    noexec = Mount("/tmp", options=("noexec", "mode=1777"))
    (open_path / "left").mkdir()
    (open_path / "left").chmod(0o1777)
    mounts = [Mount("/oscar", bare.parent), Mount("/var", open_path / "left", writable=True)]
    ended = containers.run(
        ["/oscar/supervisor"], root=roots.busybox(), mounts=mounts, tmp=noexec, environment={"TMPDIR": "/var"}
    )
    assert ended.code == 7, ended.log
    assert ended.stdout.startswith(b"supervisor in /var/supervisor-65532-")

    ended = containers.run(["/oscar/supervisor"], root=roots.busybox(), mounts=[mounts[0]], tmp=noexec)
    assert ended.code == 110
    assert "there is no place to unpack to" in ended.log
    assert "/tmp: is mounted noexec" in ended.log


@pytest.mark.parametrize("lost", [1, 100, 10_000, 1_000_000])
def test_a_file_that_is_not_complete_is_refused(bare, lost):
    os.truncate(bare, bare.stat().st_size - lost)
    done = start(bare)
    assert done.returncode == 110
    assert done.stderr == f"supervisor: {bare} is not complete; get it again\n"


def test_a_full_disk_leaves_nothing_behind(bare):
    need_root()
    size = bare.stat().st_size + 512 * 1024
    # Everything in a mount namespace of its own; what is mounted noexec is no other place to go.
    command = f"""
        set -e
        mount -t tmpfs -o size={size} none /mnt
        cp {bare} /mnt
        for place in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o noexec none $place; done
        code=0; /mnt/supervisor || code=$?
        echo $code; ls -A /mnt
    """
    done = start("unshare", "--mount", "sh", "-c", command, environment={"PATH": os.environ["PATH"]})
    assert done.stdout.split() == ["110", "supervisor"], done.stderr
    assert re.search("/mnt/.supervisor-[0-9a-f]{32}: No space left on device", done.stderr)
