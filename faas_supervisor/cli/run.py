"""`supervisor run`: one invocation, by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from faas_supervisor.cli._common import config_option, environment, errors_shown, limit_option, read_file, script_option

if TYPE_CHECKING:
    from faas_supervisor.call import Call

__all__ = ["command"]


@click.command("run")
@click.option(
    "--event", "-e", type=click.File("rb"), default="-", help="The event; - is standard input.", metavar="FILE"
)
@config_option
@script_option
@click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    help="Use folders below DIR instead of the stores: minio.default is DIR/minio.default.",
    metavar="DIR",
)
@limit_option
@click.option("--dry-run", is_flag=True, help="Decode, plan and check; change nothing; print the plan.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How the log is written.")
def command(  # noqa: PLR0917  # one for each option
    event: IO[bytes],
    config: Path | None,
    script: Path | None,
    storage: Path | None,
    limit: dict[str, str],
    dry_run: bool,  # noqa: FBT001  # click calls by name
    log_format: str | None,
) -> None:
    """Handle one event: download its files, run the script, upload what it wrote.

    The answer goes to standard output, the log to standard error; the exit code is the script's, or tells
    what failed (see the documentation of exit codes).
    """
    from faas_supervisor.call import Call  # noqa: PLC0415  # after --help
    from faas_supervisor.fronts._streams import Descriptor  # noqa: PLC0415
    from faas_supervisor.stop import Stop  # noqa: PLC0415

    stop = Stop()
    with errors_shown():
        call = Call(
            read_file(event),
            environment(log_format=log_format, **limit),
            stdout=Descriptor(1, stop),
            stderr=Descriptor(2, stop),
            config=config,
            script=script,
            storage=storage,
            stop=stop,
        )
        sys.exit(_dry(call) if dry_run else _run(call))


def _run(call: Call) -> int:
    from faas_supervisor.cli._progress import progress_line  # noqa: PLC0415
    from faas_supervisor.fronts.job import handle  # noqa: PLC0415
    from faas_supervisor.values import replace  # noqa: PLC0415  # as above

    if call.storage is not None:
        _make(call.storage)
    with progress_line() as watch:
        return handle(replace(call, watch=watch))


def _make(folder: Path) -> None:
    from faas_supervisor.errors import ConfigurationError  # noqa: PLC0415  # as above

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be made: {error.strerror}", hint="see --storage") from error


def _dry(call: Call) -> int:
    import json  # noqa: PLC0415

    from faas_supervisor.cli._plan import dry_run  # noqa: PLC0415

    click.echo(json.dumps(dry_run(call), indent=2, ensure_ascii=False))
    return 0
