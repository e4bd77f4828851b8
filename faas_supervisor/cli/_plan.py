"""`supervisor run --dry-run`: everything that can be known before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faas_supervisor import script
from faas_supervisor.body import decoded
from faas_supervisor.call import configure, find_script, stores_of
from faas_supervisor.errors import StorageError
from faas_supervisor.events import describe
from faas_supervisor.planning import make_plan
from faas_supervisor.plugins import Plugins
from faas_supervisor.storage._names import safe_join, validate
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from faas_supervisor.call import Call
    from faas_supervisor.planning import Item, Run
    from faas_supervisor.storage._store import Stores

__all__ = ["dry_run"]


def dry_run(call: Call) -> dict[str, Any]:
    """Return what `call` would do: the event, the script, and the runs with their sources and outputs.

    The stores are asked whether the inputs are there; nothing is changed.

    Raises:
        SupervisorError: What would fail the invocation before its script runs.
    """
    plugins = Plugins(call.environment)
    function = configure(call, plugins)
    event = decoded(call.body, call.headers, plugins.decode)
    plan = make_plan(event, function, plugins.spec)
    with Workspace(call.environment) as workspace, stores_of(function, plugins) as stores:
        for name in plan.providers:
            stores.require(name)
        found = find_script(call, function, workspace.root)
        return {
            "function": function.name,
            "event": describe(event),
            "script": "$SCRIPT" if found.is_relative_to(workspace.root) else str(found),
            "command": script.command(found)[:-1],
            "runs": [_shown(run, stores, workspace) for run in plan.runs],
        }


def _shown(run: Run, stores: Stores, workspace: Workspace) -> dict[str, Any]:
    return {
        "records": [_input(item, stores, workspace) for item in run.items],
        "outputs": [
            {
                "provider": output.provider,
                "path": output.path,
                "prefix": list(output.prefix),
                "suffix": list(output.suffix),
            }
            for output in run.outputs
        ],
    }


def _input(item: Item, stores: Stores, workspace: Workspace) -> dict[str, Any]:
    safe_join(workspace.root, item.name)
    shown: dict[str, Any] = {"file": item.name, "provider": None, "path": item.record.path, "bytes": item.record.size}
    if item.source is None:
        return shown
    store = stores.open(item.source.provider)
    path = item.source.ref.path
    try:
        validate(path, store.capabilities)
        with store.borrow() as provider:
            size = provider.stat(path).size
    except StorageError as error:
        raise error.located(provider=store.name, path=path, phase="stage in") from error.__cause__
    return {**shown, "provider": store.name, "bytes": size}
