"""`supervisor install DIR`: the running frozen supervisor copied to where containers will find it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from faas_supervisor.cli._common import errors_shown
from faas_supervisor.errors import Failure

__all__ = ["command"]


@click.command("install")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def command(folder: Path) -> None:
    """Copy this frozen supervisor into DIR, which may hold another version, and may be in use.

    For init containers and jobs that fill a volume, also in images without `cp`. For services with `alpine: true`
    install into DIR/alpine as well.
    """
    from faas_supervisor.frozen import home  # noqa: PLC0415  # after --help
    from faas_supervisor.installation import install  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(Failure.TERMINATED.exit_code))  # tidily
    source = home()
    if source is None:
        raise click.UsageError("only the frozen supervisor can be installed so; this one is a Python package")
    with errors_shown():
        others = install(source, folder)
    click.echo(f"The supervisor is in {folder}.")
    for other in others:
        click.echo(f"{other} is of another version; remove it when nothing runs from it any more.")
