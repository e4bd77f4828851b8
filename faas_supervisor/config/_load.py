"""From the text of a configuration to a `Function`, or to all of its faults at once."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.config._document import Node, decoded, parse
from faas_supervisor.config._findings import Findings, Place, did_you_mean, told
from faas_supervisor.config._keys import KEYS, part_variable, variables_of
from faas_supervisor.config._model import Function
from faas_supervisor.config._providers import SECTION, Providers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faas_supervisor.config._keys import Key
    from faas_supervisor.config._settings import SettingsLookup
    from faas_supervisor.config._source import Source

__all__ = ["check", "faults_of", "load"]


def load(source: Source, *, environment: Mapping[str, str], settings: SettingsLookup, secrets_dir: Path) -> Function:
    """Return the function that a configuration describes.

    What only some invocations need is not asked for here: a credential that is missing and a plugin that is not
    installed are noted in their `Provider`.

    Args:
        source: The text; an empty one is a function of defaults.
        environment: Overrides keys that have a variable, and sets settings of providers that nothing else sets.
        settings: Finds the settings class of a provider type.
        secrets_dir: Where Kubernetes mounts credentials, in folders `<type>.<id>`; need not exist.

    Raises:
        ConfigurationError: There are faults; all of them are in it.
    """
    function, findings = _read(source, environment, settings, secrets_dir)
    findings.raise_if_any()
    return function


def check(
    source: Source, *, environment: Mapping[str, str], settings: SettingsLookup, secrets_dir: Path
) -> tuple[str, ...]:
    """Return all that is wrong: the faults that `load` raises, and those of `faults_of`."""
    function, findings = _read(source, environment, settings, secrets_dir)
    return findings.faults() + faults_of(function)


def faults_of(function: Function) -> tuple[str, ...]:
    """Return what would fail only the invocations that need it.

    Those are missing credentials, plugins that can't be used, and providers that inputs or outputs name but
    nothing configures, unless their id is `default`.
    """
    lines = []
    others = [provider.name for provider in function.providers.values() if not provider.implied]
    for provider in function.providers.values():
        path = f"{SECTION}.{provider.name}"
        place = function.origins.get(path, function.file)
        if provider.unusable:
            lines.append(told(place, path, provider.unusable))
        elif provider.slip:
            lines.append(told(place, path, "is configured nowhere", did_you_mean(provider.name, others)))
        lines.extend(told(place, "", sentence) for sentence in provider.missing)
    return tuple(lines)


def _read(
    source: Source, environment: Mapping[str, str], settings: SettingsLookup, secrets_dir: Path
) -> tuple[Function, Findings]:
    findings = Findings(source.file)
    # Lone surrogates pass here, to be refused as what they are: not UTF-8.
    data = source.text.encode("utf-8", "surrogatepass") if isinstance(source.text, str) else source.text
    root = parse(decoded(data, source.file, findings), source.file, findings)
    service, prefix, sections = _service(root, findings)
    variables = _Variables(environment, service.get("environment"), findings)
    values = _values(service, prefix, variables, findings)
    providers = Providers(settings, secrets_dir, variables.find, findings)
    for path, section in sections:
        providers.write(section, path)
    bound = providers.all()
    function = Function(
        **values,
        providers=MappingProxyType(bound),
        file=source.file,
        warnings=tuple(findings.warnings),
        origins=MappingProxyType({path: str(place) for path, place in findings.origins.items()}),
    )
    return function, findings


class _Variables:
    """The environment, and below it the variables that the configuration itself sets.

    In a cluster the two are the same, for OSCAR sets the latter in the container. On a laptop nobody does.
    """

    def __init__(self, environment: Mapping[str, str], section: Node | None, findings: Findings) -> None:
        self._environment: Final = environment
        self._written: Final = variables_of(section) if section is not None else {}
        self._findings: Final = findings

    def find(self, name: str) -> Node | None:
        """Return the value of a variable; None when it is empty, too."""
        place = Place(f"${name}")
        text = self._environment.get(name, "")
        if not text:
            written = self._written.get(name)
            return written if written is not None and written.is_set else None
        try:
            text.encode()
        except UnicodeEncodeError:
            self._findings.fault(place, "", "is not UTF-8")
            return None
        return Node(text, place)

    def override(self, key: Key) -> Node | None:
        """Return what a variable sets a key to, if there is one and it does."""
        node = self.find(key.variable) if key.variable else None
        if node is not None and key.kind.structured and isinstance(node.value, str):
            return parse(node.value, f"${key.variable}", self._findings)
        return node

    def parts(self, key: Key, whole: Node | None) -> Node | None:
        """Return the mapping `whole` with what the variables of its single names set."""
        self._refuse_unknown(key)
        named = {name: self.find(part_variable(key, name)) for name in key.parts}
        found = {name: node for name, node in named.items() if node is not None}
        if not found:
            return whole
        if whole is None or not whole.is_set:
            whole = Node({}, next(iter(found.values())).place)
        if not isinstance(whole.value, dict):
            return whole  # a fault, which its kind tells
        places = {name: node.place for name, node in found.items()}
        return whole._replace(value={**whole.value, **found}, keys={**whole.keys, **places})

    def _refuse_unknown(self, key: Key) -> None:
        """Note variables that look like those of a name in a mapping, but are none's: a limit lost to a slip."""
        prefix = f"{key.variable}_"
        known = [part_variable(key, name) for name in key.parts]
        for name in (*self._environment, *self._written):
            if key.parts and name.startswith(prefix) and name not in known:
                self._findings.unknown(Place(f"${name}"), "", name, known)


def _values(service: Mapping[str, Node], prefix: str, variables: _Variables, findings: Findings) -> dict[str, Any]:
    """Read every key that is set; the others keep the default of `Function`."""
    values = {}
    for key in KEYS:
        node = variables.parts(key, variables.override(key) or service.get(key.name))
        if node is None or not node.is_set:
            continue
        value = key.kind.read(node, prefix + key.name, findings)
        if value is not None:
            values[key.field] = value
            findings.origins[key.name] = node.place
    return values


def _service(root: Node, findings: Findings) -> tuple[Mapping[str, Node], str, list[tuple[str, Node]]]:
    """Return the keys of the one service, the path to them, and the `storage_providers` sections, the strongest last.

    OSCAR writes a service alone into a file. What its users write has services below `functions.oscar`.
    """
    if not isinstance(root.value, dict):
        if root.is_set:
            findings.fault(root.place, "", f"must be a mapping, not {root.kind}")
        return {}, "", []
    keys: Mapping[str, Node] = root.value
    sections = [(SECTION, keys[SECTION])] if SECTION in keys else []
    if "functions" not in keys:
        return keys, "", sections
    services = list(_services(keys["functions"]))
    if len(services) != 1:
        problem = f"holds {len(services)} OSCAR functions" if services else "holds no OSCAR function"
        findings.fault(root.keys["functions"], "functions", problem, "A configuration is for exactly one")
        return {}, "", sections
    path, service = services[0]
    if SECTION in service:
        sections.append((f"{path}.{SECTION}", service[SECTION]))
    return service, f"{path}.", sections


def _services(functions: Node) -> list[tuple[str, Mapping[str, Node]]]:
    """Return path and keys of each service in `oscar: [{cluster: service}, ...]`."""
    entries = functions.value.get("oscar") if isinstance(functions.value, dict) else None
    if entries is None or not isinstance(entries.value, tuple):
        return []
    return [
        (f"functions.oscar[{index}].{cluster}", service.value)
        for index, entry in enumerate(entries.value)
        if isinstance(entry.value, dict)
        for cluster, service in entry.value.items()
        if isinstance(service.value, dict)
    ]
