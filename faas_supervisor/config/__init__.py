"""The configuration: `function_config.yaml`, mounted secrets and environment, as one frozen `Function`."""

from __future__ import annotations

from faas_supervisor.config._limits import Limits, Threshold, limit_problem
from faas_supervisor.config._load import check, faults_of, load
from faas_supervisor.config._model import Function, Input, Output, Provider, Target
from faas_supervisor.config._settings import SettingsLookup
from faas_supervisor.config._source import Source, find, places

__all__ = [
    "Function",
    "Input",
    "Limits",
    "Output",
    "Provider",
    "SettingsLookup",
    "Source",
    "Target",
    "Threshold",
    "check",
    "faults_of",
    "find",
    "limit_problem",
    "load",
    "places",
    "show",
]


def show(function: Function) -> str:
    """Return the configuration as it is used: YAML, with the origin of each value, and secrets as `***`."""
    from faas_supervisor.config._show import text_of  # noqa: PLC0415  # only one command needs it, no invocation

    return text_of(function)
