"""Credentials that Kubernetes mounts: `<folder>/<type>.<id>/<file>`, one file for each setting."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from faas_supervisor.config._document import Node
from faas_supervisor.config._findings import Invalid, Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faas_supervisor.config._findings import Findings

__all__ = ["camel_case", "matching", "mounted"]

_LARGEST: Final = 64 * 1024


def mounted(folder: Path, findings: Findings) -> dict[str, dict[str, Node]]:
    """Return the values of all mounted files, by the name of their folder and their own."""
    return {name: _files(folder / name, findings) for name in _names(folder, findings)}


def matching(name: str, fields: Mapping[str, object]) -> str | None:
    """Return which of `fields` a file of this name sets: `secretKey` and `secret_key` are the same."""
    plain = name.replace("_", "").lower()
    return next((field for field in fields if field.replace("_", "") == plain), None)


def camel_case(name: str) -> str:
    """Return `secret_key` as `secretKey`, which is how OSCAR names the files."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _names(folder: Path, findings: Findings) -> list[str]:
    """Return what stands in a folder, but for dot files: `..data` is how Kubernetes swaps all files at once."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208  # names suffice
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        findings.warn(Place(str(folder)), "", "is not a folder and is ignored")
        return []
    except OSError as error:
        findings.fault(Place(str(folder)), "", f"can't be read: {error.strerror}")
        return []


def _files(folder: Path, findings: Findings) -> dict[str, Node]:
    values = {}
    for name in _names(folder, findings):
        place = Place(str(folder / name))
        try:
            values[name] = Node(_content(folder / name), place)
        except Invalid as invalid:
            findings.fault(place, "", invalid.problem)
        except OSError as error:
            findings.fault(place, "", f"can't be read: {error.strerror}")
    return values


def _content(file: Path) -> str:
    with open(file, "rb", opener=_at_once) as stream:  # Path.open takes no opener
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise Invalid("is not a file")
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Invalid("is larger than 64 KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("is not UTF-8") from None  # the cause holds the content
    # Editors and `echo` leave one newline at the end; blanks may belong to the secret.
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _at_once(path: str, flags: int) -> int:
    # Otherwise a FIFO lets us wait until somebody writes to it.
    return os.open(path, flags | os.O_NONBLOCK)
