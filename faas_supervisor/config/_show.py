"""The configuration as it is used, as YAML that can be read again, but for the secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.config._keys import ENTRIES, KEYS
from faas_supervisor.config._limits import Threshold
from faas_supervisor.config._model import Input, Output, Target
from faas_supervisor.config._providers import SECTION
from faas_supervisor.errors import printable
from faas_supervisor.secrets import MASKED, Secret, mask
from faas_supervisor.values import declared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor.config._model import Function, Provider

__all__ = ["text_of"]

# The user's variables belong to the user, but this text is made to be shown to others.
_TELLING: Final = re.compile(r"(?i)key|token|secret|passw|credential|auth")

_BARE: Final = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z_][A-Za-z0-9_-]*", re.IGNORECASE)


def text_of(function: Function) -> str:
    """Return YAML with every key of the supervisor, and a comment that tells where its value came from."""
    lines = [f"# {printable(function.file)}"] if function.file else []
    for key in KEYS:
        origin = function.origins.get(key.name, "default")
        value = getattr(function, key.field)
        if key.parts:
            lines.append(f"{key.name}:")
            for part in key.parts:
                origin = function.origins.get(f"{key.name}.{part}", "default")
                lines.extend(_lines(part, _plain(getattr(value, part)), origin, "  "))
        else:
            lines.extend(_lines(key.name, _plain(value), origin))
    lines.extend(_providers(function))
    return "\n".join((*lines, ""))


def _providers(function: Function) -> Iterator[str]:
    yield f"{SECTION}:" if function.providers else f"{SECTION}: {{}}"
    types = dict.fromkeys(provider.type for provider in function.providers.values())
    for type_ in types:
        yield f"  {_name(type_)}:"
        for provider in function.providers.values():
            if provider.type == type_:
                yield from _provider(provider, function.origins)


def _provider(provider: Provider, origins: Mapping[str, str]) -> Iterator[str]:
    path = f"{SECTION}.{provider.name}"
    id_ = _name(provider.name.removeprefix(f"{provider.type}."))
    for sentence in (provider.unusable, *provider.missing):
        if sentence:
            yield f"    # {printable(sentence)}"
    settings = () if provider.settings is None else declared(type(provider.settings))
    yield f"    {id_}:{'' if settings else ' {}'}  # {printable(origins.get(path, 'default'))}"
    for name in settings:
        value = _plain(getattr(provider.settings, name))
        yield from _lines(name, value, origins.get(f"{path}.{name}", "default"), " " * 6)


def _plain(value: Any) -> Any:  # noqa: ANN401  # any value of a configuration
    """Return a value as lists, mappings and scalars, with nothing secret in it."""
    if isinstance(value, Secret):
        return MASKED
    if isinstance(value, str | Threshold):
        return mask(str(value))
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Input | Output | Target):
        names = (name for name in ENTRIES[type(value)] if name == "storage_provider" or hasattr(value, name))
        return {name: _plain(getattr(value, "provider" if name == "storage_provider" else name)) for name in names}
    if isinstance(value, Mapping):
        return {"variables": {name: MASKED if _TELLING.search(name) else mask(text) for name, text in value.items()}}
    return value


def _lines(name: str, value: Any, origin: str = "", indent: str = "") -> Iterator[str]:  # noqa: ANN401
    comment = f"  # {printable(origin)}" if origin else ""
    if isinstance(value, dict) and value:
        yield f"{indent}{_name(name)}:{comment}"
        for key, item in value.items():
            yield from _lines(key, item, "", f"{indent}  ")
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield f"{indent}{_name(name)}:{comment}"
        for item in value:
            inner = [line for key, one in item.items() for line in _lines(key, one, "", f"{indent}  ")]
            yield f"{indent}- {inner[0].lstrip()}"
            yield from inner[1:]
    else:
        yield f"{indent}{_name(name)}: {_scalar(value)}{comment}"


def _scalar(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return "{}" if isinstance(value, dict) else str(value)


def _name(text: str) -> str:
    return text if _BARE.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    """Return `text` in double quotes; only there YAML has escapes for all characters."""
    escaped = (char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)
    return f'"{"".join(escaped)}"'
