"""Loading the plugins that are needed, guarded; `installed` finds them, `_hooks` calls them."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor import frozen
from faas_supervisor.errors import PluginError, SupervisorError, Terminated
from faas_supervisor.installed import GROUP, HOOKS, Found, available, installed
from faas_supervisor.logs import follow, log
from faas_supervisor.storage import API_VERSION, ProviderSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from faas_supervisor._hooks import Hooks
    from faas_supervisor.events import Event
    from faas_supervisor.storage import StorageProvider

__all__ = ["GROUP", "Found", "Plugins", "installed"]

# Distributions are called after the type that they offer, but for this one.
_DISTRIBUTIONS: Final = {"webdav": "dcache"}


class Plugins:
    """What is installed, and what of it is loaded.

    Environment:
        FAAS_SUPERVISOR_PLUGINS: The only names that may be loaded, separated by commas.
        FAAS_SUPERVISOR_DISABLED_PLUGINS: Names that are never loaded.
        FAAS_SUPERVISOR_STRICT_PLUGINS: `1` makes a broken plugin an error even where it isn't needed.
        FAAS_SUPERVISOR_PLUGIN_PATH: Folders with further plugins.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._only = _names(environment.get("FAAS_SUPERVISOR_PLUGINS", ""))
        self._never = _names(environment.get("FAAS_SUPERVISOR_DISABLED_PLUGINS", ""))
        self._strict = environment.get("FAAS_SUPERVISOR_STRICT_PLUGINS", "") == "1"
        self._environment: Final = environment
        self._lock: Final = threading.RLock()
        self._loaded: dict[str, ModuleType] = {}
        self._hooks: Hooks | None = None
        self._found: dict[str, Found] | None = None
        self._twice: dict[str, str] = {}
        self._specs: dict[str, ProviderSpec] = {}
        self._offerer: dict[str, Found] = {}
        self._failed: dict[str, PluginError] = {}

    @property
    def found(self) -> Mapping[str, Found]:
        """Every installed plugin by name, whether it may be loaded or not."""
        if self._found is None:
            self._found = {}
            for entry in available(self._environment):
                other = self._found.setdefault(entry.name, entry)
                if other != entry:
                    self._twice[entry.name] = (
                        f"the plugin {entry.name!r} is offered by both {other.distribution} and {entry.distribution}"
                    )
        return self._found

    @property
    def specs(self) -> Mapping[str, ProviderSpec]:
        """The provider types of all plugins that are loaded by now."""
        return self._specs

    def allowed(self, name: str) -> bool:
        """Whether the environment lets this plugin be loaded."""
        return name not in self._never and (not self._only or name in self._only)

    def spec(self, type_: str) -> ProviderSpec:
        """Return what the plugin for provider type `type_` offers, importing its module but no SDK.

        Raises:
            PluginError: There is none, it is not allowed, it is broken, or it was made for another API version.
        """
        if type_ not in self._specs:
            self.load(type_)
        if type_ not in self._specs:
            raise PluginError(f"the plugin {type_!r} offers no provider of that type")
        return self._specs[type_]

    def settings(self, type_: str) -> type[Any]:
        """Return the settings class for provider type `type_`; raises as `spec`."""
        return self.spec(type_).settings

    def decode(self, document: object, headers: Mapping[str, str]) -> Event | None:
        """Ask every plugin whether it knows an event that the core does not.

        Raises:
            PluginError: A plugin failed over it.
        """
        name = "faas_supervisor_decode_event"
        self.load_all(name)
        if not any(hasattr(module, name) for module in self._loaded.values()):
            return None
        try:
            event: Event | None = self._called.faas_supervisor_decode_event(document=document, headers=headers)
        except SupervisorError:
            raise
        except Exception as error:
            raise PluginError(f"a plugin failed to decode the event: {type(error).__name__}: {error}") from error
        return event

    def faults(self, provider: StorageProvider, path: str) -> list[str]:
        """Return what the plugins find wrong with `path` on `provider`.

        Raises:
            PluginError: A plugin failed over it.
        """
        try:
            answers = self._called.faas_supervisor_check(provider=provider, path=path)
            return [text for texts in answers for text in texts]
        except SupervisorError:
            raise
        except Exception as error:
            raise PluginError(f"a plugin's check failed: {type(error).__name__}: {error}") from error

    def events(self, provider: StorageProvider, path: str) -> Iterable[bytes] | None:
        """Return the stream of uploads below `path`, or None if no plugin has one for `provider`."""
        stream: Iterable[bytes] | None = self._called.faas_supervisor_listen(provider=provider, path=path)
        return stream

    def load(self, name: str) -> None:
        """Import and register the plugin `name`; a second call does nothing, or raises what the first raised."""
        with self._lock:  # a process may handle several events at once
            if name in self._failed:
                raise self._failed[name]
            if name in self._loaded:
                return
            try:
                self._load(name)
            except PluginError as error:
                self._failed[name] = error
                raise

    def load_strictly(self) -> None:
        """Load every allowed plugin if plugins are to be strict.

        Raises:
            PluginError: One of them is broken.
        """
        if self._strict:
            self.load_all()

    def load_all(self, hook: str = "") -> None:
        """Load every allowed plugin, or those that may implement `hook`.

        A broken one is a warning, or an error if plugins are to be strict.
        """
        for name, entry in self.found.items():
            if not self.allowed(name) or hook not in HOOKS.get(entry.module, {hook}) | {""}:
                continue
            try:
                self.load(name)
            except PluginError as error:
                if self._strict:
                    raise
                log.warning("%s", error)

    def _load(self, name: str) -> None:
        entry = self.found.get(name)
        if entry is None:
            raise self._missing(name)
        if name in self._twice:
            raise PluginError(self._twice[name], hint="uninstall one of them")
        if not self.allowed(name):
            raise PluginError(
                f"the plugin {name!r} is disabled by the environment",
                hint="see FAAS_SUPERVISOR_PLUGINS and FAAS_SUPERVISOR_DISABLED_PLUGINS",
            )
        try:
            module = importlib.import_module(entry.module)
            offered = self._offered(entry, module)
        except Terminated:
            raise
        except (Exception, SystemExit) as error:
            # The border to a plugin: whatever it does at import is its own failure, named as such.
            raise PluginError(f"{entry} can't be loaded: {type(error).__name__}: {error}") from error
        try:
            self._accept(offered, entry)
        except PluginError:
            if self._hooks is not None:
                self._hooks.forget(entry.name)
            raise
        self._loaded[entry.name] = module
        follow(entry.module)

    def _offered(self, entry: Found, module: ModuleType) -> list[Any]:
        """Return what a plugin's module offers; pluggy is not imported to ask our own for that."""
        if entry.module in HOOKS and self._hooks is None:
            return list(module.faas_supervisor_storage_providers())
        return self._with_hooks().register(entry.name, module)

    def _with_hooks(self) -> Hooks:
        """Return what calls the hooks of everything that is loaded."""
        if self._hooks is None:
            from faas_supervisor._hooks import Hooks  # noqa: PLC0415  # brings pluggy, which few runs need

            self._hooks = Hooks()
            for name, module in self._loaded.items():
                self._hooks.register(name, module)
        return self._hooks

    @property
    def _called(self) -> Any:  # noqa: ANN401  # pluggy's hooks have no types
        return self._with_hooks().hook

    def _accept(self, offered: list[Any], entry: Found) -> None:
        for spec in offered:
            if not isinstance(spec, ProviderSpec):
                raise PluginError(f"{entry} offers a {type(spec).__name__}, which is no ProviderSpec")
            if spec.api_version != API_VERSION:
                raise PluginError(
                    f"{entry} is made for version {spec.api_version} of the storage interface, this is {API_VERSION}",
                    hint="install a version of it that fits this supervisor",
                )
            other = self._offerer.get(spec.type, entry)
            if other.module != entry.module:
                raise PluginError(
                    f"{entry} offers the type {spec.type!r}, as does {other}", hint="uninstall one of them"
                )
        for spec in offered:
            self._specs[spec.type] = spec
            self._offerer[spec.type] = entry

    def _missing(self, name: str) -> PluginError:
        from difflib import get_close_matches  # noqa: PLC0415  # only when something is wrong

        close = get_close_matches(name, self.found, n=1, cutoff=0.7)
        maybe = f'did you mean "{close[0]}"? ' if close else ""
        distribution = f"faas-supervisor-{close[0] if close else _DISTRIBUTIONS.get(name, name)}"
        into, then = "", ""
        if frozen.home() is not None:
            into, then = "--target FOLDER ", ", and name that folder in FAAS_SUPERVISOR_PLUGIN_PATH"
        return PluginError(
            f"no plugin is installed for the provider type {name!r}",
            hint=f"{maybe}pip install {into}{distribution}{then}",
        )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
