"""What is going to happen: the runs of an event, each with its sources and its destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import ConfigurationError, EventError, printable
from faas_supervisor.logs import log
from faas_supervisor.storage import ObjectRef
from faas_supervisor.storage._names import join
from faas_supervisor.values import replace, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from faas_supervisor.config import Function, Input, Output
    from faas_supervisor.events import Event, Record
    from faas_supervisor.storage import ProviderSpec

    Specs: TypeAlias = Callable[[str], ProviderSpec]

__all__ = ["Item", "Plan", "Run", "Source", "make_plan"]

# A dCache door is a WebDAV server; either name may be configured for it.
_WEBDAV: Final = ("webdav", "dcache")


@value
class Source:
    """Where a record's file is: the object `ref` on `provider`, of `size` bytes as far as the event tells."""

    provider: str
    ref: ObjectRef
    size: int | None


@value
class Item:
    """One record and what its file will be called, relative to the input folder.

    `source` is None for a payload, and where files aren't staged in.
    """

    record: Record
    name: str
    source: Source | None


@value
class Run:
    """One execution of the script, with the files that it gets and the outputs that what it writes goes to."""

    items: tuple[Item, ...]
    outputs: tuple[Output, ...]
    together: bool = False

    @property
    def label(self) -> str:
        """What this run is about, for messages."""
        first = self.items[0].record
        name = first.path or first.name
        return name if len(self.items) == 1 else f"{name} and {len(self.items) - 1} more"


@value
class Plan:
    """All runs of an event, and the names of the providers that they need."""

    runs: tuple[Run, ...]
    providers: tuple[str, ...]


def make_plan(event: Event, function: Function, spec: Specs) -> Plan:
    """Plan the runs of `event`: one for each record, or one for all (`records: together`).

    `spec` finds what the plugin for a type of provider offers.

    Raises:
        ConfigurationError: A record comes from a provider that isn't configured.
        PluginError: No plugin is installed for its type.
        EventError: A record lies outside the inputs of its provider.
    """
    located = [_located(record, function, spec) for record in event.records]
    items = [(_item(record, function), _outputs(record, function)) for record in located]
    if function.records == "together":
        runs = tuple(_together(items))
    else:
        runs = tuple(Run((item,), outputs) for item, outputs in items)
    needed = dict.fromkeys(name for run in runs for name in _providers(run))
    for target in (function.result, function.logs):
        if target is not None:
            needed[target.provider] = None
    return Plan(runs, tuple(needed))


def _providers(run: Run) -> Iterator[str]:
    yield from (item.source.provider for item in run.items if item.source is not None)
    yield from (output.provider for output in run.outputs)


def _together(items: Sequence[tuple[Item, tuple[Output, ...]]]) -> Iterator[Run]:
    """Yield one run for all items, or one for each user whose results have to stay apart."""
    groups: dict[tuple[Output, ...], list[Item]] = {}
    for item, outputs in items:
        groups.setdefault(outputs, []).append(item)
    for outputs, members in groups.items():
        if len({item.name for item in members}) < len(members):
            # Files of one name from different folders: each gets a folder of its own, in the event's order.
            members = [replace(item, name=f"{place}/{item.name}") for place, item in enumerate(members, start=1)]  # noqa: PLW2901
        yield Run(tuple(members), outputs, together=True)


def _item(record: Record, function: Function) -> Item:
    if record.path is None or record.provider is None:
        return Item(record, record.name, None)
    if function.file_stage_in or not function.download_input:
        log.info("%s is not downloaded: the configuration says so", printable(record.path))
        return Item(record, record.name, None)
    ref = ObjectRef(record.path, record.version, record.etag)
    if function.providers[record.provider].type != record.provider.partition(".")[0]:
        # A folder stands in for the server, whose versions and etags it can't know.
        ref = ObjectRef(record.path)
    return Item(record, record.name, Source(record.provider, ref, record.size))


def _located(record: Record, function: Function, spec: Specs) -> Record:
    """Return the record with the full name of its provider, and its path where only the configuration knows the folder.

    An event that names no provider's id (`minio`) means that of the input which holds the object, else `default`.
    """
    if record.provider is None:
        return record
    if record.subscription is not None:
        folder = _watched(record, function)
        return replace(record, provider=folder.provider, path=join(folder.path, record.name))
    candidates = dict(_candidates(record.provider, record.path or "", function, spec))
    name = _chosen(record, candidates, function)
    if name is None:
        type_ = record.provider.partition(".")[0]
        spec(type_)  # that no plugin is installed for it says more than that it isn't configured
        known = ", ".join(sorted(function.providers)) or "none"
        named = record.provider if "." in record.provider else f"{type_}.default"
        raise ConfigurationError(
            f"the event is about {printable(record.path or '')} on {printable(named)}, which is not configured",
            hint=f"add {printable(named)} below storage_providers (configured: {known})",
        )
    _check_inside(candidates[name], name, function)
    return replace(record, provider=name, path=candidates[name])


def _candidates(named: str, path: str, function: Function, spec: Specs) -> Iterator[tuple[str, str]]:
    """Yield the providers that an event may mean which names `named`, each with its own path for the event's."""
    for name, provider in function.providers.items():
        if name != named and ("." in named or not name.startswith(f"{named}.")):
            continue
        own: str | None = path
        if provider.settings is not None and name.startswith(f"{provider.type}."):
            locate = spec(provider.type).locate
            own = locate(provider.settings, path) if locate is not None else path
        if own is not None:
            yield name, own


def _chosen(record: Record, candidates: Mapping[str, str], function: Function) -> str | None:
    """Return the candidate of the input that holds the object, else the only one that knows it, else `default`."""
    fitting = [entry for entry in function.inputs if _holds(entry.path, candidates.get(entry.provider, ""))]
    longest = max(fitting, key=lambda entry: len(entry.path), default=None)
    if longest is not None:
        return longest.provider
    knowing = [name for name, path in candidates.items() if path != record.path]
    if len(knowing) == 1:
        return knowing[0]
    return next((name for name in (record.provider, f"{record.provider}.default") if name in candidates), None)


def _watched(record: Record, function: Function) -> Input:
    """Return the input that a dCache event came from: such an event tells a name, and no folder."""
    inputs = [entry for entry in function.inputs if entry.provider.partition(".")[0] in _WEBDAV]
    if len(inputs) == 1:
        return inputs[0]
    found = ", ".join(f"{entry.provider} {entry.path}" for entry in inputs) or "none"
    raise ConfigurationError(
        f"the event about {printable(record.name)} tells no folder, and the inputs on WebDAV leave it open ({found})",
        hint="configure exactly one input on webdav or dcache",
    )


def _check_inside(path: str, provider: str, function: Function) -> None:
    """Let no event make the function work on what it was not made for."""
    folders = [entry.path for entry in function.inputs if entry.provider == provider]
    if not folders or any(_holds(folder, path) for folder in folders):
        return
    message = f"{printable(path)} lies outside the inputs that are configured for {provider} ({', '.join(folders)})"
    if function.input_check == "error":
        raise EventError(message, hint="add an input for it, or set input_check: warn")
    log.warning("%s", message)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _outputs(record: Record, function: Function) -> tuple[Output, ...]:
    """Return the outputs, with a user's results sent to that user's own bucket.

    OSCAR, `isolation_level: USER`: the bucket of a MinIO output is replaced by that of the event when the
    latter is one of `bucket_list`.
    """
    bucket = (record.path or "").partition("/")[0]
    if function.isolation_level != "USER" or bucket not in function.bucket_list:
        return function.outputs
    return tuple(
        replace(output, path=join(bucket, output.path.partition("/")[2]).rstrip("/"))
        if output.provider.startswith("minio.")
        else output
        for output in function.outputs
    )
