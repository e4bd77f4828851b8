"""Where the configuration is: a file that OSCAR mounts, or a variable."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faas_supervisor.config._document import LARGEST, decoded
from faas_supervisor.config._findings import Findings, Place
from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Source", "find", "places"]

_CANDIDATES: Final = (Path("/oscar/config/function_config.yaml"),)
_VARIABLE: Final = "FUNCTION_CONFIG"


@value
class Source:
    """A configuration in YAML, and its name for messages."""

    text: str | bytes = field(repr=False)
    file: str


def find(
    environment: Mapping[str, str],
    *,
    candidates: Sequence[Path] = _CANDIDATES,
    explicit: Path | None = None,
) -> Source | None:
    """Return the configuration: the explicit file, else the first candidate there is, else `$FUNCTION_CONFIG`, if set.

    Raises:
        ConfigurationError: It can't be read, is not base64, is not UTF-8, or is larger than 1 MiB.
    """
    for file in places(explicit, candidates):
        findings = Findings(str(file))
        data = _content(file, findings, required=file is explicit)
        if data is not None:
            return _source(data, str(file), findings)
    encoded = environment.get(_VARIABLE, "")
    if not encoded.strip():
        return None
    name = f"${_VARIABLE}"
    findings = Findings(name)
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        findings.fault(Place(name), "", "is not base64")
        data = b""
    return _source(data, name, findings)


def places(explicit: Path | None = None, candidates: Sequence[Path] = _CANDIDATES) -> Sequence[Path]:
    """Return the files that a configuration is looked for in."""
    return (explicit,) if explicit else candidates


def _content(file: Path, findings: Findings, *, required: bool) -> bytes | None:
    """Return what a file holds, one byte more than allowed at most; None where there is none and it need not be."""
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError as error:
        if required or not isinstance(error, FileNotFoundError):
            findings.fault(Place(str(file)), "", f"can't be read: {error.strerror}")
            findings.raise_if_any()
        return None


def _source(data: bytes, name: str, findings: Findings) -> Source:
    text = decoded(data, name, findings)
    findings.raise_if_any()
    return Source(text, name)
