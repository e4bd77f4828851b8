"""What is inside the frozen folder, from whom, in which version and under which licence."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contents import OURS, distributions
from errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Part", "inventory"]

# Licences of the shared libraries that a Python may bring, by the stem of the file's name (SPDX).
_LIBRARIES: Final = {
    "ld-linux": "LGPL-2.1-or-later",
    "libbz2": "bzip2-1.0.6",
    "libc": "LGPL-2.1-or-later",
    "libcrypt": "LGPL-2.1-or-later",
    "libcrypto": "Apache-2.0",
    "libdl": "LGPL-2.1-or-later",
    "libexpat": "MIT",
    "libffi": "MIT",
    "libgcc_s": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "liblzma": "0BSD",
    "libm": "LGPL-2.1-or-later",
    "libmpdec": "BSD-2-Clause",
    "libncursesw": "X11",
    "libnss_dns": "LGPL-2.1-or-later",
    "libnss_files": "LGPL-2.1-or-later",
    "libpanelw": "X11",
    "libpthread": "LGPL-2.1-or-later",
    "libresolv": "LGPL-2.1-or-later",
    "librt": "LGPL-2.1-or-later",
    "libsqlite3": "blessing",
    "libssl": "Apache-2.0",
    "libstdc++": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libtinfo": "X11",
    "libutil": "LGPL-2.1-or-later",
    "libuuid": "BSD-3-Clause",
    "libz": "Zlib",
    "libzstd": "BSD-3-Clause",
}

# What distributions say in words of their own.
_SAID_OTHERWISE: Final = {
    "Apache License 2.0": "Apache-2.0",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",  # python-dateutil
    "License :: OSI Approved :: MIT License": "MIT",
}

_LICENCE_FILE: Final = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing of somebody's in the folder.

    Attributes:
        name: As its makers call it; a shared library is called after its file.
        version: Theirs, or the Debian package's.
        licence: An SPDX identifier or expression.
        purl: The package URL.
        texts: Licences and notices, as they came with it.
        file: The shared library in the inner folder, or None for what is no single file.
        requires: Names of other parts.
        sbom: What it is made of, as CycloneDX JSON that came with it.
    """

    name: str
    version: str
    licence: str
    purl: str
    texts: tuple[str, ...] = ()
    file: str | None = None
    requires: tuple[str, ...] = ()
    sbom: Path | None = None


def inventory(libraries: Mapping[str, Path]) -> list[Part]:
    """Return all parts; `libraries` tells for every shared library in the inner folder which file it was copied from.

    Raises:
        BuildError: One of them is unknown, or has no licence that we know of.
    """
    parts = [_distribution_part(found) for found in distributions()]
    parts += [_python(), _bootloader()]
    parts += [_library_part(name, source) for name, source in sorted(libraries.items())]
    parts.append(_musl())
    missing = [part.name for part in parts if not (part.texts or part.name in OURS or part.sbom or part.file)]
    if missing:
        raise BuildError(f"no licence text was found for {', '.join(missing)}")
    return parts


def _distribution_part(found: Distribution) -> Part:
    name = re.sub(r"[-_.]+", "-", found.name).lower()
    described = found.metadata
    claims = [described.get("License-Expression"), described.get("License"), *described.get_all("Classifier", [])]
    licence = next((known for claim in claims if claim and (known := _spdx(claim))), None)
    if licence is None:
        raise BuildError(f"the licence of {found.name} is not known; name it in packaging/inventory.py")
    inside = [file for file in found.files or () if file.parts[0].endswith(".dist-info")]
    texts = [file.read_text("utf-8") for file in inside if _LICENCE_FILE.search("/".join(file.parts[1:]))]
    sboms = [Path(found.locate_file(file)) for file in inside if "sboms" in file.parts and file.suffix == ".json"]
    required = {re.split(r"[^\w.-]", line)[0] for line in found.requires or () if "extra ==" not in line}
    return Part(
        name=name,
        version=found.version,
        licence=licence,
        purl=f"pkg:pypi/{name}@{found.version}",
        texts=tuple(texts),
        requires=tuple(sorted(required)),
        sbom=sboms[0] if sboms else None,
    )


def _spdx(claim: str) -> str | None:
    from cyclonedx.spdx import is_expression, is_supported_id  # noqa: PLC0415  # slow, and not for the spec

    claim = _SAID_OTHERWISE.get(claim, claim)
    return claim if is_supported_id(claim) or is_expression(claim) else None


def _python() -> Part:
    version = ".".join(map(str, sys.version_info[:3]))
    places = [Path(sysconfig.get_path("stdlib"), "LICENSE.txt")]
    places.append(Path(f"/usr/share/doc/python3.{sys.version_info[1]}/copyright"))
    return Part(
        name="cpython",
        version=version,
        licence="PSF-2.0",
        purl=f"pkg:generic/cpython@{version}",
        texts=tuple(place.read_text("utf-8") for place in places if place.is_file())[:1],
    )


def _bootloader() -> Part:
    found = distribution("pyinstaller")
    texts = [file.read_text("utf-8") for file in found.files or () if file.name.startswith("COPYING")]
    return Part(
        name="pyinstaller-bootloader",
        version=found.version,
        licence="GPL-2.0-or-later WITH Bootloader-exception",
        purl=f"pkg:pypi/pyinstaller@{found.version}",
        texts=tuple(texts),
    )


def _library_part(name: str, source: Path) -> Part:
    stem = re.split(r"-x86|-aarch|\.so", name)[0]
    if stem not in _LIBRARIES:
        raise BuildError(f"the licence of {name} is not known; name it in packaging/inventory.py")
    package, version = _debian_package(source)
    if not package:
        return Part(name, version, _LIBRARIES[stem], f"pkg:generic/{stem}@{version}", file=name)
    purl = f"pkg:deb/debian/{package}@{version}"
    return Part(name, version, _LIBRARIES[stem], purl, (_debian_notice(package),), file=name)


def _musl() -> Part:
    """Return the C library in what is linked statically: the launcher, and `starter`."""
    package = "musl-dev"
    if not shutil.which("dpkg-query"):
        print("freeze: the exact version and licence text of musl are not listed", file=sys.stderr)
        return Part("musl", "", "MIT", "pkg:generic/musl", file="starter")
    version = _debian_version(package)
    return Part(
        "musl", version, "MIT", f"pkg:deb/debian/{package}@{version}", (_debian_notice(package),), file="starter"
    )


def _debian_version(package: str) -> str:
    show = ["dpkg-query", "--show", "--showformat=${Version}\n", package]
    return subprocess.run(show, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _debian_notice(package: str) -> str:
    return Path("/usr/share/doc", package, "copyright").read_text("utf-8")


def _debian_package(file: Path) -> tuple[str, str]:
    """Return name and version of the package that `file` came with; no name, and what the file says, without one."""
    # The same file by its other name: /lib is a link to /usr/lib, and packages know one or the other.
    path = str(file.resolve())
    other = path.removeprefix("/usr") if path.startswith("/usr/lib") else f"/usr{path}"
    for known in (path, other) if shutil.which("dpkg-query") else ():
        asked = subprocess.run(["dpkg-query", "--search", known], capture_output=True, text=True, check=False)  # noqa: S607
        if asked.returncode == 0:
            package = asked.stdout.partition(":")[0]
            return package, _debian_version(package)
    print(f"freeze: {file} is of no Debian package: its exact version and licence text are not listed", file=sys.stderr)
    return "", Path(path).name.partition(".so.")[2]
