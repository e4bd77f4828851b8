"""What is special about the frozen supervisor: where it lies, and what its launcher did to the environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["home", "saved_environment"]

# The contract with packaging/launcher.c, and what PyInstaller's own part tells its children.
_SAVED: Final = "_SUP_SAVED_"
_OURS: Final = ("_SUP_", "_PYI_", "_MEIPASS2")


def home() -> Path | None:
    """Return the folder that holds the program `supervisor`, or None when this is an ordinary Python."""
    inside: str | None = getattr(sys, "_MEIPASS", None)  # as PyInstaller documents it
    return None if inside is None else Path(inside).parent


def saved_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` as the image has it: with its own loader variables, and without any of the launcher's.

    The launcher takes `LD_LIBRARY_PATH`, `LD_PRELOAD` and their like away from us, since they are meant for the
    image's C library, and hands them over as `_SUP_SAVED_LD_LIBRARY_PATH`.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(_OURS)}
    for name, value in environment.items():
        if name.startswith(_SAVED):
            kept[name.removeprefix(_SAVED)] = value
    return kept
