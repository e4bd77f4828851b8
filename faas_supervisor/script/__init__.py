"""The user's script: finding it, its environment, running it."""

from __future__ import annotations

from faas_supervisor.script._environment import script_environment
from faas_supervisor.script._find import command, find
from faas_supervisor.script._process import Outcome, Sink, run

__all__ = ["Outcome", "Sink", "command", "find", "run", "script_environment"]
