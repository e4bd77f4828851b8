"""Remote names are hostile: the one place where they become local names, and where paths are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError, InvalidPath, printable

if TYPE_CHECKING:
    from pathlib import Path

    from faas_supervisor.storage._provider import Capabilities

__all__ = ["join", "safe_join", "validate"]

# Linux file systems: NAME_MAX is 255 bytes, PATH_MAX 4,096 with the final NUL.
_NAME_MAX: Final = 255
_PATH_MAX: Final = 4095

# Amazon S3: "The name for a key is a sequence of Unicode characters whose UTF-8 encoding is up to 1,024 bytes long."
_KEY_MAX: Final = 1024


def safe_join(root: Path, name: str) -> Path:
    """Return the path of `name` below `root`: always strictly inside it, a different one for each name.

    `name` may have folders. It is taken as it is or refused, never changed: two remote names can't
    become one local file.

    Raises:
        EventError: No file below `root` can be called so.
    """
    problem = _problem(name)
    if not problem and any(len(segment.encode()) > _NAME_MAX for segment in name.split("/")):
        problem = f"a part of it has more than {_NAME_MAX} bytes"
    if not problem and len(f"{root}/{name}".encode(errors="surrogateescape")) > _PATH_MAX:
        problem = f"the local path would have more than {_PATH_MAX} bytes"
    if problem:
        raise EventError(
            f"no local file can be called {printable(_shortened(name))!r}: {problem}",
            hint="upload the object under another name",
        )
    return root / name


def validate(path: str, capabilities: Capabilities) -> None:
    """Judge a remote `path` before a provider sees it.

    Object stores take any key that is UTF-8, not empty and at most 1,024 bytes, below a bucket; the others
    take relative paths without empty, `.` and `..` segments.

    Raises:
        InvalidPath: No provider with these `capabilities` can hold an object of this name.
    """
    problem = _opaque_problem(path) if capabilities.opaque_keys else _problem(path)
    if problem:
        raise InvalidPath(problem, path=_shortened(path), hint="use another name")


def join(folder: str, name: str) -> str:
    """Return the remote path of `name` in `folder`, which may be empty."""
    return f"{folder}/{name}" if folder else name


def _opaque_problem(path: str) -> str:
    bucket, _, key = path.partition("/")
    if bucket in {"", ".", ".."} or "\0" in bucket:
        return "the first part is not the name of a bucket"
    if not key:
        return "there is no key after the bucket"
    if not _is_utf8(path):
        return "it is not valid UTF-8"
    if "\0" in key:
        return "it contains a NUL character"
    if len(key.encode()) > _KEY_MAX:
        return f"the key has more than {_KEY_MAX} bytes"
    return ""


def _problem(path: str) -> str:
    if not path:
        return "it is empty"
    if "\0" in path:
        return "it contains a NUL character"
    if not _is_utf8(path):
        return "it is not valid UTF-8"
    for segment in path.split("/"):
        if segment == "":
            return "it has an empty part"
        if segment in {".", ".."}:
            return f"it has the part {segment!r}"
    return ""


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:150]}…{text[-40:]}"  # noqa: PLR2004  # for a person's eyes
