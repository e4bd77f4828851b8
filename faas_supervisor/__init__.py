"""Runs a user's script on every uploaded file, inside the user's own container image.

Public for plugin authors: `hookimpl` here, `faas_supervisor.storage`, `faas_supervisor.errors`,
`faas_supervisor.trust`, `Event` and `Record` of `faas_supervisor.events`, and `faas_supervisor.testing`.
Everything else may change without notice.
"""

from __future__ import annotations

from typing import Final

from faas_supervisor._hookimpl import hookimpl

__all__ = ["__version__", "hookimpl"]

__version__: Final = "2.0.0a1"
