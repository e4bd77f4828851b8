"""The function: what `function_config.yaml` and the environment say, typed and frozen."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from faas_supervisor.config._limits import Limits, Threshold
from faas_supervisor.values import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_ID", "Function", "Input", "Output", "Provider", "Target"]

DEFAULT_ID: Final = "default"
"""The id of a provider that is named by its type alone."""

_NO_LIMITS: Final = Limits()
_GUARD: Final = Threshold(percent=95.0)


@value
class Provider:
    """One configured storage.

    Attributes:
        name: `type.id`.
        type: Names the plugin.
        settings: An instance of the plugin's settings class; None while `missing` is not empty or the
            plugin is not there.
        missing: One sentence for each credential that is configured nowhere. An error only for an
            invocation that needs this provider.
        unusable: Why the plugin for this type can't be used; empty when it can. An error likewise.
        implied: It is configured nowhere: an input or output names it, and the defaults of its type apply.
    """

    name: str
    type: str
    settings: Any = None
    missing: tuple[str, ...] = ()
    unusable: str = ""
    implied: bool = False

    @property
    def slip(self) -> bool:
        """Whether its name rather is a slip of the pen: nothing configures it, and its id is not `default`."""
        return self.implied and self.name != f"{self.type}.{DEFAULT_ID}"


@value
class Input:
    """A place whose uploads trigger the function."""

    provider: str
    path: str


@value
class Output:
    """A place where files of the output folder go.

    Attributes:
        provider: `type.id`.
        path: The folder; in object stores its first segment is the bucket.
        prefix: A file goes there when its path below the output folder begins with one of these; empty = any.
        suffix: Likewise, ends with one of these.
        required: Nothing matching is an error rather than a warning.
    """

    provider: str
    path: str
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    required: bool = False


@value
class Target:
    """A single remote place, such as that of the result objects."""

    provider: str
    path: str


@value
class Function:
    """Everything that the configuration decides about an invocation. Defaults are those of an empty file.

    Attributes:
        name: The service, as OSCAR calls it.
        log_level: A level of Python's `logging`, in capitals.
        log_format: Lines for people, or one JSON document for each message.
        file_stage_in: True skips the download, as False of `download_input` does.
        download_input: Whether the files of the event are downloaded.
        isolation_level: `USER` has the event's bucket replace the first segment of MinIO outputs.
        bucket_list: The buckets that may do so.
        mounts: Whether OSCAR mounts a bucket into the container.
        inputs: The places whose uploads trigger the function.
        outputs: The places where outputs go.
        environment: The user's own variables.
        providers: Every storage by its name `type.id`: configured, mounted, or only named by an input or output.
        execution_mode: Where the script runs, on AWS.
        extra_payload: What SCAR wrote there.
        upload_on: Whether the outputs of a script that failed are uploaded too.
        records: Whether the script runs for each record of an event, or once for all together.
        input_check: Whether a record outside the configured inputs is an error or a warning.
        result: Where the result of each invocation is written; None for nowhere.
        combine_output: Whether the script's standard error is part of its answer.
        kill_grace: Seconds that the script has after SIGTERM, before it is killed.
        log_tail: Bytes of the end of the script's output that are kept for the result.
        logs: Where the script's output is written; None for nowhere.
        stream: The folder below the output folder whose files go up while the script runs; empty for none.
        skip_existing: Whether an output is left alone that the store proves to hold already.
        warm: Whether the script stays, and takes one run after the other.
        transfer_memory: Bytes that all transfers together may hold; None to derive them from the memory limit.
        transfer_files: Files that are transferred at the same time.
        transfer_deadline: Seconds that one transfer is tried, all retries included.
        limits: What one run of the script may use.
        memory_guard: How full the container's memory may get before the script is ended.
        file: The name of the configuration, for messages.
        warnings: One sentence for each thing that is odd but does no harm.
        origins: Where each value came from, by its path, such as `storage_providers.minio.default.endpoint`;
            what has a default is not there.
    """

    name: str = ""
    log_level: str = "INFO"
    log_format: Literal["text", "json"] = "text"
    file_stage_in: bool = False
    download_input: bool = True
    isolation_level: str = "SERVICE"
    bucket_list: tuple[str, ...] = ()
    mounts: bool = False
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    providers: Mapping[str, Provider] = field(default_factory=lambda: MappingProxyType({}))
    execution_mode: str = ""
    extra_payload: str = ""
    upload_on: Literal["success", "always"] = "success"
    records: Literal["each", "together"] = "each"
    input_check: Literal["error", "warn"] = "error"
    result: Target | None = None
    combine_output: bool = True
    kill_grace: float = 10.0
    log_tail: int = 64 * 1024
    logs: Target | None = None
    stream: str = ""
    skip_existing: bool = False
    warm: bool = False
    transfer_memory: int | None = None
    transfer_files: int = 8
    transfer_deadline: float = 600.0
    limits: Limits = _NO_LIMITS
    memory_guard: Threshold = _GUARD
    file: str = ""
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
