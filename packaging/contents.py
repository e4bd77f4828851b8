"""What goes into the frozen folder: of the standard library, of botocore, and of the metadata of distributions."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXCLUDED", "OURS", "distributions", "is_wanted_data", "metadata_files", "standard_library"]

OURS: Final = (
    "faas-supervisor",
    "faas-supervisor-s3",
    "faas-supervisor-minio",
    "faas-supervisor-onedata",
    "faas-supervisor-dcache",
)

# Of the standard library: what draws windows, what teaches and installs, and what would bring a library under the GPL
# or one of its own network stack (readline, gdbm; nis with Kerberos). A plugin that runs in a container needs none.
_UNWANTED_STANDARD: Final = frozenset(
    {"_dbm", "_gdbm", "_tkinter", "ensurepip", "idlelib", "lib2to3", "nis", "readline", "rlcompleter", "tkinter"}
    | {"turtle", "turtledemo", "antigravity", "this"}
)

# Distributions that may be installed where this is built, and would be taken along because somebody asks for them
# in a `try`. awscrt would also make botocore start slower.
_UNWANTED_OTHERS: Final = ("awscrt", "pip", "setuptools", "pkg_resources", "wheel", "pytest", "hypothesis", "IPython")

EXCLUDED: Final = (
    *sorted(_UNWANTED_STANDARD),
    *_UNWANTED_OTHERS,
    "faas_supervisor.testing",  # the kit for authors of plugins wants pytest
    "faas_supervisor_dcache.testing",
    "faas_supervisor_onedata.testing",
)

# S3 itself, and the services that hand out credentials for it. All of botocore's data are 28 MiB.
_BOTOCORE_SERVICES: Final = frozenset({"s3", "signin", "sso", "sso-oidc", "sts"})


def standard_library() -> list[str]:
    """Return the names of all modules of the standard library that go in: plugins may import any of them."""
    folder = Path(sysconfig.get_path("stdlib"))
    extensions = folder / "lib-dynload"
    names = {name for name in sys.builtin_module_names if name in sys.stdlib_module_names}
    names.update(_modules(folder, ""))
    names.update(entry.name.partition(".")[0] for entry in extensions.glob("*.so"))
    return sorted(name for name in names if _is_wanted(name))


def _modules(folder: Path, package: str) -> Iterator[str]:
    for entry in folder.iterdir():
        name = package + entry.name.removesuffix(".py")
        if name.partition(".")[0] not in sys.stdlib_module_names:
            continue
        if entry.suffix == ".py" and entry.stem != "__init__":
            yield name
        elif (entry / "__init__.py").is_file() and entry.name not in {"test", "tests"}:
            yield name
            yield from _modules(entry, f"{name}.")


def _is_wanted(name: str) -> bool:
    top = name.partition(".")[0]
    return (
        top in sys.stdlib_module_names
        and top not in _UNWANTED_STANDARD
        and not name.endswith("__main__")
        and not re.match(r"_?(test|xx)|_ctypes_test", name)
    )


def is_wanted_data(destination: str) -> bool:
    """Whether a data file that PyInstaller found is needed at run time."""
    parts = Path(destination).parts
    if parts[:2] == ("botocore", "data"):
        return len(parts) == 3 or parts[2] in _BOTOCORE_SERVICES  # noqa: PLR2004  # a file of no service
    if parts[0] == "boto3":
        return "examples" not in parts and (len(parts) < 3 or parts[2] in _BOTOCORE_SERVICES)  # noqa: PLR2004
    return ".dist-info" not in parts[0] and destination != "botocore/cacert.pem"


def distributions() -> list[Distribution]:
    """Return our distributions and all that they depend on, by name."""
    found: dict[str, Distribution] = {}
    wanted = list(OURS)
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in found:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return [found[name] for name in sorted(found)]


def metadata_files() -> list[tuple[str, str]]:
    """Return source and destination folder of the metadata that `importlib.metadata` reads.

    Not RECORD, INSTALLER and direct_url.json: they tell of the machine that built this.
    """
    return sorted(
        (os.fspath(found.locate_file(file)), os.fspath(file.parent))
        for found in distributions()
        for file in found.files or ()
        if file.parent.suffix == ".dist-info" and file.name in {"METADATA", "entry_points.txt"}
    )
