"""What `supervisor check` looks at, one finding for each thing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

from faas_supervisor import config, script
from faas_supervisor.call import configure, find_script, find_source, secrets_folder, stores_of, transfer_of
from faas_supervisor.errors import Failure, PluginError, StorageError, SupervisorError
from faas_supervisor.plugins import Plugins
from faas_supervisor.storage import ObjectRef
from faas_supervisor.storage._names import join
from faas_supervisor.values import value
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor.call import Call
    from faas_supervisor.config import Function, Output
    from faas_supervisor.storage._store import Stores
    from faas_supervisor.storage._transfer import Transfer

__all__ = ["Finding", "check"]

_GIB: Final = 1024**3
_LITTLE: Final = 1 * _GIB


@value
class Finding:
    """One thing that was looked at: fine, worth a thought, or a failure with its exit code."""

    level: Literal["ok", "warn", "FAIL"]
    text: str
    exit_code: int = 0


def check(call: Call, *, write: bool) -> Iterator[Finding]:
    """Yield a finding for each thing that an invocation needs; `write` tries the output folders out."""
    plugins = Plugins(call.environment)
    faults: tuple[str, ...] = ()
    try:
        faults = config.check(
            find_source(call.environment, call.config),
            environment=call.environment,
            settings=plugins.settings,
            secrets_dir=secrets_folder(call.environment),
        )
        for fault in faults:
            yield Finding("FAIL", fault, Failure.CONFIGURATION.exit_code)
        function = configure(call, plugins)
    except SupervisorError as error:
        if not faults:
            yield _failure(error)
        return
    if not faults:
        yield Finding("ok", f"configuration {function.file}")
    yield from _plugins(plugins)
    yield from _loops(function)
    yield from _limits(function)
    with Workspace(call.environment) as workspace, stores_of(function, plugins) as stores:
        yield _space(workspace)
        yield _script(call, function, workspace)
        for name in function.providers:
            yield from _provider(name, function, stores, plugins)
        if write:
            for output in function.outputs:
                yield _round_trip(output, workspace, stores, transfer_of(function, call))


def _failure(error: SupervisorError) -> Finding:
    return Finding("FAIL", str(error), error.failure.exit_code)


def _plugins(plugins: Plugins) -> Iterator[Finding]:
    for name, found in plugins.found.items():
        if plugins.allowed(name):
            try:
                plugins.load(name)
            except PluginError as error:
                # An error only for a function that needs it, and then its provider says so.
                yield Finding("warn", str(error))
            else:
                yield Finding("ok", f"plugin {name} ({found.distribution} {found.version})")


def _loops(function: Function) -> Iterator[Finding]:
    for output in function.outputs:
        for source in function.inputs:
            if source.provider == output.provider and f"{output.path}/".startswith(f"{source.path}/"):
                yield Finding(
                    "warn",
                    f"the output {output.provider} {output.path} lies in the input {source.path}: "
                    "every result triggers the function again",
                )


def _limits(function: Function) -> Iterator[Finding]:
    from faas_supervisor.script._means import means  # noqa: PLC0415  # no invocation needs it

    for found in means(function.limits, function.memory_guard):
        yield Finding("ok" if found.kept else "warn", found.text)


def _space(workspace: Workspace) -> Finding:
    free = os.statvfs(workspace.root)
    available = free.f_bavail * free.f_frsize
    text = f"{available / _GIB:.1f} GiB are free for files in {workspace.root.parent}"
    return Finding("warn" if available < _LITTLE else "ok", text)


def _script(call: Call, function: Function, workspace: Workspace) -> Finding:
    try:
        found = find_script(call, function, workspace.root)
        argv = script.command(found)
    except SupervisorError as error:
        return _failure(error)
    return Finding("ok", f"script: {' '.join(argv)}")


def _provider(name: str, function: Function, stores: Stores, plugins: Plugins) -> Iterator[Finding]:
    paths = [place.path for place in function.inputs if place.provider == name]
    paths += [place.path for place in function.outputs if place.provider == name]
    try:
        with stores.open(name).borrow() as provider:
            provider.check()
            found = [text for path in paths for text in plugins.faults(provider, path)]
    except StorageError as error:
        yield _failure(error.located(provider=name, path="", phase="check"))
    except SupervisorError as error:
        yield _failure(error)
    else:
        yield from (Finding("FAIL", f"{name}: {text}", Failure.CONFIGURATION.exit_code) for text in found)
        yield Finding("ok", f"{name} can be reached, and takes the credentials")


def _round_trip(output: Output, workspace: Workspace, stores: Stores, transfer: Transfer) -> Finding:
    """Write, read and remove a small object in the output folder."""
    where = f"{output.provider} {output.path}"
    name = f".supervisor-check-{os.urandom(8).hex()}"
    sent, path = workspace.root / name, join(output.path, name)
    back = workspace.root / f"{name}.back"
    sent.write_bytes(b"written by `supervisor check`\n")
    try:
        store = stores.open(output.provider)
        transfer.upload(store, sent, path)
        transfer.download(store, ObjectRef(path), back, partial=workspace.root / f"{name}.part")
        if not store.capabilities.delete:
            return Finding("warn", f"{where} can be written and read; {name} stays there, since it can't be removed")
        with store.borrow() as provider:
            provider.delete(path)
    except SupervisorError as error:
        return _failure(error)
    return Finding("ok", f"{where} can be written, read and cleared")
