"""The reference: written from the declarations, and up to date in the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from faas_supervisor.config import reference
from faas_supervisor.config._keys import ENTRIES, KEYS
from faas_supervisor.plugins import Plugins
from faas_supervisor.storage import ProviderSpec, Secret, setting

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
AGAIN = "run: python -m faas_supervisor.config.reference > docs/configuration.md"


def installed():
    plugins = Plugins(os.environ)
    plugins.load_all()
    return sorted(plugins.specs.values(), key=lambda spec: spec.type)


def test_the_file_holds_what_does_not_depend_on_plugins():
    assert TEXT.startswith(reference.core()), AGAIN


@pytest.mark.parametrize("spec", installed(), ids=lambda spec: spec.type)
def test_the_file_holds_the_settings_of_every_installed_plugin(spec):
    assert reference.provider(spec) in TEXT, AGAIN


def test_every_key_is_described():
    for key in KEYS:
        assert f"| `{key.name}` | {key.kind.label} |" in reference.core()
        assert key.help.endswith(".")


def test_every_key_of_an_entry_is_described():
    for name in {name for kinds in ENTRIES.values() for name in kinds}:
        assert f"| `{name}` |" in reference.core()


@dataclass(frozen=True)
class Settings:
    host: str = setting("Where.")
    token: Secret = setting("The password.", env="TOKEN")
    engine: Literal["a", "b"] = setting("This | that.", default="a")
    size: int | None = setting("Maybe.", default=None)
    verify: bool = setting("Whether.", default=False)


def test_a_provider_is_described_by_its_settings():
    spec = ProviderSpec("x", Settings, factory=lambda _: None, summary="A store.")
    text = reference.render([spec])
    assert text.startswith(reference.core())
    assert text.removeprefix(reference.core()) == (
        "\n### `x`\n\nA store.\n\n"
        "| Setting | Value | Default | Variable | Meaning |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `host` | text | has to be set |  | Where. |\n"
        "| `token` | a secret text | has to be set (a credential) | `TOKEN` | The password. |\n"
        "| `engine` | `a` or `b` | `a` |  | This \\| that. |\n"
        "| `size` | a whole number |  |  | Maybe. |\n"
        "| `verify` | true or false | `false` |  | Whether. |\n"
    )


def test_the_command_prints_it(capsys):
    reference.main()
    assert capsys.readouterr().out == reference.render(installed())
