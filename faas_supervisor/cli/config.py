"""`supervisor config`: all faults at once, and the configuration as it is used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from faas_supervisor import config
from faas_supervisor.call import find_source, secrets_folder
from faas_supervisor.cli._common import errors_shown
from faas_supervisor.errors import Failure
from faas_supervisor.plugins import Plugins
from faas_supervisor.secrets import mask

__all__ = ["command"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("config")
def command() -> None:
    """Look at the configuration."""


@command.command("check")
@click.argument("file", type=_FILE, required=False)
def check_command(file: Path | None) -> None:
    """Print every fault of the configuration FILE as `file:line:column: key: problem. hint`."""
    with errors_shown():
        source = find_source(os.environ, file)
        faults = config.check(
            source,
            environment=os.environ,
            settings=Plugins(os.environ).settings,
            secrets_dir=secrets_folder(os.environ),
        )
    for fault in faults:
        click.echo(mask(fault), err=True)
    if faults:
        sys.exit(Failure.CONFIGURATION.exit_code)
    click.echo(f"{source.file}: no faults")


@command.command("show")
@click.argument("file", type=_FILE, required=False)
def show_command(file: Path | None) -> None:
    """Print the configuration as it is used, with defaults, overrides and mounted credentials; secrets masked."""
    with errors_shown():
        source = find_source(os.environ, file)
        function = config.load(
            source,
            environment=os.environ,
            settings=Plugins(os.environ).settings,
            secrets_dir=secrets_folder(os.environ),
        )
    click.echo(config.show(function), nl=False)
