"""The commands, thin: each reads its options, calls what does the work, and shows what came of it."""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

from faas_supervisor import __version__

__all__ = ["supervisor"]

# Each command is imported when it is used: `supervisor run` needs none of the others.
_COMMANDS: Final = {
    "run": "run",
    "event": "event",
    "config": "config",
    "check": "check",
    "plugins": "plugins",
    "listen": "listen",
    "install": "install",
    "serve": "serve",
    "completion": "completion",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"faas_supervisor.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # noqa: ANN401  # click's signature
        if args and args[0] not in _COMMANDS:
            from difflib import get_close_matches  # noqa: PLC0415  # only for a slip of the pen

            close = get_close_matches(args[0], _COMMANDS, n=1)
            maybe = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{maybe}", ctx)
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's signature
    if not wanted or ctx.resilient_parsing:
        return
    import os  # noqa: PLC0415  # as all of this

    from faas_supervisor.plugins import Plugins  # noqa: PLC0415

    click.echo(f"faas-supervisor {__version__}")
    for found in Plugins(os.environ).found.values():
        click.echo(f"{found.name}: {found.distribution} {found.version}")
    ctx.exit()


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "FAAS_SUPERVISOR"},
    epilog="Without arguments it handles one event from standard input, as in a container.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show versions and exit."
)
def supervisor() -> None:
    """Run a script on the files that events tell of.

    Start with `supervisor event sample minio | supervisor run --config FILE --storage DIR`.
    """
