"""Which script runs, and by which interpreter."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import ConfigurationError, Failure, ScriptError
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["command", "find"]

_OSCAR: Final = Path("/oscar/config/script.sh")
_SHELL: Final = "/bin/sh"

# The kernel reads 256 bytes of a script to find its interpreter (BINPRM_BUF_SIZE, linux/binfmts.h).
_SHEBANG_BYTES: Final = 256


def find(environment: Mapping[str, str], *, explicit: Path | None, beside: Path | None, folder: Path) -> Path:
    """Return the script's file: `explicit`, else `$SCRIPT` (base64, written into `folder`), else `script.sh`.

    Args:
        environment: Holds `SCRIPT`, if any.
        explicit: Given on the command line.
        beside: The configuration file, which the script lies next to.
        folder: A private folder.

    Raises:
        ConfigurationError: There is none, or it can't be read.
    """
    if explicit is None and environment.get("SCRIPT"):
        return _decoded(environment["SCRIPT"], folder / "script.sh")
    candidates = [explicit] if explicit else [path for path in (_beside(beside), _OSCAR) if path]
    for path in candidates:
        if os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises where a folder can't be entered
            if not os.access(path, os.R_OK):
                raise ConfigurationError(f"the script {path} can't be read", hint="see its permissions")
            return path
    places = " nor ".join(str(path) for path in candidates)
    raise ConfigurationError(
        f"there is no script: neither $SCRIPT nor {places}", hint="mount it, or name it by --script"
    )


def command(script: Path) -> list[str]:
    """Return the argument vector that runs `script`, which need not be executable.

    A shebang whose interpreter exists is honoured as the kernel would; a program runs as it is;
    anything else is for `/bin/sh`.

    Raises:
        ScriptError: There is no interpreter for it.
    """
    with script.open("rb") as stream:
        head = stream.read(_SHEBANG_BYTES)
    if head.startswith(b"\x7fELF"):
        if not os.access(script, os.X_OK):
            raise ScriptError(
                f"{script} is a program, but not executable", failure=Failure.NOT_EXECUTABLE, hint="chmod +x"
            )
        return [str(script)]
    first, _, _ = head.partition(b"\n")
    if first.endswith(b"\r"):
        log.warning("%s has Windows line ends; its interpreter will see them", script)
    interpreter = _interpreter(first)
    if interpreter and not os.access(interpreter[0], os.X_OK):
        log.warning("the interpreter %s of %s is not in this image; %s runs it", interpreter[0], script, _SHELL)
        interpreter = []
    if interpreter:
        return [*interpreter, str(script)]
    if not os.access(_SHELL, os.X_OK):
        raise ScriptError(
            f"{script} needs {_SHELL}, which is not in this image",
            failure=Failure.INTERPRETER_MISSING,
            hint="begin the script with #! and an interpreter of the image, or use an image with a shell",
        )
    return [_SHELL, str(script)]


def _interpreter(first_line: bytes) -> list[str]:
    """Split a shebang as Linux does: the interpreter, and everything after it as one argument."""
    if not first_line.startswith(b"#!"):
        return []
    line, _, _ = first_line[2:].partition(b"\0")  # where the kernel stops
    return [os.fsdecode(part) for part in line.strip().split(None, 1)]


def _beside(configuration: Path | None) -> Path | None:
    return configuration.parent / "script.sh" if configuration else None


def _decoded(text: str, destination: Path) -> Path:
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"$SCRIPT is not base64: {error}", hint="encode the script with base64") from error
    with open(os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "wb") as stream:  # noqa: PTH123  # mode
        stream.write(content)
    return destination
