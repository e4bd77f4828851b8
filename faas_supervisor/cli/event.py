"""`supervisor event`: what an event means, and samples of each kind."""

from __future__ import annotations

import json
import os
from typing import IO

import click

from faas_supervisor.cli._common import errors_shown, read_file
from faas_supervisor.events import SAMPLES, decode, describe, sample

__all__ = ["command"]


@click.group("event")
def command() -> None:
    """Look at events."""


@command.command("decode")
@click.argument("file", type=click.File("rb"), default="-")
def decode_command(file: IO[bytes]) -> None:
    """Print as JSON what the event in FILE (default: standard input) means."""
    from faas_supervisor.plugins import Plugins  # noqa: PLC0415  # `sample` needs none

    with errors_shown():
        event = decode(read_file(file), decoder=Plugins(os.environ).decode)
        click.echo(json.dumps(describe(event), indent=2, ensure_ascii=False))


@command.command("sample")
@click.argument("type", type=click.Choice(sorted(SAMPLES)))
def sample_command(type: str) -> None:  # noqa: A002  # click names it after the argument
    """Print a real-looking event of TYPE, to start from."""
    click.echo(sample(type))
