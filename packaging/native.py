"""The parts in C: the launcher, its like, and the C library that the frozen program brings along."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

from errors import BuildError

__all__ = ["LOADER", "build_inner_programs", "build_launcher", "copy_c_library", "static_program"]

_HERE: Final = Path(__file__).parent
_COMPILER: Final = os.environ.get("CC", "gcc")
# For what is linked statically: a program with glibc asks the processor what it can before anything else, and on a
# virtual machine each answer takes some 30 microseconds. With musl half a millisecond less at each start of a script.
_STATIC_COMPILER: Final = os.environ.get("MUSL_CC", "musl-gcc")
_FLAGS: Final = ("-std=gnu11", "-Os", "-s", "-Wall", "-Wextra", "-Werror", f"-ffile-prefix-map={_HERE}=packaging")

_LOADERS: Final = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
LOADER: Final = _LOADERS.get(platform.machine(), "")

# The C library in one piece (names that glibc 2.34 merged into libc are still asked for by older wheels), and what
# C++ extensions of plugins need.
_LIBRARIES: Final = (
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libcrypt.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
)


def build_inner_programs(inside: Path) -> None:
    """Put what the launcher and the supervisor need beside the libraries."""
    _compile(_HERE / "nssfix.c", inside / "nssfix.so", "-shared", "-fPIC", "-nostartfiles")
    if (_HERE / "starter.c").exists():
        static_program(_HERE / "starter.c", inside / "starter")


def build_launcher(folder: Path, inside: str) -> None:
    """Put the launcher of the folder `inside` into `folder`, under both of its names: links don't survive delivery."""
    static_program(_HERE / "launcher.c", folder / "supervisor", f'-DLOADER="{LOADER}"', f'-DINSIDE="{inside}"')
    shutil.copyfile(folder / "supervisor", folder / "fwatchdog")


def static_program(source: Path, destination: Path, *options: str) -> None:
    """Compile and link a program that needs nothing of the image.

    Raises:
        BuildError: There is no compiler, or no C library to link statically with.
    """
    if shutil.which(_STATIC_COMPILER) is None:
        raise BuildError(f"there is no C compiler {_STATIC_COMPILER!r}; on Debian: apt-get install musl-tools")
    _compile(source, destination, "-static", *options, compiler=_STATIC_COMPILER)


def copy_c_library(inside: Path) -> dict[str, Path]:
    """Copy the loader and the libraries into `inside`, and return where each came from.

    Raises:
        BuildError: One of them is not there.
    """
    if not LOADER:
        raise BuildError(f"only {' and '.join(_LOADERS)} are known, this is {platform.machine()}")
    sources = {name: _found(name) for name in (LOADER, *_LIBRARIES)}
    for name, source in sources.items():
        if not source.is_absolute():
            raise BuildError(f"{_COMPILER} does not know where {name} is")
        shutil.copyfile(source, inside / name)
        if name != LOADER:  # debuggers and profilers read the loader's symbols
            subprocess.run(["strip", "--strip-unneeded", inside / name], check=True)  # noqa: S607  # that of the path
    return sources


def _compile(source: Path, destination: Path, *options: str, compiler: str = _COMPILER) -> None:
    subprocess.run([compiler, *_FLAGS, *options, source, "-o", destination], check=True)


def _found(name: str) -> Path:
    asked = [_COMPILER, f"-print-file-name={name}"]
    return Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
