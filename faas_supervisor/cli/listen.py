"""`supervisor listen`: the function runs on every upload, straight from the store's own notifications."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import click

from faas_supervisor.cli._common import config_option, environment, errors_shown, script_option

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]


@click.command("listen")
@click.argument("provider")
@click.argument("path")
@config_option
@script_option
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How the log is written.")
def command(provider: str, path: str, config: Path | None, script: Path | None, log_format: str | None) -> None:
    """Run the function on every upload below PATH (bucket/folder) of PROVIDER (such as minio.default).

    One event after the other, until SIGINT or SIGTERM, which end it with exit code 0.
    """
    from faas_supervisor.call import Call  # noqa: PLC0415  # after --help
    from faas_supervisor.fronts._streams import Descriptor  # noqa: PLC0415
    from faas_supervisor.fronts.listen import listen  # noqa: PLC0415
    from faas_supervisor.stop import Stop  # noqa: PLC0415

    stop = Stop()
    call = Call(
        b"",
        environment(log_format=log_format),
        stdout=Descriptor(1, stop),
        stderr=Descriptor(2, stop),
        config=config,
        script=script,
        stop=stop,
    )
    with errors_shown():
        logging.captureWarnings(capture=True)
        sys.exit(listen(call, provider, path))
