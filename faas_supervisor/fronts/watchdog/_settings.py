"""The variables of OpenFaaS's classic watchdog, read as it reads them, and a few of ours.

Each variable is declared once, in `VARIABLES`; `docs/serving.md` is tested against it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from faas_supervisor.fronts._numbers import integer, seconds
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["VARIABLES", "Settings", "Variable", "read_settings"]

_GIB: Final = 1024**3

# The executables that OSCAR and SCAR deliver: all of them are this program.
_SUPERVISORS: Final = frozenset(
    {"supervisor", "supervisor-alpine", "supervisor-arm64", "supervisor-alpine-arm64", "fwatchdog"}
)


@value
class Settings:
    """How the watchdog serves; times in seconds, sizes in bytes, 0 for no limit.

    Attributes:
        process: The words of `fprocess`; empty when it names a supervisor, and invocations run in this process.
    """

    process: tuple[str, ...] = ()
    host: str = ""
    port: int = 8080
    metrics_port: int = 8081
    read_timeout: float = 5.0
    write_timeout: float = 5.0
    exec_timeout: float = 0.0
    healthcheck_interval: float = 5.0
    max_inflight: int = 0
    max_body_size: int = 16 * _GIB
    write_debug: bool = False
    debug_headers: bool = False
    marshal_request: bool = False
    suppress_lock: bool = False
    cgi_headers: bool = True
    combine_output: bool = True
    content_type: str = ""


class Variable(NamedTuple):
    """One environment variable.

    Attributes:
        name: What it is called.
        field: The attribute of `Settings` that it sets.
        read: Makes the value of a text that is not empty; None for one that won't do, and the default is used.
        default: The default, as the documentation writes it.
    """

    name: str
    field: str
    read: Callable[[str], Any]
    default: str


def _true(text: str) -> bool:
    return text == "true"


def _header(text: str) -> str:
    """Read what becomes a header: as Go does, without the white space around it, and on one line."""
    return " ".join(text.split())


def _size(text: str) -> int | None:
    """Read a size in bytes, or with one of the suffixes of Kubernetes' quantities that OSCAR's users write."""
    found = re.fullmatch(r"([0-9]{1,15})(Ki|Mi|Gi|Ti|k|M|G|T)?", text)
    if found is None:
        return None
    base = 1024 if found[2] and found[2].endswith("i") else 1000
    amount: int = int(found[1]) * base ** ("kMGT".index(found[2][0].replace("K", "k")) + 1 if found[2] else 0)
    return amount


def _process(text: str) -> tuple[str, ...]:
    """Split on single spaces, as the classic watchdog does; nothing is quoted."""
    words = tuple(text.split(" "))
    return () if len(words) == 1 and Path(text).name in _SUPERVISORS else words


_DEFAULTS: Final = Settings()

VARIABLES: Final = (
    Variable("fprocess", "process", _process, "this supervisor"),
    Variable("port", "port", integer, "`PORT`, else 8080"),
    Variable("read_timeout", "read_timeout", seconds, "5 s"),
    Variable("write_timeout", "write_timeout", seconds, "5 s"),
    Variable("exec_timeout", "exec_timeout", seconds, "0: none"),
    Variable("healthcheck_interval", "healthcheck_interval", seconds, "`write_timeout`"),
    Variable("max_inflight", "max_inflight", integer, "0: no limit"),
    Variable("write_debug", "write_debug", _true, "false"),
    Variable("debug_headers", "debug_headers", _true, "false"),
    Variable("marshal_request", "marshal_request", _true, "false"),
    Variable("suppress_lock", "suppress_lock", _true, "false"),
    Variable("cgi_headers", "cgi_headers", _true, "true"),
    Variable("combine_output", "combine_output", _true, "true"),
    Variable("content_type", "content_type", _header, "none"),
    Variable("FAAS_SUPERVISOR_HOST", "host", str, "all addresses"),
    Variable("FAAS_SUPERVISOR_METRICS_PORT", "metrics_port", integer, "8081"),
    Variable("FAAS_SUPERVISOR_MAX_BODY_SIZE", "max_body_size", _size, "16Gi"),
)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return what `environment` says; a value that can't be read counts as none, as in the classic watchdog."""
    found: dict[str, Any] = {}
    for variable in VARIABLES:
        text = environment.get(variable.name, "")
        read = variable.read(text) if text else None
        if read is not None:
            found[variable.field] = read
    if not environment.get("port"):
        # Knative's word for it (its container runtime contract); the classic watchdog doesn't know it.
        port = integer(environment.get("PORT", ""))
        found |= {} if port is None else {"port": port}
    found.setdefault("healthcheck_interval", found.get("write_timeout", _DEFAULTS.write_timeout))
    return Settings(**found)
