"""What several commands share: their options, and how an error becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from faas_supervisor.errors import ConfigurationError, SupervisorError
from faas_supervisor.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["config_option", "environment", "errors_shown", "limit_option", "read_file", "script_option"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

config_option = click.option(
    "--config",
    "-c",
    type=_FILE,
    help="The configuration. [default: /oscar/config/function_config.yaml, $FUNCTION_CONFIG]",
)
script_option = click.option(
    "--script", "-s", type=_FILE, help="The script. [default: $SCRIPT, else script.sh beside the configuration]"
)


def _limits(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return the settings that `NAME=VALUE` stand for, as `environment` takes them."""
    from faas_supervisor.config import limit_problem  # noqa: PLC0415  # after --help

    settings = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text}: write NAME=VALUE, such as memory=512Mi")
        if problem := limit_problem(name, value):
            raise click.BadParameter(problem)
        settings[f"limits_{name}"] = value
    return settings


limit_option = click.option(
    "--limit",
    multiple=True,
    callback=_limits,
    metavar="NAME=VALUE",
    help="Limit the script: time=10m, memory=512Mi and others; may be repeated.",
)


def environment(**settings: str | None) -> dict[str, str]:
    """Return our environment, with `FAAS_SUPERVISOR_<NAME>` set for every setting given as an option."""
    given = {f"FAAS_SUPERVISOR_{name.upper()}": value for name, value in settings.items() if value}
    return {**os.environ, **given}


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show one of our errors as a line for each fault and a line with the way out, and exit with its code."""
    try:
        yield
    except SupervisorError as error:
        faults = error.faults if isinstance(error, ConfigurationError) else ()
        for line in faults or (str(error),):
            click.echo(f"Error: {mask(line)}", err=True)
        sys.exit(error.failure.exit_code)


def read_file(stream: IO[bytes]) -> bytes:
    """Read an event from a file or from standard input; says so when a person would have to type it."""
    from faas_supervisor.fronts._streams import read_event  # noqa: PLC0415  # only where there is an event

    if stream.isatty():
        click.echo("Reading the event from the terminal; end it with Ctrl-D.", err=True)
        stream = getattr(stream, "raw", stream)  # a buffered one would want a second Ctrl-D
    return read_event(stream)
