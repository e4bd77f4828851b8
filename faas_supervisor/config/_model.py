"""The function: what `function_config.yaml` and the environment say, typed and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Function", "Input", "Output", "Provider", "Target"]


@dataclass(frozen=True, slots=True)
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
    """

    name: str
    type: str
    settings: Any = None
    missing: tuple[str, ...] = ()
    unusable: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """A place whose uploads trigger the function."""

    provider: str
    path: str


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Target:
    """A single remote place, such as that of the result objects."""

    provider: str
    path: str


@dataclass(frozen=True, slots=True)
class Function:
    """Everything that the configuration decides about an invocation. Defaults are those of an empty file."""

    name: str = ""
    log_level: str = "INFO"
    log_format: Literal["text", "json"] = "text"
    file_stage_in: bool = False
    isolation_level: str = "SERVICE"
    bucket_list: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    providers: Mapping[str, Provider] = field(default_factory=lambda: MappingProxyType({}))
    upload_on: Literal["success", "always"] = "success"
    result: Target | None = None
    combine_output: bool = True
    transfer_memory: int | None = None
    transfer_files: int = 8
    transfer_deadline: float = 600.0
    file: str = ""
