"""The user's script: finding it, its environment, running it."""

from __future__ import annotations

from faas_supervisor.script._environment import base_environment, script_environment, unsettable
from faas_supervisor.script._family import forward
from faas_supervisor.script._find import command, find
from faas_supervisor.script._limits import run_limited, warm_setup
from faas_supervisor.script._output import Sink
from faas_supervisor.script._process import Outcome, Run, Watch, run
from faas_supervisor.script._start import Setup

__all__ = [
    "Outcome",
    "Run",
    "Setup",
    "Sink",
    "Watch",
    "base_environment",
    "command",
    "find",
    "forward",
    "run",
    "run_limited",
    "script_environment",
    "unsettable",
    "warm_setup",
]
