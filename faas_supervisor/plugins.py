"""Finding plugins without importing them, and loading the needed ones, guarded."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from pluggy import PluginManager

from faas_supervisor import hookspecs
from faas_supervisor.errors import PluginError, SupervisorError, Terminated
from faas_supervisor.logs import follow, log
from faas_supervisor.storage import API_VERSION, ProviderSpec
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faas_supervisor.events import Event
    from faas_supervisor.storage import StorageProvider

__all__ = ["GROUP", "Found", "Plugins", "installed"]

GROUP: Final = "faas_supervisor"

# Distributions are called after the type that they offer, but for this one.
_DISTRIBUTIONS: Final = {"webdav": "dcache"}


@value
class Found:
    """One entry point of our group: what is installed, not imported yet."""

    name: str
    module: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"the plugin {self.name!r} ({self.distribution} {self.version})"


def installed(paths: Iterable[str]) -> Iterator[Found]:
    """Yield the entry points of our group in the folders `paths`, as `importlib.metadata` would.

    Reading the few small files ourselves takes 3 ms of a start instead of 45; a test holds the two together.
    """
    seen: set[str] = set()
    for path in paths:
        try:
            names = [entry.name for entry in os.scandir(path or ".") if entry.name.endswith(".dist-info")]
        except OSError:
            continue  # as the import system does: not a folder, or gone
        for name in sorted(names):
            distribution, _, version = name.removesuffix(".dist-info").partition("-")
            normal = re.sub("[-_.]+", "-", distribution).lower()  # as PEP 503 has it
            if normal in seen:
                continue  # an earlier folder of sys.path wins, as for imports
            seen.add(normal)
            yield from _entries(os.path.join(path, name, "entry_points.txt"), distribution, version)  # noqa: PTH118


def _entries(file: str, distribution: str, version: str) -> Iterator[Found]:
    try:
        # Runs for every distribution at start-up; one that is not UTF-8 is not ours.
        with open(file, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            lines = stream.read().splitlines()
    except OSError:
        return
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == GROUP and "=" in line and not line.startswith(("#", ";")):
            name, _, module = line.partition("=")
            yield Found(name.strip(), module.strip(), distribution.replace("_", "-"), version)


class Plugins:
    """What is installed, and what of it is loaded.

    Environment:
        FAAS_SUPERVISOR_PLUGINS: The only names that may be loaded, separated by commas.
        FAAS_SUPERVISOR_DISABLED_PLUGINS: Names that are never loaded.
        FAAS_SUPERVISOR_STRICT_PLUGINS: `1` makes a broken plugin an error even where it isn't needed.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._only = _names(environment.get("FAAS_SUPERVISOR_PLUGINS", ""))
        self._never = _names(environment.get("FAAS_SUPERVISOR_DISABLED_PLUGINS", ""))
        self._strict = environment.get("FAAS_SUPERVISOR_STRICT_PLUGINS", "") == "1"
        self._manager: Final = PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
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
            for entry in installed(sys.path):
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
        self.load_all()
        try:
            event: Event | None = self._manager.hook.faas_supervisor_decode_event(document=document, headers=headers)
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
            answers = self._manager.hook.faas_supervisor_check(provider=provider, path=path)
            return [text for texts in answers for text in texts]
        except SupervisorError:
            raise
        except Exception as error:
            raise PluginError(f"a plugin's check failed: {type(error).__name__}: {error}") from error

    def events(self, provider: StorageProvider, path: str) -> Iterable[bytes] | None:
        """Return the stream of uploads below `path`, or None if no plugin has one for `provider`."""
        stream: Iterable[bytes] | None = self._manager.hook.faas_supervisor_listen(provider=provider, path=path)
        return stream

    def load(self, name: str) -> None:
        """Import and register the plugin `name`; a second call does nothing, or raises what the first raised."""
        if name in self._failed:
            raise self._failed[name]
        if self._manager.has_plugin(name):
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

    def load_all(self) -> None:
        """Load every allowed plugin; a broken one is a warning, or an error if plugins are to be strict."""
        for name in self.found:
            if not self.allowed(name):
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
            offered = self._register(entry)
        except Terminated:
            raise
        except (Exception, SystemExit) as error:
            # The border to a plugin: whatever it does at import is its own failure, named as such.
            raise PluginError(f"{entry} can't be loaded: {type(error).__name__}: {error}") from error
        try:
            self._accept(offered, entry)
        except PluginError:
            self._manager.unregister(name=entry.name)
            raise
        follow(entry.module)

    def _register(self, entry: Found) -> list[Any]:
        """Import and register a plugin's module, and return what it offers; one that fails leaves no hook behind."""
        module = importlib.import_module(entry.module)
        if self._manager.is_registered(module):  # it serves several types, and has an entry point for each
            return _offered(self._manager, module)
        try:
            self._manager.register(module, name=entry.name)
            self._manager.check_pending()
            return _offered(self._manager, module)
        except BaseException:
            self._manager.unregister(name=entry.name)
            raise

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
        return PluginError(
            f"no plugin is installed for the provider type {name!r}",
            hint=f"{maybe}pip install faas-supervisor-{close[0] if close else _DISTRIBUTIONS.get(name, name)}",
        )


def _offered(manager: PluginManager, module: object) -> list[Any]:
    hook = manager.hook.faas_supervisor_storage_providers
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    only_this = manager.subset_hook_caller(hook.name, remove_plugins=others)
    return [spec for specs in only_this() for spec in specs]


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
