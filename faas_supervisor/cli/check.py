"""`supervisor check`: everything but the event, tried out before the first one comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from faas_supervisor.cli._common import config_option, environment, script_option
from faas_supervisor.secrets import mask

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]


@click.command("check")
@config_option
@script_option
@click.option("--read-only", is_flag=True, help="Don't try out writing to the output folders.")
def command(config: Path | None, script: Path | None, read_only: bool) -> None:  # noqa: FBT001  # click calls by name
    """Check configuration, script, plugins, credentials, stores and disk; exit with the first failure's code.

    Into each output folder a small object is written, read and removed; `--read-only` leaves that out, for
    folders whose uploads trigger another function.
    """
    from faas_supervisor.call import Call  # noqa: PLC0415  # after --help
    from faas_supervisor.checks import check  # noqa: PLC0415
    from faas_supervisor.fronts._streams import Descriptor  # noqa: PLC0415

    call = Call(
        b"",
        environment(),
        stdout=Descriptor(1),
        stderr=Descriptor(2),
        config=config,
        script=script,
    )
    code = 0
    for finding in check(call, write=not read_only):
        click.echo(mask(f"{finding.level:5} {finding.text}"))
        code = code or finding.exit_code
    sys.exit(code)
