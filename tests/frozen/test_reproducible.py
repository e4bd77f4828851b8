"""The same sources and the same environment give the same files, wherever and by whomever they are made."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build" / "freeze" / "venv" / "bin" / "python"


def digests(dist):
    return {
        str(path.relative_to(dist)): (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in dist.rglob("*")
        if path.is_file() and path.relative_to(dist).parts[0] != "arm64"
    }


def test_a_second_build_elsewhere_gives_the_same_bytes(dist, tmp_path):
    checkout = tmp_path / "another place"
    shutil.copytree(ROOT / "packaging", checkout / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", checkout)
    for path in checkout.rglob("*"):
        os.utime(path, (1, 1))
    other = {"HOME": str(tmp_path), "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "USER": "somebody"}
    environment = {"PATH": os.environ["PATH"], **other}
    command = ["sh", "-c", 'umask 077; exec "$@"', "-", PYTHON, checkout / "packaging" / "freeze.py"]
    made, work = tmp_path / "made", tmp_path / "work"
    subprocess.run([*command, made, work], env=environment, check=True, timeout=600, capture_output=True)
    first, second = digests(dist), digests(made)
    assert {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} == set()
