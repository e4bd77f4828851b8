"""Programs that tests need: one that is missing skips them on a developer's machine, and fails them in CI."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["need", "need_folder", "need_root"]


def need(*programs: str) -> None:
    """Go on only where every one of `programs` is installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        _refuse(f"not installed: {', '.join(missing)} (the packages are listed in .ci/run)")


def need_root() -> None:
    """Go on only as root, who alone may make containers with limits."""
    if os.geteuid() != 0:
        _refuse("only root may make containers with limits")


def need_folder(folder: Path, what: str) -> None:
    """Go on only where `folder` is there."""
    if not folder.is_dir():
        _refuse(f"there is no {what}")


def _refuse(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
