"""What we rely on of PyInstaller though it documents little of it: a version that breaks any of it is told here.

packaging/launcher.c sets the bootloader's own variables, and packaging/supervisor.spec leaves out what it adds.
"""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version

import pytest
from PyInstaller.archive.readers import CArchiveReader

LOOK = """\
#!/bin/sh
tr '\\0' '\\n' </proc/$PPID/environ >"$TMP_OUTPUT_DIR/environ"
cat /proc/$PPID/comm >"$TMP_OUTPUT_DIR/comm"
readlink /proc/$PPID/exe >"$TMP_OUTPUT_DIR/exe"
tr '\\0' '\\n' </proc/$PPID/cmdline >"$TMP_OUTPUT_DIR/cmdline"
env >"$TMP_OUTPUT_DIR/env"
"""


@pytest.fixture(scope="module")
def seen(folder, tmp_path_factory):
    """What a script sees of the supervisor that runs it, by name."""
    place = tmp_path_factory.mktemp("look")
    (place / "script.sh").write_text(LOOK)
    output = "output: [{storage_provider: minio.default, path: out/put}]"
    (place / "function_config.yaml").write_text(
        f"name: look\n{output}\nstorage_providers: {{minio: {{default: {{}}}}}}\n"
    )
    config = ["--config", place / "function_config.yaml", "--script", place / "script.sh", "--storage", place]
    command = [folder / "supervisor", "run", "--event", "-", *config]
    environment = {"PATH": os.environ["PATH"], "LD_BIND_NOW": "1"}
    subprocess.run(command, env=environment, input=b"x", check=True, timeout=60, capture_output=True)
    return {path.name: path.read_text() for path in (place / "minio.default" / "out" / "put").iterdir()}


def test_the_pinned_version_is_the_one_that_was_tried():
    assert version("pyinstaller") == "6.22.3", "try what follows in this file, then change this"


def test_the_level_of_minus_one_keeps_it_from_starting_itself_once_more(seen, inside):
    """A second start would cost as much as the first, and would have set LD_LIBRARY_PATH."""
    variables = dict(line.split("=", 1) for line in seen["environ"].splitlines())
    assert variables["_PYI_PARENT_PROCESS_LEVEL"] == "-1"
    assert variables["_PYI_ARCHIVE_FILE"] == f"{inside}/app.bin"
    assert variables["_SUP_SAVED_LD_BIND_NOW"] == "1"
    assert "LD_LIBRARY_PATH" not in variables


def test_nothing_of_it_reaches_the_script(seen):
    names = {line.partition("=")[0] for line in seen["env"].splitlines()}
    assert [name for name in names if name.startswith(("_PYI", "_MEI", "_SUP"))] == []
    assert "LD_BIND_NOW=1" in seen["env"].splitlines()
    assert "LD_LIBRARY_PATH" not in names


def test_it_takes_its_process_name_from_the_variable(seen):
    assert seen["comm"] == "supervisor\n"


def test_it_runs_under_the_bundled_loader(seen, inside):
    (loader,) = inside.glob("ld-linux*")
    assert seen["exe"] == f"{loader}\n"
    assert f"{inside}/app.bin" in seen["cmdline"].splitlines()


def test_without_the_variables_the_path_of_the_program_is_enough(inside):
    """The rule for a program that a loader starts: the first argument is the program's real path."""
    (loader,) = inside.glob("ld-linux*")
    command = [loader, "--inhibit-cache", "--library-path", inside, inside / "app.bin", "--version"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("faas-supervisor ")


def test_its_run_time_hooks_are_left_out(inside):
    program = CArchiveReader(str(inside / "app.bin"))
    scripts = [name for name, entry in program.toc.items() if entry[-1] == "s"]
    assert scripts == ["pyiboot01_bootstrap", "entry"]


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1", "xx"])
def test_names_are_utf8_whatever_the_locale_says(folder, tmp_path, locale):
    (tmp_path / "ä\udcff").mkdir()
    (tmp_path / "ä\udcff" / "event").write_bytes(b"x")
    (tmp_path / "script.sh").write_text('#!/bin/sh\nprintf "%s" "$NAME"\n')
    (tmp_path / "function_config.yaml").write_text('name: x\nenvironment: {variables: {NAME: "ä€"}}\n', "utf-8")
    done = subprocess.run(
        [folder / "supervisor", "run", "--event", os.fsencode(tmp_path / "ä\udcff" / "event"), "--config",
         tmp_path / "function_config.yaml", "--script", tmp_path / "script.sh"],
        env={"PATH": os.environ["PATH"], "LC_ALL": locale}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ä€".encode()
