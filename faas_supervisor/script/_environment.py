"""The environment that the script sees: its container's own, what the event adds, and nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from faas_supervisor.events import Event, Record

__all__ = ["script_environment"]

# Configurations (they hold credentials), the script itself, and settings and traces of the supervisor.
_OURS: Final = frozenset({"FUNCTION_CONFIG", "FDL", "SCRIPT"})
_OUR_PREFIXES: Final = ("FAAS_SUPERVISOR_", "_PYI_", "_SUP_", "_FAAS_SUPERVISOR_COMPLETE")

# Linux: MAX_ARG_STRLEN is 32 pages, name and "=" and the final NUL included.
_LONGEST: Final = 131_072


def script_environment(
    outer: Mapping[str, str],
    *,
    variables: Mapping[str, str],
    secrets: Collection[str],
    event: Event,
    record: Record,
    input_file: Path | None,
    input_folder: Path,
    output_folder: Path,
) -> dict[str, str]:
    """Return the script's environment.

    Args:
        outer: What the container gave us.
        variables: `environment.variables` of the configuration.
        secrets: Names of variables that a provider took a credential from.
        event: The event; storage events are passed on in `EVENT`.
        record: The record that this run is about.
        input_file: Where its file is, if one was downloaded.
        input_folder: `TMP_INPUT_DIR`.
        output_folder: `TMP_OUTPUT_DIR`.
    """
    kept = {
        name: value
        for name, value in outer.items()
        if name not in _OURS and name not in secrets and not name.startswith(_OUR_PREFIXES)
    }
    kept.update(variables)
    kept.update(event.variables)
    kept["TMP_INPUT_DIR"] = str(input_folder)
    kept["TMP_OUTPUT_DIR"] = str(output_folder)
    kept.pop("INPUT_FILE_PATH", None)
    if input_file is not None:
        kept["INPUT_FILE_PATH"] = str(input_file)
    if record.path is not None:
        _add(kept, "STORAGE_OBJECT_KEY", record.key or record.path)
        _add(kept, "EVENT_TIME", record.time or "")
        _add(kept, "EVENT", event.raw.decode("utf-8", "surrogateescape"))
    return kept


def _add(environment: dict[str, str], name: str, value: str) -> None:
    """Set a variable, or say why it can't be: better without it than a script that doesn't start."""
    environment.pop(name, None)
    size = len(name) + 2 + len(value.encode("utf-8", "surrogateescape"))
    if "\0" in value:
        log.warning("%s is not set for the script: its value has a NUL character", name)
    elif size > _LONGEST:
        log.warning("%s is not set for the script: %d bytes are more than the system takes (%d)", name, size, _LONGEST)
    else:
        environment[name] = value
