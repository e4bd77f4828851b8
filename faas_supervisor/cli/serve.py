"""`supervisor serve`: the watchdog front by hand."""

from __future__ import annotations

import sys

import click

from faas_supervisor.cli._common import environment

__all__ = ["command"]


@click.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen. [default: $port, $PORT, 8080]")
@click.option("--host", help="The address to listen on. [default: all]")
@click.option("--process", help="A program to run for each request, as `fprocess` names it. [default: $fprocess]")
def command(port: int | None, host: str | None, process: str | None) -> None:
    """Answer HTTP requests with the function, in the place of OpenFaaS's classic watchdog.

    Configuration and script come from where a container has them; docs/serving.md lists the variables. SIGTERM
    and SIGINT end it with exit code 0, a second one at once.
    """
    from faas_supervisor.fronts.watchdog import serve  # noqa: PLC0415  # after --help

    given = {"port": None if port is None else str(port), "fprocess": process}
    sys.exit(serve({**environment(host=host), **{name: text for name, text in given.items() if text is not None}}))
