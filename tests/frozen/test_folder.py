"""The frozen folder holds what it has to, and nothing else."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import contents
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from PyInstaller.archive.readers import CArchiveReader

from faas_supervisor import __version__

MB = 1_000_000

# Of the standard library: left out by packaging/contents.py, or of other systems, or for building Python alone.
LEFT_OUT = {"_dbm", "_gdbm", "_tkinter", "antigravity", "ensurepip", "idlelib", "lib2to3", "nis", "readline"}
LEFT_OUT |= {"rlcompleter", "this", "tkinter", "turtle", "turtledemo"}
ELSEWHERE = {"_msi", "_overlapped", "_scproxy", "_winapi", "msilib", "msvcrt", "nt", "winreg", "winsound"}
FROZEN = {"_frozen_importlib", "_frozen_importlib_external"}  # in every interpreter


def readelf(option, path):
    return subprocess.run(["readelf", "--wide", option, path], capture_output=True, text=True, check=True).stdout


def modules_of(program):
    (archive,) = [name for name in program.toc if name.endswith(".pyz")]
    return program.open_embedded_archive(archive)


@pytest.fixture(scope="module")
def modules(inside):
    program = CArchiveReader(str(inside / "app.bin"))
    base = subprocess.run(["unzip", "-Z1", inside / "base_library.zip"], capture_output=True, text=True, check=True)
    return {
        *modules_of(program).toc,
        *(name.removesuffix(".pyc").replace("/", ".").removesuffix(".__init__") for name in base.stdout.split()),
        *(path.name.partition(".")[0] for path in inside.glob("python*/lib-dynload/*.so")),
        *program.toc,
        *sys.builtin_module_names,
    }


@pytest.fixture(scope="module")
def objects(folder):
    """Every ELF file."""
    return [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]


def test_its_first_level_is_what_is_delivered(folder, inside):
    assert {path.name for path in folder.iterdir()} == {
        "LICENSE", "THIRD-PARTY-NOTICES.txt", inside.name, "fwatchdog", "sbom.cdx.json", "supervisor",
    }  # fmt: skip


def test_it_is_at_most_60_mb_and_the_zip_28(folder, dist):
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 60 * MB
    assert (dist / "supervisor.zip").stat().st_size <= 28 * MB


def test_it_has_no_links_and_everybody_may_read_it(folder):
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path
        assert stat.S_IMODE(mode) in ({0o755} if path.is_dir() else {0o644, 0o755}), path
        assert path.lstat().st_nlink == 1 or path.is_dir(), path


def test_the_programs_alone_are_executable(folder, inside):
    executable = {path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o111}
    (loader,) = inside.glob("ld-linux*")
    assert executable == {folder / "supervisor", folder / "fwatchdog", inside / "starter", loader}


def test_what_the_kernel_executes_itself_needs_no_library_of_the_image(folder, inside):
    for program in (folder / "supervisor", folder / "fwatchdog", inside / "starter"):
        assert "INTERP" not in readelf("--program-headers", program)


def test_every_library_that_is_asked_for_is_there(objects):
    names = {path.name for path in objects}
    for path in objects:
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic", path)))
        assert needed <= names, path


def test_no_library_is_looked_for_elsewhere(objects):
    assert [path for path in objects if re.search(r"\((RPATH|RUNPATH)\)", readelf("--dynamic", path))] == []


def test_no_symbol_is_newer_than_the_c_library_that_is_brought_along(objects, inside):
    def newest(path):
        found = re.findall(r"GLIBC_([\d.]+)", readelf("--version-info", path))
        return max((tuple(map(int, version.split("."))) for version in found), default=(0,))

    assert max(map(newest, objects)) == newest(inside / "libc.so.6")


def test_no_place_of_the_machine_that_built_it_is_named(folder, inside):
    here = str(Path(__file__).parents[2]).encode()
    for path in folder.rglob("*"):
        if path.is_file():
            assert here not in path.read_bytes(), path
    code = modules_of(CArchiveReader(str(inside / "app.bin"))).extract("faas_supervisor.invocation")
    assert code.co_filename == "faas_supervisor/invocation.py"


def test_the_whole_standard_library_is_inside(modules):
    missing = sys.stdlib_module_names - modules - LEFT_OUT - ELSEWHERE - FROZEN
    assert missing == set()
    assert modules & LEFT_OUT == set()


def test_every_module_of_ours_is_inside_but_for_the_kit_of_tests(modules):
    root = Path(__file__).parents[2]
    packages = [root / "faas_supervisor", *root.glob("plugins/*/faas_supervisor_*")]
    ours = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for package in packages
        for path in package.rglob("*.py")
    }
    assert {name for name in ours - modules if ".testing" not in name} == set()
    assert "faas_supervisor.testing" not in modules


def test_nothing_of_the_tools_that_built_it_is_inside(modules):
    tools = {"PyInstaller", "pip", "setuptools", "awscrt", "pytest", "cyclonedx", "hatchling"}
    assert {name.partition(".")[0] for name in modules} & tools == set()


def test_of_botocore_only_what_s3_and_its_credentials_need_is_inside(inside):
    services = {path.name for path in (inside / "botocore" / "data").iterdir() if path.is_dir()}
    assert services == {"s3", "signin", "sso", "sso-oidc", "sts"}


def test_metadata_of_every_distribution_is_inside_without_the_records_of_its_installation(inside):
    assert {path.name for path in inside.glob("*.dist-info/*")} == {"METADATA", "entry_points.txt"}
    names = {path.name.partition("-")[0].lower() for path in inside.glob("*.dist-info")}
    assert names == {re.sub(r"[-.]", "_", it.name).lower() for it in contents.distributions()}


def test_the_bill_of_materials_is_valid_and_lists_every_library(folder, inside):
    text = (folder / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["version"] == __version__
    listed = {component["name"]: component for component in bill["components"]}
    libraries = {path.name for path in inside.iterdir() if re.match(r"(lib(?!python)|ld-).*\.so", path.name)}
    assert len(libraries) > 15
    for name in libraries:
        assert listed[name]["version"]
        assert listed[name]["licenses"]


def test_the_notices_hold_the_licences_of_all(folder):
    text = (folder / "THIRD-PARTY-NOTICES.txt").read_text()
    for name in ("boto3", "obstore", "libssl.so.3", "cpython", "pyinstaller-bootloader", "libc.so.6"):
        assert re.search(rf"^- {re.escape(name)} \S+: \S+", text, re.MULTILINE), name
    assert "Apache License" in text
    assert "GNU Lesser General Public" in text
