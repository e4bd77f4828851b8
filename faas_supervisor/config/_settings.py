"""What a plugin's settings class asks for: its fields, read from their type hints and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_type_hints

from faas_supervisor.config._kinds import SECRET, Kind, kind_of
from faas_supervisor.errors import PluginError
from faas_supervisor.values import declared

if TYPE_CHECKING:
    from faas_supervisor.values import Declared

__all__ = ["Setting", "SettingsLookup", "settings_of"]


class SettingsLookup(Protocol):
    """Finds the settings class of a provider type."""

    def __call__(self, type_: str, /) -> type[Any]:
        """Return the dataclass that the plugin for `type_` declares.

        Raises:
            PluginError: There is no usable plugin for this type.
        """
        raise NotImplementedError


class Setting(NamedTuple):
    """One field of a plugin's settings class, and how its value is written."""

    field: Declared
    kind: Kind

    @property
    def required(self) -> bool:
        """Whether something has to set it."""
        return self.field.required

    @property
    def credential(self) -> bool:
        """Whether its absence is a missing credential rather than a fault."""
        return self.kind is SECRET or bool(self.field.metadata.get("credential"))

    @property
    def variable(self) -> str:
        """The environment variable that sets it where nothing else does; empty if there is none."""
        return str(self.field.metadata.get("env", ""))


def settings_of(settings: type[Any]) -> dict[str, Setting]:
    """Return the settings that a plugin's class declares, by name.

    Raises:
        PluginError: Nothing can be bound to this class.
    """
    try:
        hints = get_type_hints(settings)
        return {name: Setting(field, kind_of(hints[name])) for name, field in declared(settings).items()}
    except (NameError, TypeError) as error:
        raise PluginError(f"the settings class {settings!r} is broken: {error}") from error
