"""The hooks of all loaded plugins, called through pluggy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pluggy import PluginManager

from faas_supervisor import hookspecs
from faas_supervisor.installed import GROUP

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Hooks"]


class Hooks:
    """Knows the modules of plugins, and calls their hooks.

    Attributes:
        hook: Has one callable for each hook of `hookspecs`.
    """

    def __init__(self) -> None:
        self._manager: Final = PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self.hook: Final[Any] = self._manager.hook

    def register(self, name: str, module: ModuleType) -> list[Any]:
        """Take a plugin's module, and return what it offers; one that fails leaves no hook behind.

        What a plugin's module raises goes through, as does what pluggy says about hooks that don't fit.
        """
        if self._manager.is_registered(module):  # it serves several types, and has an entry point for each
            return self._offered(module)
        try:
            self._manager.register(module, name=name)
            self._manager.check_pending()
            return self._offered(module)
        except BaseException:
            self.forget(name)
            raise

    def forget(self, name: str) -> None:
        """Call the hooks of the plugin `name` no longer."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def _offered(self, module: ModuleType) -> list[Any]:
        name = self._manager.hook.faas_supervisor_storage_providers.name
        others = [plugin for plugin in self._manager.get_plugins() if plugin is not module]
        only_this = self._manager.subset_hook_caller(name, remove_plugins=others)
        return [spec for specs in only_this() for spec in specs]
