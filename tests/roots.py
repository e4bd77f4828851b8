"""Root file systems for containers, made once from Debian's packages and kept below `build/`.

`debian` is a small Debian with Python, shells and tini, `older_debian` an older one as it comes; `busybox` has
nothing but busybox and no C library; `musl` is busybox with musl as the only C library, which is what makes Alpine
different.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.programs import need

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["busybox", "debian", "musl", "older_debian"]

_KEPT = Path(__file__).parents[1] / "build" / "roots"
_PACKAGES = "python3,tini,ca-certificates"
_PATIENCE = 600


def debian() -> Path:
    """Return a Debian of the release that we run on, so that this machine's own Python can be mounted into it."""
    need("debootstrap")
    return _made("debian", _bootstrap)


def older_debian(release: str) -> Path:
    """Return the smallest Debian of another release, whose C library is not ours."""
    need("debootstrap")
    return _made(release, lambda root: _debootstrap(root, release, "--variant=minbase"))


def busybox() -> Path:
    """Return a root with busybox, linked statically, under all its names."""
    need("busybox")
    return _made("busybox", _busybox)


def musl() -> Path:
    """Return the same with musl's loader, and so without that of glibc."""
    need("busybox", "musl-gcc")
    return _made("musl", _musl)


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """Return the root `name`; the first of several test processes makes it, under another name until it is whole."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    root, partial = _KEPT / name, _KEPT / f"{name}.partial"
    with (_KEPT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(root)
    return root


def _bootstrap(root: Path) -> None:
    _debootstrap(root, _release()[0], "--variant=minbase", f"--include={_PACKAGES}")


def _debootstrap(root: Path, release: str, *options: str) -> None:
    command = ["debootstrap", *options, release, str(root), _release()[1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"debootstrap failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    for folder in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / folder)
    # A Python that is mounted below /root has to be reachable for a user without rights.
    (root / "root").chmod(0o755)


def _release() -> tuple[str, str]:
    """Return this machine's release, and where its own apt fetches that from."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    form = "$(ORIGIN) $(COMPONENT) $(CODENAME) $(SITE)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    for line in listed.splitlines():
        if line.startswith(f"Debian main {release} "):
            return release, line.split()[-1]
    raise RuntimeError(f"apt knows no source of Debian {release}; run apt-get update")


def _busybox(root: Path) -> None:
    for folder in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var"):
        (root / folder).mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    program = shutil.which("busybox") or ""
    shutil.copy(program, root / "bin" / "busybox")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, timeout=60, check=True).stdout
    for name in names.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")


def _musl(root: Path) -> None:
    _busybox(root)
    loader = f"ld-musl-{os.uname().machine}.so.1"
    (root / "lib").mkdir()
    shutil.copy(f"/lib/{loader}", root / "lib" / loader)
