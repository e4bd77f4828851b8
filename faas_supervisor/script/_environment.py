"""The environment that the script sees: its container's own, what the event adds, and nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import EventError, printable
from faas_supervisor.frozen import saved_environment
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from faas_supervisor.events import Event
    from faas_supervisor.planning import Run
    from faas_supervisor.workspace import Folders

__all__ = ["base_environment", "script_environment", "unsettable"]

# Configurations (they hold credentials), the script itself, and settings and traces of the supervisor.
_OURS: Final = frozenset({"FUNCTION_CONFIG", "FDL", "SCRIPT"})
_OUR_PREFIX: Final = "FAAS_SUPERVISOR_"

# Linux: MAX_ARG_STRLEN is 32 pages, name and "=" and the final NUL included.
_LONGEST: Final = 131_072


def script_environment(
    outer: Mapping[str, str],
    *,
    variables: Mapping[str, str],
    secrets: Collection[str],
    event: Event,
    run: Run,
    files: Sequence[Path],
    folders: Folders,
) -> dict[str, str]:
    """Return the script's environment.

    Args:
        outer: What the container gave us.
        variables: `environment.variables` of the configuration.
        secrets: Names of variables that a provider took a credential from.
        event: The event; storage events are passed on in `EVENT`.
        run: The record, or records, that the script is to work on.
        files: Where their files are.
        folders: `TMP_INPUT_DIR`, `TMP_OUTPUT_DIR`, and where the list of files is written.

    Raises:
        EventError: A file's name would break the list.
    """
    kept = base_environment(outer, variables=variables, secrets=secrets)
    for added in (event.variables, *(item.record.variables for item in run.items)):
        for name, value in added.items():
            _add(kept, name, value)
    kept["TMP_INPUT_DIR"] = str(folders.input)
    kept["TMP_OUTPUT_DIR"] = str(folders.output)
    kept["RESPONSE_META"] = str(folders.response)
    if run.together:
        kept["INPUT_FILE_PATH"] = str(folders.input)
        kept["INPUT_FILES"] = str(_listed(files, folders.private / "input-files"))
    elif files:
        kept["INPUT_FILE_PATH"] = str(files[0])
    stored = [item.record for item in run.items if item.record.path is not None]
    if stored:
        _add(kept, "EVENT", event.raw.decode("utf-8", "surrogateescape"))
    if len(stored) == 1:
        _add(kept, "STORAGE_OBJECT_KEY", stored[0].key or stored[0].path or "")
        _add(kept, "EVENT_TIME", stored[0].time or "")
    return kept


def base_environment(
    outer: Mapping[str, str], *, variables: Mapping[str, str], secrets: Collection[str]
) -> dict[str, str]:
    """Return what is the same for all runs of a script; see `script_environment` for the parameters."""
    kept = {
        name: value
        for name, value in saved_environment(outer).items()
        if name not in _OURS and name not in secrets and not name.startswith(_OUR_PREFIX)
    }
    for name, value in variables.items():
        _add(kept, name, value)
    kept.pop("INPUT_FILE_PATH", None)
    return kept


def _listed(files: Sequence[Path], destination: Path) -> Path:
    """Write the paths of `files`, one on each line."""
    broken = next((file for file in files if "\n" in str(file)), None)
    if broken is not None:
        raise EventError(
            f"{printable(broken.name)} can't be listed in INPUT_FILES: its name has a line break",
            hint="use records: each, or another name",
        )
    destination.write_text("".join(f"{file}\n" for file in files), encoding="utf-8", errors="surrogateescape")
    return destination


def _add(environment: dict[str, str], name: str, value: str) -> None:
    """Set a variable, or say why it can't be: better without it than a script that doesn't start."""
    environment.pop(name, None)
    if problem := unsettable(name, value):
        log.warning("%s is not set for the script: %s", printable(name), problem)
    else:
        environment[name] = value


def unsettable(name: str, value: str) -> str:
    """Return why no program can be given this variable; empty when it can."""
    if not name or "=" in name:
        return "no variable can be called so"
    if "\0" in name + value:
        return "it has a NUL character"
    try:
        size = len(f"{name}={value}\0".encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return "it has a surrogate, which is no character"
    return f"{size} bytes are more than the system takes ({_LONGEST})" if size > _LONGEST else ""
