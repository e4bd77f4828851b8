"""docs/serving.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from faas_supervisor.fronts.watchdog._metrics import Metrics
from faas_supervisor.fronts.watchdog._settings import VARIABLES

TEXT = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()


def test_every_variable_is_documented_with_its_default():
    section = TEXT.partition("## Variables")[2].partition("## Requests")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| .* \|$", section, re.MULTILINE)
    assert rows == [(variable.name, variable.default) for variable in VARIABLES]


def test_every_metric_is_documented():
    section = TEXT.partition("## Health, metrics")[2].partition("## Life")[0]
    ours = set(re.findall(r"(?:http|faas_supervisor)_\w+", section))
    assert ours == {name for name in Metrics().names if name.startswith(("http_", "faas_supervisor_"))}
