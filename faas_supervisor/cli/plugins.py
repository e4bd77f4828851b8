"""`supervisor plugins`: what is installed, and what it offers."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from faas_supervisor.cli._common import errors_shown
from faas_supervisor.errors import PluginError
from faas_supervisor.plugins import Found, Plugins
from faas_supervisor.values import declared

__all__ = ["command"]


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:  # noqa: FBT001  # click calls by name
    """List the installed plugins: where they come from, whether they work, and their settings."""
    plugins = Plugins(os.environ)
    with errors_shown():
        shown = [_shown(entry, plugins) for entry in sorted(plugins.found.values(), key=lambda entry: entry.name)]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for plugin in shown:
        click.echo(f"{plugin['name']:10} {plugin['distribution']} {plugin['version']}: {plugin['status']}")
        click.echo(f"    {'from':22} {plugin['from']}")
        for setting in plugin["settings"]:
            click.echo(f"    {setting['name']:22} {setting['help']}")


def _shown(entry: Found, plugins: Plugins) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "from": entry.folder or "built in",
        "status": "ok",
        "api_version": None,
        "settings": [],
    }
    if not plugins.allowed(entry.name):
        return {**shown, "status": "disabled"}
    try:
        plugins.load(entry.name)
    except PluginError as error:
        return {**shown, "status": str(error)}
    spec = plugins.specs.get(entry.name)
    if spec is not None:
        shown["api_version"] = spec.api_version
        shown["settings"] = [
            {"name": name, "help": field.metadata.get("help", ""), "env": field.metadata.get("env", "")}
            for name, field in declared(spec.settings).items()
        ]
    return shown
