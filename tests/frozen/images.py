"""The images in which the frozen supervisor has to run, and what is odd about each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests import roots
from tests.containers import Ended, Mount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.containers import Containers

__all__ = ["HOSTILE", "IMAGES", "ODDITIES", "Oddity", "enter", "image", "run"]

STRANGER = 12345
"""A user whom no image knows."""

IMAGES: dict[str, Callable[[], Path]] = {
    "Debian 11": lambda: roots.older_debian("bullseye"),
    "Debian 12": roots.debian,
    "musl": roots.musl,
    "busybox": roots.busybox,
}

_TMP = Mount("/tmp", options=("nosuid", "nodev", "mode=1777", "size=64m"))


@dataclass(frozen=True)
class Oddity:
    """How a container differs from the simplest one.

    Attributes:
        user: Who runs in it.
        writable: Whether its root can be written to.
        tmp: What is mounted at `/tmp`; None for nothing.
        has_tmp: Whether the image has such a folder at all.
        environment: What the image sets.
    """

    user: int = 0
    writable: bool = True
    tmp: Mount | None = None
    has_tmp: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


HOSTILE = {
    "LD_PRELOAD": "/nowhere/evil.so",
    "LD_LIBRARY_PATH": "/oscar/config:/nowhere",
    "LD_BIND_NOW": "1",
    "GLIBC_TUNABLES": "glibc.malloc.check=3",
    "GCONV_PATH": "/nowhere",
    "LOCPATH": "/nowhere",
    "LC_ALL": "xx_YY.ISO-8859-15",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONSTARTUP": "/nowhere/start.py",
    "TZ": "Mars/Olympus",
}
"""Variables of an image that would harm a program that heeds them."""

ODDITIES = {
    "root": Oddity(),
    "a user without an entry": Oddity(user=STRANGER, tmp=_TMP),
    "a read-only root": Oddity(user=STRANGER, writable=False, tmp=_TMP),
    "noexec on /tmp": Oddity(
        user=STRANGER, writable=False, tmp=Mount("/tmp", options=("nosuid", "nodev", "noexec", "mode=1777", "size=64m"))
    ),
    "hostile variables": Oddity(environment=HOSTILE),
    "no /tmp": Oddity(has_tmp=False),
    "no /tmp and a read-only root": Oddity(user=STRANGER, writable=False, has_tmp=False),
}


def image(name: str, folder: Path, *, has_tmp: bool = True) -> Path:
    """Return the root of an image with everything that OSCAR mounts something at: a copy, made of links."""
    source, root = IMAGES[name](), folder / "image"
    subprocess.run(["cp", "--archive", "--link", source, root], check=True, timeout=120)
    for mounted in ("oscar/bin", "oscar/config", "data", "run/secrets/providers", "opt"):
        (root / mounted).mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(root / "var" / "run"):
        (root / "var" / "run").symlink_to("../run")
    hosts = root / "etc" / "hosts"
    hosts.unlink(missing_ok=True)
    hosts.touch()
    if not has_tmp:
        shutil.rmtree(root / "tmp")
    return root


def run(
    containers: Containers,
    root: Path,
    oddity: Oddity,
    argv: Sequence[str],
    *,
    mounts: Sequence[Mount],
    environment: Mapping[str, str],
) -> Ended:
    """Run `argv` in a container by runc."""
    return containers.run(
        argv,
        root=root,
        user=oddity.user,
        writable=oddity.writable,
        tmp=oddity.tmp,
        mounts=mounts,
        environment={**oddity.environment, **environment},
    )


def enter(
    root: Path,
    oddity: Oddity,
    argv: Sequence[str],
    *,
    mounts: Sequence[Mount],
    environment: Mapping[str, str],
) -> Ended:
    """Run `argv` in a mount namespace of its own with another root, where not even /proc is mounted."""
    every = [*mounts, *([oddity.tmp] if oddity.tmp else [])]
    asked = {
        "root": str(root),
        "argv": list(argv),
        "environment": {"PATH": "/usr/bin:/bin", **oddity.environment, **environment},
        "mounts": [
            (
                str(mount.source) if mount.source else None,
                mount.destination.replace("/var/run/", "/run/"),  # a link, which would lead out of the root
                ",".join(mount.options) if mount.source is None else "ro",
            )
            for mount in every
        ],
        "readonly": not oddity.writable,
        "user": oddity.user,
    }
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-I", "-S", Path(__file__).with_name("enter.py")],
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
