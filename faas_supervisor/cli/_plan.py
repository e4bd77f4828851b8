"""`supervisor run --dry-run`: everything that can be known before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faas_supervisor import script
from faas_supervisor.call import configure, find_script, stores_of
from faas_supervisor.errors import StorageError
from faas_supervisor.events import decode, describe
from faas_supervisor.planning import make_plan
from faas_supervisor.plugins import Plugins
from faas_supervisor.storage._names import safe_join, validate
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from faas_supervisor.call import Call
    from faas_supervisor.planning import Run
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
    event = decode(call.body, headers=call.headers, decoder=plugins.decode)
    plan = make_plan(event, function)
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
    safe_join(workspace.root, run.record.name)
    shown: dict[str, Any] = {
        "record": run.record.path or run.record.name,
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
    if run.source is not None:
        shown["input"] = {"provider": run.source.provider, "path": run.source.ref.path, "bytes": _size(run, stores)}
    return shown


def _size(run: Run, stores: Stores) -> int:
    assert run.source is not None  # noqa: S101  # the caller asked
    store = stores.open(run.source.provider)
    try:
        validate(run.source.ref.path, store.capabilities)
        return store.provider().stat(run.source.ref.path).size
    except StorageError as error:
        raise error.located(provider=store.name, path=run.source.ref.path, phase="stage in") from error.__cause__
