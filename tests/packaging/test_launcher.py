"""The launcher, compiled for a folder in which a probe stands where the loader of the C library would."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from native import static_program

from tests.programs import need, need_root

SOURCE = Path(__file__).parents[2] / "packaging" / "launcher.c"

PROBE = """\
#include <stdio.h>
#include <sys/prctl.h>
int main(int argc, char **argv, char **environment)
{
    int subreaper = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
    printf("%d", subreaper), putchar(0);
    for (int i = 0; i < argc; i++)
        printf("%s", argv[i]), putchar(0);
    puts("");
    for (; *environment != NULL; environment++)
        printf("%s", *environment), putchar(0);
    return 7;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    need("musl-gcc")
    folder = tmp_path_factory.mktemp("launcher")
    inside = folder / "_internal-0"
    inside.mkdir()
    (folder / "probe.c").write_text(PROBE)
    static_program(folder / "probe.c", inside / "probe")
    (inside / "app.bin").touch()
    static_program(SOURCE, folder / "supervisor", '-DLOADER="probe"', '-DINSIDE="_internal-0"')
    shutil.copy(folder / "supervisor", folder / "fwatchdog")
    return folder


@pytest.fixture
def folder(built, tmp_path):
    copy = tmp_path / "oscar"
    shutil.copytree(built, copy)
    return copy


class Started:
    """What the probe was started with."""

    def __init__(self, command, environment=None, **options):
        done = subprocess.run(
            command, env=environment or {}, capture_output=True, timeout=60, check=False, **options
        )  # fmt: skip
        assert done.returncode == 7, done.stderr
        arguments, _, variables = done.stdout.partition(b"\0\n")
        self.subreaper, *self.argv = arguments.split(b"\0")
        self.environment = dict(item.split(b"=", 1) for item in variables.split(b"\0")[:-1])


def test_it_executes_the_bundled_loader_with_the_bundled_libraries_and_the_program(folder):
    inside = f"{folder}/_internal-0".encode()
    assert Started([folder / "supervisor"]).argv == [
        inside + b"/probe",
        b"--inhibit-cache",
        b"--library-path",
        inside,
        b"--preload",
        inside + b"/nssfix.so",
        inside + b"/app.bin",
    ]


@pytest.mark.parametrize(
    "arguments",
    [[], [b""], [b"a b", b"--", b"-x=\xff\xfe", b"'\"\\$(id)\n"], [b"x" * 100_000], [b"%d" % n for n in range(20_000)]],
    ids=["none", "empty", "odd", "long", "many"],
)
def test_arguments_arrive_byte_for_byte(folder, arguments):
    assert Started([folder / "supervisor", *arguments]).argv[7:] == arguments


def test_what_the_image_means_for_its_own_loader_is_kept_from_ours_and_handed_over(folder):
    given = {
        b"LD_PRELOAD": b"/lib/evil.so",
        b"LD_LIBRARY_PATH": b"\xff:/lib",
        b"LD_ANYTHING": b"",
        b"GLIBC_TUNABLES": b"glibc.malloc.check=3",
        b"LOCPATH": b"/l",
        b"OPENSSL_CONF": b"/o",
    }
    seen = Started([folder / "supervisor"], {**given, b"LDX": b"1", b"LOCPATHS": b"2"}).environment
    assert {name: seen.get(b"_SUP_SAVED_" + name) for name in given} == given
    assert not seen.keys() & given.keys()
    assert (seen[b"LDX"], seen[b"LOCPATHS"]) == (b"1", b"2")


def test_what_another_frozen_program_left_behind_is_forgotten(folder):
    left = {"_SUP_SAVED_LD_PRELOAD": "/x", "_SUP_NAME": "x", "_PYI_APPLICATION_HOME_DIR": "/x", "_MEIPASS2": "/x"}
    seen = Started([folder / "supervisor"], {**left, "_PYI_ARCHIVE_FILE": "/x", "_SUPERVISOR_COMPLETE": "kept"})
    assert seen.environment == {
        b"_SUPERVISOR_COMPLETE": b"kept",
        b"_SUP_NAME": b"supervisor",
        b"_PYI_ARCHIVE_FILE": f"{folder}/_internal-0/app.bin".encode(),
        b"_PYI_PARENT_PROCESS_LEVEL": b"-1",
        b"_PYI_LINUX_PROCESS_NAME": b"supervisor",
    }


def test_the_name_is_that_of_the_file_whatever_the_first_argument_says(folder):
    (folder / "link").symlink_to("supervisor")
    names = [
        Started(["anything"], executable=folder / "fwatchdog"),
        Started(["fwatchdog"], executable=folder / "supervisor"),
        Started([folder / "link"]),
        Started(["./fwatchdog"], cwd=folder),
    ]
    assert [started.environment[b"_SUP_NAME"] for started in names] == [
        b"fwatchdog", b"supervisor", b"link", b"fwatchdog",
    ]  # fmt: skip


def test_a_link_to_it_starts_it(folder, tmp_path):
    (tmp_path / "elsewhere").symlink_to(folder / "supervisor")
    assert Started([tmp_path / "elsewhere"]).argv[3] == f"{folder}/_internal-0".encode()


def test_it_is_found_in_the_path(folder):
    assert Started(["sh", "-c", "supervisor x"], {"PATH": f"{folder}:/bin"}).argv[-1] == b"x"


def test_descendants_that_lose_their_parent_become_ours(folder):
    assert Started([folder / "supervisor"]).subreaper == b"1"


@pytest.mark.parametrize("program", ["/oscar/supervisor", "oscar/supervisor", "./oscar/../oscar/supervisor"])
def test_it_finds_its_folder_where_there_is_no_proc(folder, program):
    need_root()
    started = Started(["chroot", folder.parent, program], {"PATH": os.environ["PATH"]})
    assert started.argv[3] == b"/oscar/_internal-0"


def test_without_its_folder_it_says_so(folder):
    shutil.rmtree(folder / "_internal-0")
    done = subprocess.run([folder / "supervisor"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 110
    assert done.stderr == (
        f"supervisor: there is no folder _internal-0 beside {folder}/supervisor; copy the whole folder\n"
    )


def test_a_loader_that_may_not_be_executed_is_told_with_what_may_be_the_reason(folder):
    (folder / "_internal-0" / "probe").chmod(0o644)
    done = subprocess.run([folder / "supervisor"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 110
    assert "probe can't be executed: Permission denied; is the volume mounted noexec?" in done.stderr


@pytest.mark.parametrize("name", ["a:b", "a;b", "a$ORIGIN"])
def test_a_path_that_the_loader_would_take_apart_is_refused(folder, name):
    other = folder.rename(folder.with_name(name))
    done = subprocess.run([other / "supervisor"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 110
    assert "can't be a place for libraries" in done.stderr


def test_a_folder_deep_below_works(folder, tmp_path):
    deep = tmp_path.joinpath(*["d" * 200] * 15)
    deep.parent.mkdir(parents=True)
    folder.rename(deep)
    assert Started([deep / "supervisor"]).argv[6] == f"{deep}/_internal-0/app.bin".encode()
