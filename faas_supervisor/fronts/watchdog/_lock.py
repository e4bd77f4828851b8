"""The lock file: it is there while the watchdog takes requests, and `-run-healthcheck` looks for it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from faas_supervisor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LockFile"]


class LockFile:
    """`.lock` in `$TMPDIR`, or in `/tmp`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.path = Path(environment.get("TMPDIR") or "/tmp") / ".lock"  # noqa: S108  # where Kubernetes' probe looks

    def write(self) -> None:
        """Make it, for the owner and the group.

        Raises:
            ConfigurationError: It can't be made.
        """
        try:
            # Anybody may have put a link of this name there.
            number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o660)
        except OSError as error:
            raise ConfigurationError(
                f"the lock file {self.path} can't be written: {error.strerror}",
                hint="set TMPDIR to a folder that can be written to, or suppress_lock=true",
            ) from error
        with contextlib.suppress(OSError):  # that of another user stays as it is
            os.fchmod(number, 0o660)
        os.close(number)

    def remove(self) -> None:
        """Remove it, if it is there."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def exists(self) -> bool:
        """Whether it is there."""
        return os.path.lexists(self.path)
