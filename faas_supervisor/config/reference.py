"""Writes the reference of the configuration from its declarations: `python -m faas_supervisor.config.reference`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from faas_supervisor.config._keys import ENTRIES, KEYS, Key, part_variable
from faas_supervisor.config._limits import LIMITS
from faas_supervisor.config._model import Function, Input, Output
from faas_supervisor.config._settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faas_supervisor.config._settings import Setting
    from faas_supervisor.storage import ProviderSpec

__all__ = ["core", "main", "provider", "render"]

_INTRODUCTION = """\
# Configuration

<!-- Written by `python -m faas_supervisor.config.reference`; do not edit. -->

The supervisor reads `/oscar/config/function_config.yaml`, or, where that is not there, the variable
`FUNCTION_CONFIG` (the same YAML in base64). `supervisor run --config FILE` names another file. That may also be the
file that describes a service to OSCAR, with its service below `functions.oscar`, if it holds exactly one.

`supervisor config check` lists everything that is wrong, with file, line and column. `supervisor config show` prints
the configuration as it is used, and where each value came from.

- A key that the supervisor does not know is ignored at the top, where OSCAR has many of its own. In an entry of
  `input` or `output`, and in the settings of a provider, it is a fault.
- Null and the empty text mean: not set.
- Texts stay as they are written: `0123` and `yes` are texts where a text is expected.
- The same key twice is a fault. Anchors, aliases and `<<` work.
- An amount of bytes is a number, with `k`, `M`, `G`, `T`, `P`, `E` (powers of 1000) or `Ki`, `Mi`, `Gi`, `Ti`, `Pi`,
  `Ei` (powers of 1024) behind it, or an exponent: `512Mi`, `2G`, `1e9`.
- A duration is a number of seconds, or has units: `500ms`, `90`, `10m`, `1h30m`.
"""

_OURS = """\
## Keys of the supervisor

OSCAR does not know these keys, and leaves them out of the file that it writes. So each can also be set by a
variable, which goes first. In OSCAR, put the variable into `environment.variables` of the service. The variable of a
mapping holds YAML, such as `{storage_provider: minio.default, path: bucket/results}`.
"""

_LIMITS = """\
## Limits

What is not set has no limit but the container's own. Each limit can also be set alone, by its variable, which goes
before `limits` in the file and before `FAAS_SUPERVISOR_LIMITS`, or by `supervisor run --limit memory=512Mi`, which goes
before both. [What happens at each of them](supervision.md#limits).
"""

_ENTRIES = """\
## Entries of `input` and `output`

`result` and `logs` take `storage_provider` and `path`. In S3 and MinIO the first segment of a path is the bucket.
"""

_PROVIDERS = """\
## Providers

`storage_providers` holds the settings of each provider, by type and id:

```yaml
storage_providers:
  minio:
    default:
      endpoint: https://minio.example.org
```

Inputs and outputs name it as `minio.default`; `minio` alone means the id `default`. A provider that is named, but
configured nowhere, has the defaults of its type.

A setting is taken from the first of these that has it:

1. the file `/var/run/secrets/providers/<type>.<id>/<setting>`, where Kubernetes mounts a secret; `secretKey` and
   `secret_key` are the same name, and one newline at the end is left out;
2. `storage_providers.<type>.<id>.<setting>`;
3. the environment variable of the setting, if it has one;
4. its default.

A credential that is missing is an error (exit code 114) for the invocations that need its provider.
"""

_ENTRY_HELP = {
    "storage_provider": "The provider. Has to be set.",
    "path": "The folder. Has to be set; slashes at its ends don't matter.",
    "prefix": "A file goes there if its path in the output folder begins with one of these. Empty: any.",
    "suffix": "Likewise, with its end. Ignored in inputs, as `prefix` is.",
    "required": "Outputs only. `true` makes it an error when no file goes there.",
}


def render(specs: Iterable[ProviderSpec]) -> str:
    """Return the whole reference, with a section for each provider type, by name."""
    return "\n".join((core(), *(provider(spec) for spec in sorted(specs, key=lambda spec: spec.type))))


def core() -> str:
    """Return the part that does not depend on plugins."""
    oscar = [key for key in KEYS if not _is_ours(key)]
    ours = [key for key in KEYS if _is_ours(key)]
    kinds = ENTRIES[Input] | ENTRIES[Output]
    entries = [(f"`{name}`", kind.label, _ENTRY_HELP[name]) for name, kind in kinds.items()]
    return "\n".join(
        (
            _INTRODUCTION,
            "## Keys of OSCAR\n",
            _table(("Key", "Value", "Default", "Variable", "Meaning"), map(_key_row, oscar)),
            _OURS,
            _table(("Key", "Value", "Default", "Variable", "Meaning"), map(_key_row, ours)),
            _LIMITS,
            _table(("Limit", "Value", "Variable", "Meaning"), _limit_rows()),
            _ENTRIES,
            _table(("Key", "Value", "Meaning"), entries),
            _PROVIDERS,
        )
    )


def provider(spec: ProviderSpec) -> str:
    """Return the section of one provider type."""
    rows = [_setting_row(name, setting) for name, setting in settings_of(spec.settings).items()]
    summary = f"{spec.summary}\n\n" if spec.summary else ""
    table = _table(("Setting", "Value", "Default", "Variable", "Meaning"), rows)
    return f"### `{spec.type}`\n\n{summary}{table}"


def _is_ours(key: Key) -> bool:
    return key.variable.startswith("FAAS_SUPERVISOR_")


def _key_row(key: Key) -> tuple[str, ...]:
    defaults = Function()
    default = getattr(defaults, key.field)
    return f"`{key.name}`", key.kind.label, "" if key.parts else _default(default), _code(key.variable), key.help


def _limit_rows() -> list[tuple[str, ...]]:
    key = next(key for key in KEYS if key.name == "limits")
    return [
        (f"`{name}`", limit.kind.label, _code(part_variable(key, name)), limit.help) for name, limit in LIMITS.items()
    ]


def _setting_row(name: str, setting: Setting) -> tuple[str, ...]:
    default = _default(setting.field.default)
    if setting.required:
        default = "has to be set (a credential)" if setting.credential else "has to be set"
    return (
        f"`{name}`",
        setting.kind.label,
        default,
        _code(setting.variable),
        str(setting.field.metadata.get("help", "")),
    )


def _default(value: Any) -> str:  # noqa: ANN401  # any value of a configuration
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return f"`{value:g}`" if isinstance(value, float) else _code(str(value)) if value else ""


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Print the reference, with the settings of every plugin that is installed."""
    from faas_supervisor.plugins import Plugins  # noqa: PLC0415  # tests give specs of their own

    plugins = Plugins(os.environ)
    plugins.load_all()
    sys.stdout.write(render(plugins.specs.values()))


if __name__ == "__main__":
    main()
