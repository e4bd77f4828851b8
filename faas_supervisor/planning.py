"""What is going to happen: the runs of an event, each with its sources and its destinations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from faas_supervisor.errors import ConfigurationError, EventError, printable
from faas_supervisor.logs import log
from faas_supervisor.storage import ObjectRef
from faas_supervisor.storage._names import join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faas_supervisor.config import Function, Input, Output
    from faas_supervisor.events import Event, Record

__all__ = ["Item", "Plan", "Run", "Source", "make_plan"]

# A dCache door is a WebDAV server; either name may be configured for it.
_WEBDAV: Final = ("webdav", "dcache")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record's file is: the object `ref` on `provider`, of `size` bytes as far as the event tells."""

    provider: str
    ref: ObjectRef
    size: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """One record and what its file will be called, relative to the input folder.

    `source` is None for a payload, and where files aren't staged in.
    """

    record: Record
    name: str
    source: Source | None


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Plan:
    """All runs of an event, and the names of the providers that they need."""

    runs: tuple[Run, ...]
    providers: tuple[str, ...]


def make_plan(event: Event, function: Function) -> Plan:
    """Plan the runs of `event`: one for each record, or one for all (`records: together`).

    Raises:
        ConfigurationError: A record comes from a provider that isn't configured.
        EventError: A record lies outside the inputs of its provider.
    """
    located = [_located(record, function) for record in event.records]
    items = [(_item(record, function), _outputs(record, function)) for record in located]
    if function.records == "together":
        runs = tuple(_together(items))
    else:
        runs = tuple(Run((item,), outputs) for item, outputs in items)
    needed = dict.fromkeys(name for run in runs for name in _providers(run))
    if function.result is not None:
        needed[function.result.provider] = None
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


def _located(record: Record, function: Function) -> Record:
    """Return the record with the full name of its provider, and its path where only the configuration knows the folder.

    An event that names no provider's id (`minio`) means that of the input which holds the object, else `default`.
    """
    if record.provider is None:
        return record
    if record.subscription is not None:
        folder = _watched(record, function)
        return replace(record, provider=folder.provider, path=join(folder.path, record.name))
    path = record.path or ""
    type_, _, identifier = record.provider.partition(".")
    name = record.provider
    if not identifier:
        inputs = [entry for entry in function.inputs if entry.provider.startswith(f"{type_}.")]
        fitting = [entry for entry in inputs if _holds(entry.path, path)]
        longest = max(fitting, key=lambda entry: len(entry.path), default=None)
        name = longest.provider if longest is not None else f"{type_}.default"
    if name not in function.providers:
        known = ", ".join(sorted(function.providers)) or "none"
        raise ConfigurationError(
            f"the event is about {printable(path)} on {printable(name)}, which is not configured",
            hint=f"add {printable(name)} below storage_providers (configured: {known})",
        )
    _check_inside(path, name, function)
    return replace(record, provider=name)


def _watched(record: Record, function: Function) -> Input:
    """Return the input that a dCache event came from: such an event tells a name, and no folder."""
    inputs = [entry for entry in function.inputs if entry.provider.partition(".")[0] in _WEBDAV]
    if len(inputs) == 1:
        return inputs[0]
    found = ", ".join(f"{entry.provider} {entry.path}" for entry in inputs) or "none"
    raise ConfigurationError(
        f"the event about {printable(record.name)} tells no folder, and it can't be known from the inputs on WebDAV ({found})",
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
