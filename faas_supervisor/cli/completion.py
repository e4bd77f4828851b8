"""`supervisor completion`: what a shell needs to complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL: `eval "$(supervisor completion bash)"`."""
    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101  # the choices are those that click has
    click.echo(completion(ctx.find_root().command, {}, "supervisor", "_SUPERVISOR_COMPLETE").source())
