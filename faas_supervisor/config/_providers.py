"""Providers: the settings of each, from mounted secrets, the file, variables and defaults, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from faas_supervisor.config._findings import Place, did_you_mean
from faas_supervisor.config._keys import provider_name
from faas_supervisor.config._model import Provider
from faas_supervisor.config._mounted import camel_case, matching, mounted
from faas_supervisor.config._settings import settings_of
from faas_supervisor.errors import InvalidConfiguration, PluginError
from faas_supervisor.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from faas_supervisor.config._document import Node
    from faas_supervisor.config._findings import Findings
    from faas_supervisor.config._settings import Setting, SettingsLookup

__all__ = ["SECTION", "Providers"]

SECTION: Final = "storage_providers"


class _Written(NamedTuple):
    """What the file says about one provider."""

    path: str
    place: Place
    settings: Node


class Providers:
    """Makes the providers of one configuration.

    Args:
        settings: Finds the settings class of a type.
        secrets_dir: Where Kubernetes mounts credentials.
        variable: Finds an environment variable.
        findings: Takes the faults.
    """

    def __init__(
        self,
        settings: SettingsLookup,
        secrets_dir: Path,
        variable: Callable[[str], Node | None],
        findings: Findings,
    ) -> None:
        self._settings: Final = settings
        self._secrets_dir: Final = secrets_dir
        self._variable: Final = variable
        self._findings: Final = findings
        self._written: Final[dict[str, _Written]] = {}

    def write(self, section: Node, path: str) -> None:
        """Take what a section `type: id: settings` of the file holds; a later section replaces an earlier one."""
        found: dict[str, _Written] = {}
        for type_, ids, type_path, _ in self._members(section, path):
            for id_, settings, id_path, place in self._members(ids, type_path):
                name = provider_name(f"{type_}.{id_}")
                if name is None:
                    self._findings.fault(place, id_path, "no provider can have this name")
                elif name in found:
                    first = found[name].place.line
                    self._findings.fault(place, id_path, f"{name} is configured twice, first in line {first}")
                else:
                    found[name] = _Written(id_path, place, settings)
        self._written.update(found)

    def all(self) -> dict[str, Provider]:
        """Return every provider by name: those of the file, those mounted, those only named by inputs and outputs."""
        secrets: dict[str, dict[str, Node]] = {}
        for folder, files in mounted(self._secrets_dir, self._findings).items():
            name = provider_name(folder)
            if name is None:
                self._findings.warn(Place(str(self._secrets_dir / folder)), "", "is not named type.id and is ignored")
            else:
                secrets[name] = secrets.get(name, {}) | files
        names = dict.fromkeys((*self._written, *secrets, *self._findings.named))
        providers = {name: self._provider(name, secrets.get(name)) for name in names}
        others = [provider.name for provider in providers.values() if not provider.implied]
        for provider in providers.values():
            if provider.slip and not provider.unusable:
                self._warn_of_slip(provider.name, others)
        return providers

    def _members(self, node: Node, path: str) -> Iterator[tuple[str, Node, str, Place]]:
        """Yield key, value, path and place of all that a mapping holds; null holds nothing."""
        if isinstance(node.value, dict):
            for key, value in node.value.items():
                yield key, value, f"{path}.{key}", node.keys[key]
        elif node.is_set:
            hint = f"Settings stand in {SECTION}.<type>.<id>.<setting>"
            self._findings.fault(node.place, path, f"must be a mapping, not {node.kind}", hint)

    def _provider(self, name: str, files: dict[str, Node] | None) -> Provider:
        type_ = name.partition(".")[0]
        implied = name not in self._written and files is None
        path, place = self._place_of(name)
        self._findings.origins[f"{SECTION}.{name}"] = place
        try:
            settings = self._settings(type_)
            known = settings_of(settings)
        except PluginError as error:
            return Provider(name, type_, unusable=str(error), implied=implied)
        sources = (
            self._from_files(name, files or {}, known),
            self._from_file(name, known),
            {key: found for key, one in known.items() if one.variable and (found := self._variable(one.variable))},
        )
        values: dict[str, Any] = {}
        missing = []
        broken = False
        for key, one in known.items():
            node = next((source[key] for source in sources if key in source), None)
            if node is not None:
                values[key] = one.kind.read(node, f"{path}.{key}", self._findings)
                self._findings.origins[f"{SECTION}.{name}.{key}"] = node.place
                broken = broken or values[key] is None
            elif one.required and one.credential:
                missing.append(self._missing(name, key, one))
            elif one.required:
                self._findings.fault(place, f"{path}.{key}", "is not set")
                broken = True
        made = None if missing or broken else self._made(settings, values, path, place)
        return Provider(name, type_, made, tuple(missing), implied=implied)

    def _place_of(self, name: str) -> tuple[str, Place]:
        """Return path and place that faults of a provider as a whole are told with."""
        if name in self._written:
            return self._written[name].path, self._written[name].place
        if name in self._findings.named:
            return f"{SECTION}.{name}", self._findings.named[name][1]
        return f"{SECTION}.{name}", Place(str(self._secrets_dir / name))

    def _from_files(self, name: str, files: dict[str, Node], known: Mapping[str, Setting]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for file, node in files.items():
            key = matching(file, known)
            if key is None:
                self._findings.warn(node.place, "", f"sets nothing of {name}", did_you_mean(file, known))
            elif key in found:
                self._findings.warn(node.place, "", f"is ignored: {found[key].place} sets {key} of {name} already")
            elif node.is_set:
                found[key] = node
        return found

    def _from_file(self, name: str, known: Mapping[str, Setting]) -> dict[str, Node]:
        if name not in self._written:
            return {}
        found = {}
        written = self._written[name]
        for key, node, path, place in self._members(written.settings, written.path):
            if key not in known:
                self._findings.unknown(place, path, key, known)
            elif node.is_set:
                found[key] = node
        return found

    def _missing(self, name: str, key: str, setting: Setting) -> str:
        file = self._secrets_dir / name / camel_case(key)
        variable = f" or the variable {setting.variable}" if setting.variable else ""
        return f"{name}: {key} is not set: mount {file} or set {SECTION}.{name}.{key}{variable}"

    def _made(self, settings: type[Any], values: dict[str, Any], path: str, place: Place) -> Any:  # noqa: ANN401
        try:
            return settings(**values)
        except InvalidConfiguration as error:
            self._findings.fault(place, path, mask(error.message), mask(error.hint))
            return None

    def _warn_of_slip(self, name: str, others: list[str]) -> None:
        path, place = self._findings.named[name]
        sentence = f"{name} is configured nowhere, so the defaults of its type apply"
        self._findings.warn(place, path, sentence, did_you_mean(name, others))
