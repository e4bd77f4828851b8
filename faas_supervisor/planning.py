"""What is going to happen: one run for each record, with its source and its destinations, all checked first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from faas_supervisor.errors import ConfigurationError
from faas_supervisor.logs import log
from faas_supervisor.storage import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.config import Function, Output
    from faas_supervisor.events import Event, Record

__all__ = ["Plan", "Run", "Source", "make_plan"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record's file is: the object `ref` on `provider`, of `size` bytes as far as the event tells."""

    provider: str
    ref: ObjectRef
    size: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the script.

    Attributes:
        record: What it is about.
        source: Where the record's file comes from; None for a payload, or when files aren't staged in.
        outputs: Where the files that the script writes go.
    """

    record: Record
    source: Source | None
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All runs of an event, and the names of the providers that they need."""

    runs: tuple[Run, ...]
    providers: tuple[str, ...]


def make_plan(event: Event, function: Function) -> Plan:
    """Plan the runs of `event`.

    Raises:
        ConfigurationError: The event comes from a provider that isn't configured.
    """
    runs = tuple(_run(record, function) for record in event.records)
    needed = dict.fromkeys(_needed(runs))
    if function.result is not None:
        needed[function.result.provider] = None
    return Plan(runs, tuple(needed))


def _needed(runs: Iterable[Run]) -> Iterable[str]:
    for run in runs:
        if run.source is not None:
            yield run.source.provider
        yield from (output.provider for output in run.outputs)


def _run(record: Record, function: Function) -> Run:
    if record.path is None or record.provider is None:
        return Run(record, None, function.outputs)
    provider = _provider_of(record.provider, record.path, function)
    outputs = tuple(_isolated(output, record.path, function) for output in function.outputs)
    if function.file_stage_in or not function.download_input:
        log.info("%s is not downloaded: the configuration says so", record.path)
        return Run(record, None, outputs)
    return Run(record, Source(provider, ObjectRef(record.path, record.version, record.etag), record.size), outputs)


def _provider_of(named: str, path: str, function: Function) -> str:
    """Return the configured provider that an event means which names `named`: `type.id`, or a bare type.

    For a bare type it is that of the input whose path holds the object, else `type.default`.
    """
    type_, _, identifier = named.partition(".")
    if not identifier:
        fitting = [
            entry for entry in function.inputs if entry.provider.startswith(f"{type_}.") and _holds(entry.path, path)
        ]
        longest = max(fitting, key=lambda entry: len(entry.path), default=None)
        named = longest.provider if longest is not None else f"{type_}.default"
    if named not in function.providers:
        known = ", ".join(sorted(function.providers)) or "none"
        raise ConfigurationError(
            f"the event is about {path} on {named}, which is not configured",
            hint=f"add {named} below storage_providers (configured: {known})",
        )
    return named


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _isolated(output: Output, source: str, function: Function) -> Output:
    """Send a user's results to that user's own bucket.

    OSCAR, `isolation_level: USER`: the bucket of a MinIO output is replaced by that of the event when the
    latter is one of `bucket_list`.
    """
    bucket = source.partition("/")[0]
    if (
        function.isolation_level != "USER"
        or bucket not in function.bucket_list
        or not output.provider.startswith("minio.")
    ):
        return output
    _, slash, folder = output.path.partition("/")
    return replace(output, path=f"{bucket}{slash}{folder}")
