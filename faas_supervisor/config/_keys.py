"""Every key of `function_config.yaml` that the supervisor uses, declared once.

Binding, variables, `config show` and the reference all follow from `KEYS`; defaults are those of `Function`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from faas_supervisor.config._kinds import (
    BOOLEAN,
    DURATION,
    LOG_LEVEL,
    QUANTITY,
    TEXT,
    TEXTS,
    UPPER,
    Kind,
    choice,
    count,
    upto,
)
from faas_supervisor.config._limits import LIMIT, LIMITS, THRESHOLD
from faas_supervisor.config._model import DEFAULT_ID, Input, Output, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faas_supervisor.config._document import Node
    from faas_supervisor.config._findings import Findings

__all__ = ["ENTRIES", "KEYS", "Key", "part_variable", "provider_name", "variables_of"]


class Key(NamedTuple):
    """One key.

    Attributes:
        name: What it is called in the file.
        field: The attribute of `Function` that it sets.
        kind: How its value is written.
        help: What it means, for the reference.
        variable: The environment variable that overrides it; empty if there is none.
        parts: Of a mapping: the names in it that have a variable each, called `<variable>_<NAME>`.
    """

    name: str
    field: str
    kind: Kind
    help: str
    variable: str = ""
    parts: tuple[str, ...] = ()


def part_variable(key: Key, name: str) -> str:
    """Return the variable that sets `name` in the mapping of `key`."""
    return f"{key.variable}_{name.upper()}"


def provider_name(text: str) -> str | None:
    """Return `type.id` for what a configuration calls a provider, or None for what can't be one."""
    type_, dot, id_ = text.partition(".")
    if not type_ or (dot and not id_) or "/" in text or any(char.isspace() for char in text):
        return None
    return f"{type_.lower()}.{id_ or DEFAULT_ID}"


def _provider(node: Node, path: str, findings: Findings) -> str | None:
    text = TEXT.read(node, path, findings)
    if text is None:
        return None
    name = provider_name(text)
    if name is None:
        findings.fault(node.place, path, "names no provider", "Write type.id, such as minio.default")
    else:
        findings.named.setdefault(name, (path, node.place))
    return name


def _path(node: Node, path: str, findings: Findings) -> str | None:
    text = TEXT.read(node, path, findings)
    if text is None:
        return None
    stripped: str = text.strip("/")
    if not stripped:
        findings.fault(node.place, path, "path is empty")
        return None
    return stripped


def _stream(node: Node, path: str, findings: Findings) -> str | None:
    text = TEXT.read(node, path, findings)
    if text is None:
        return None
    word = text.lower()
    if word in {"true", "yes", "on"}:
        return "stream"
    if word in {"false", "no", "off"}:
        return ""
    if text in {".", ".."} or "/" in text or not text.isprintable() or len(text.encode()) > _LONGEST_NAME:
        findings.fault(node.place, path, "names no folder", "Write the name of a folder in TMP_OUTPUT_DIR, or true")
        return None
    name: str = text
    return name


# Linux: NAME_MAX.
_LONGEST_NAME: Final = 255

_PROVIDER: Final = Kind("`type.id`", _provider)
_PATH: Final = Kind("a path", _path)
_STREAM: Final = Kind("the name of a folder, or true or false", _stream)

# The fields of an entry have the names of its keys, but for the provider.
ENTRIES: Final[dict[type[Any], dict[str, Kind]]] = {
    Input: {"storage_provider": _PROVIDER, "path": _PATH, "prefix": TEXTS, "suffix": TEXTS},
    Output: {"storage_provider": _PROVIDER, "path": _PATH, "prefix": TEXTS, "suffix": TEXTS, "required": BOOLEAN},
    Target: {"storage_provider": _PROVIDER, "path": _PATH},
}
_NEEDED: Final = ("storage_provider", "path")
_IGNORED: Final = {Input: ("prefix", "suffix")}  # OSCAR writes one kind of entry for both; they mean nothing here


def _entry(made: type[Any], node: Node, path: str, findings: Findings) -> Any:  # noqa: ANN401
    """Read one mapping that says where files are."""
    if not isinstance(node.value, dict):
        findings.fault(node.place, path, f"must be a mapping, not {node.kind}")
        return None
    kinds = ENTRIES[made]
    values = {}
    for name, value in node.value.items():
        if name not in kinds:
            findings.unknown(node.keys[name], f"{path}.{name}", name, kinds)
        elif value.is_set:
            values[name] = kinds[name].read(value, f"{path}.{name}", findings)
    for name in _NEEDED:
        if name not in values:
            given = node.value.get(name)
            if given is None:
                findings.fault(node.place, path, f"{name} is not set")
            else:
                findings.fault(given.place, f"{path}.{name}", f"{name} is empty")
    if any(values.get(name) is None for name in _NEEDED):
        return None
    fields = {name: value for name, value in values.items() if value is not None and name not in _IGNORED.get(made, ())}
    return made(provider=fields.pop("storage_provider"), **fields)


def _entries(made: type[Any]) -> Kind:
    def read(node: Node, path: str, findings: Findings) -> tuple[Any, ...] | None:
        if not isinstance(node.value, tuple):
            findings.fault(node.place, path, f"must be a list, not {node.kind}")
            return None
        found = [_entry(made, item, f"{path}[{index}]", findings) for index, item in enumerate(node.value)]
        return tuple(entry for entry in found if entry is not None)

    return Kind("a list", read, structured=True)


def _target(node: Node, path: str, findings: Findings) -> Target | None:
    target: Target | None = _entry(Target, node, path, findings)
    return target


def _is_there(node: Node, path: str, findings: Findings) -> bool:  # noqa: ARG001  # the value is not our business
    """Tell whether a section says anything: OSCAR may write the keys of one that the user left out."""
    if isinstance(node.value, dict):
        return any(value.is_set for value in node.value.values())
    return node.value == "true"  # as `config show` has it


def variables_of(environment: Node) -> dict[str, Node]:
    """Return the user's variables; SCAR writes `Variables`, OSCAR `variables`."""
    found: dict[str, Node] = {}
    if isinstance(environment.value, dict):
        for name in ("Variables", "variables"):
            section = environment.value.get(name)
            if section is not None and isinstance(section.value, dict):
                found |= section.value
    return found


def _environment(node: Node, path: str, findings: Findings) -> Mapping[str, str] | None:
    if not isinstance(node.value, dict):
        findings.fault(node.place, path, f"must be a mapping, not {node.kind}")
        return None
    for name in ("Variables", "variables"):
        section = node.value.get(name)
        if section is not None and section.is_set and not isinstance(section.value, dict):
            findings.fault(section.place, f"{path}.{name}", f"must be a mapping, not {section.kind}")
    variables: dict[str, str] = {}
    for name, value in variables_of(node).items():
        if value.value is None:
            continue
        text = TEXT.read(value, f"{path}.variables.{name}", findings)
        if not name or any(char in name for char in "=\0") or "\0" in (text or ""):
            findings.fault(value.place, f"{path}.variables.{name}", "no variable can have this name or value")
        elif text is not None:
            variables[name] = text
    return MappingProxyType(variables)


_OUR_PREFIX: Final = "FAAS_SUPERVISOR_"


def _ours(name: str, kind: Kind, help_: str, parts: tuple[str, ...] = ()) -> Key:
    """Declare a key that OSCAR doesn't know: it drops those, so a variable has to be able to bring each of them."""
    return Key(name, name, kind, help_, _OUR_PREFIX + name.upper(), parts)


KEYS: Final = (
    Key("name", "name", TEXT, "The name of the function."),
    Key("log_level", "log_level", LOG_LEVEL, "The least severe messages that are logged.", "LOG_LEVEL"),
    Key("input", "inputs", _entries(Input), "The places whose uploads trigger the function."),
    Key("output", "outputs", _entries(Output), "The places where the files of the output folder go."),
    Key(
        "environment",
        "environment",
        Kind("a mapping", _environment, structured=True),
        "The user's own variables, below `variables` (OSCAR) or `Variables` (SCAR).",
    ),
    Key("file_stage_in", "file_stage_in", BOOLEAN, "`true` skips the download: the script gets no input file."),
    Key(
        "download_input",
        "download_input",
        BOOLEAN,
        "`false` skips the download, as `file_stage_in: true` does.",
        "DOWNLOAD_INPUT",
    ),
    Key(
        "isolation_level",
        "isolation_level",
        UPPER,
        "`USER`: in MinIO outputs, the event's bucket takes the place of the configured one, "
        "when `bucket_list` names it.",
    ),
    Key(
        "mount",
        "mounts",
        Kind("a mapping", _is_there, structured=True),
        "Where it is set, a Job that succeeds makes the folder `/tmpfolder`, in which OSCAR leaves its last word.",
    ),
    Key("bucket_list", "bucket_list", TEXTS, "The private buckets of the service's users, written by OSCAR."),
    Key(
        "execution_mode",
        "execution_mode",
        TEXT,
        "Where the script runs: `lambda`, `batch` or `lambda-batch`. On AWS only.",
        "EXECUTION_MODE",
    ),
    Key(
        "extra_payload",
        "extra_payload",
        TEXT,
        "Written by SCAR, and kept as it is. On AWS only.",
        "EXTRA_PAYLOAD",
    ),
    _ours("log_format", choice("text", "json"), "`json` writes each log message as one JSON document."),
    _ours(
        "upload_on",
        choice("success", "always"),
        "`always` uploads outputs even when the script failed; functions chained to them will then run.",
    ),
    _ours(
        "records",
        choice("each", "together"),
        "`each` runs the script once for every record of an event; `together` once for all, with `INPUT_FILE_PATH` "
        "naming the folder and `INPUT_FILES` a file that lists them.",
    ),
    _ours(
        "input_check",
        choice("error", "warn"),
        "What to do about a record outside every input that is configured for its provider.",
    ),
    _ours(
        "result",
        Kind("a mapping", _target, structured=True),
        "Where an object with the result of each invocation is written, once all outputs are complete.",
    ),
    _ours(
        "combine_output",
        BOOLEAN,
        "`true`: the script's standard error is part of its answer.",
    ),
    _ours(
        "kill_grace",
        DURATION,
        "How long the script, and whoever descends from it, may take to end after SIGTERM. Then it is killed.",
    ),
    _ours(
        "log_tail",
        upto(2**20),
        "How much of the end of the script's output is kept for the result.",
    ),
    _ours(
        "logs",
        Kind("a mapping", _target, structured=True),
        "Where the script's output is written, as `<name of the input>.stdout.log` and `.stderr.log`, also when it "
        "failed.",
    ),
    _ours(
        "stream",
        _STREAM,
        "A folder below `TMP_OUTPUT_DIR` whose finished files are uploaded while the script still runs. "
        "`true` means `stream`.",
    ),
    _ours(
        "skip_existing",
        BOOLEAN,
        "`true`: an output is not uploaded if the store proves that it holds the same bytes already. "
        "Files in the `stream` folder are always treated so.",
    ),
    _ours(
        "transfer_memory",
        QUANTITY,
        "What all transfers together may hold in memory. By default it follows from the memory limit.",
    ),
    _ours(
        "warm",
        BOOLEAN,
        "`true`: the script is started once, and told of each run by a line; see [warm scripts](warm.md).",
    ),
    _ours("transfer_files", count(1, 256), "How many files are transferred at the same time."),
    _ours("transfer_deadline", DURATION, "How long a transfer is tried, all retries included."),
    _ours("limits", LIMIT, "What one run of the script may use; see [limits](#limits).", tuple(LIMITS)),
    _ours(
        "memory_guard",
        THRESHOLD,
        "How full the container's memory may get before the script is ended; reclaimable cache doesn't count.",
    ),
)
