"""What is raced beside the frozen supervisor: PyInstaller's plain build of it, and builds that end early."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from bench.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FROZEN = ROOT / "dist" / "supervisor"
_TOOLS = ROOT / "build" / "freeze" / "venv" / "bin" / "python"
_KEPT = ROOT / "build" / "bench"
_PACKAGES = ("", "_s3", "_minio", "_onedata", "_dcache")

_ENTRY = "from faas_supervisor.__main__ import main\nmain()\n"

# Each runs the frozen program up to a point, and leaves as the supervisor does.
PHASES = {
    "launcher, C library, Python, PyInstaller's bootstrap": "import os\nos._exit(0)\n",
    "imports of the standard library and PyYAML": (
        "import quick_patterns\nquick_patterns.install()\n"
        "import base64, gc, json, logging, os, pathlib, select, signal, threading, typing, urllib.parse, yaml\n"
        "os._exit(0)\n"
    ),
    "imports of the supervisor's own modules": (
        "import quick_patterns\nquick_patterns.install()\n"
        "import gc, os\ngc.disable()\nfrom faas_supervisor.fronts import job\nos._exit(0)\n"
    ),
}


def stock() -> Path:
    """Return the program that PyInstaller makes of the supervisor when nobody tells it more than it must know."""
    program = _KEPT / "stock" / "dist" / "supervisor" / "supervisor"
    if _is_older(program):
        folder = _KEPT / "stock"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "supervisor.py").write_text(_ENTRY)
        modules = [word for name in _PACKAGES for word in ("--collect-submodules", f"faas_supervisor{name}")]
        others = ["--exclude-module", "pytest", "--hidden-import", "yaml"]
        _run([_TOOLS, "-m", "PyInstaller", "--log-level", "ERROR", *modules, *others, "supervisor.py"], folder)
        (starter,) = FROZEN.glob("_internal-*/starter")  # not Python, and nothing of PyInstaller's
        shutil.copy(starter, program.parent / "_internal")
    return program


def phases() -> dict[str, Path]:
    """Return the frozen programs that end after each phase but the last, in their order."""
    return {name: _ending(f"phase-{number}", entry) for number, (name, entry) in enumerate(PHASES.items())}


def _ending(name: str, entry: str) -> Path:
    folder = _KEPT / name
    program = folder / "dist" / "supervisor" / "supervisor"
    if _is_older(program):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ROOT / "packaging", folder / "packaging")
        shutil.copy(ROOT / "LICENSE", folder)
        # What is imported by name stays in the folder, so that only the start differs.
        (folder / "packaging" / "entry.py").write_text(f"{entry}\nimport faas_supervisor.__main__\n")
        _run([_TOOLS, "packaging/freeze.py", "dist", "work"], folder)
    return program


def _is_older(program: Path) -> bool:
    if not (FROZEN / "supervisor").exists():
        raise SystemExit("bench: there is no frozen supervisor: make freeze")
    return not program.exists() or program.stat().st_mtime_ns < (FROZEN.parent / "SHA256SUMS").stat().st_mtime_ns


def _run(command: list[object], folder: Path) -> None:
    print("building", folder.name, flush=True)
    subprocess.run(list(map(str, command)), cwd=folder, timeout=900, check=True, stdout=subprocess.DEVNULL)
    for program in (folder / "dist" / "supervisor").glob("supervisor"):
        program.touch()  # its time was made that of no build
