"""Makes the frozen supervisor: `python packaging/freeze.py DIST WORK`, as `make freeze` calls it.

It runs in an environment that holds our distributions and what packaging/requirements.txt lists. docs/building.md
tells what comes out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from native import BuildError, build_programs, copy_c_library

_HERE: Final = Path(__file__).parent

# Files are dated so unless SOURCE_DATE_EPOCH says otherwise: the first day that a zip archive can name.
_EPOCH: Final = "315532800"


def main() -> None:
    """Freeze, and say what is missing if it can't be done."""
    dist, work = (Path(argument).resolve() for argument in sys.argv[1:])
    os.environ.setdefault("SOURCE_DATE_EPOCH", _EPOCH)
    os.umask(0o022)
    try:
        freeze(dist, work)
    except BuildError as error:
        sys.exit(f"freeze: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"freeze: {error.cmd[0]} failed with status {error.returncode}")


def freeze(dist: Path, work: Path) -> None:
    """Make `dist/supervisor` and the artifacts beside it."""
    folder = work / "folder"
    shutil.rmtree(work, ignore_errors=True)
    folder.mkdir(parents=True)
    _run_pyinstaller(folder, work)
    copy_c_library(folder / "_internal")
    build_programs(folder)
    _normalise(folder)
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    folder.rename(dist / "supervisor")


def _run_pyinstaller(folder: Path, work: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",  # the order of sets, and with it that of code constants
        "PYINSTALLER_CONFIG_DIR": str(work / "cache"),
    }
    options = ["--noconfirm", "--log-level", "WARN", "--distpath", folder, "--workpath", work / "pyinstaller"]
    command = [sys.executable, "-m", "PyInstaller", *options, _HERE / "supervisor.spec"]
    subprocess.run(command, env=environment, check=True)


def _normalise(folder: Path) -> None:
    """Leave no trace of how the files came to be: links, modes, times."""
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    executables = {folder / "supervisor", folder / "fwatchdog", *(folder / "_internal").glob("ld-linux*")}
    executables |= {folder / "_internal" / "starter"}
    # From the leaves up, since a new file changes the time of its folder.
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_symlink():
            target = path.resolve()
            path.unlink()
            shutil.copyfile(target, path)
        path.chmod(0o755 if path.is_dir() or path in executables else 0o644)
        os.utime(path, (epoch, epoch))
    os.utime(folder, (epoch, epoch))


if __name__ == "__main__":
    main()
