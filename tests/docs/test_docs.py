"""The documentation says what the code does."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faas_supervisor import hookspecs
from faas_supervisor.errors import Failure
from faas_supervisor.storage import Capabilities

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "examples" / "sqlite-plugin"
SUPERVISOR = Path(sys.executable).parent / "supervisor"


def test_every_exit_code_is_documented():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|.*\| (.*) \|$", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    documented = {name: (int(code), again == "yes") for code, name, again in rows}
    assert documented == {str(f): (f.exit_code, f.again) for f in Failure if f is not Failure.SCRIPT}


def test_every_hook_is_documented_with_its_arguments():
    text = (DOCS / "writing-a-plugin.md").read_text()
    hooks = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("faas_supervisor_")}
    assert hooks
    for name, spec in hooks.items():
        assert f"`{name}({', '.join(inspect.signature(spec).parameters)})`" in text


def test_every_capability_is_documented():
    text = (DOCS / "writing-a-plugin.md").read_text()
    for name in Capabilities.__dataclass_fields__:
        assert f"| `{name}` |" in text


def test_every_log_event_is_documented():
    source = "".join(path.read_text() for path in (ROOT / "faas_supervisor").rglob("*.py"))
    named = r'"((?:credentials|download|upload|transfer|output|script|event|listen|serve)\.[a-z]+)"'
    emitted = set(re.findall(named, source)) - {"script.sh"}
    emitted |= {"download.done", "download.retry", "upload.done", "upload.retry", "failure", "result"}
    assert {"script.start", "event.skipped", "listen.end"} <= emitted
    text = (DOCS / "logs.md").read_text()
    assert [event for event in sorted(emitted) if f"`{event}`" not in text] == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


def test_the_plugin_guide_shows_the_files_of_the_example():
    text = (DOCS / "writing-a-plugin.md").read_text()
    blocks = re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for name, block in blocks:
        assert block == (EXAMPLE / name).read_text(), name


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The example, built and installed into a folder of its own."""
    target = tmp_path_factory.mktemp("plugin")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, EXAMPLE],
        check=True,
        timeout=300,
    )
    return target


def _with(plugin):
    return {**os.environ, "PYTHONPATH": str(plugin)}


def test_the_example_plugin_keeps_the_contract(plugin):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    done = subprocess.run(command, env=_with(plugin), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout


def test_the_example_plugin_serves_a_function(plugin, tmp_path):
    (tmp_path / "function_config.yaml").write_text(f"""\
name: counts
output: [{{storage_provider: sqlite.results, path: counts}}]
storage_providers: {{sqlite: {{results: {{database: "{tmp_path}/results.db"}}}}}}
""")
    (tmp_path / "script.sh").write_text('wc -c < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/size.txt"\n')
    run = [SUPERVISOR, "run", "--config", str(tmp_path / "function_config.yaml")]
    subprocess.run(run, env=_with(plugin), input=b"seven b", capture_output=True, timeout=60, check=True)

    import sqlite3

    with sqlite3.connect(tmp_path / "results.db") as database:
        rows = database.execute("SELECT path, content FROM objects").fetchall()
    database.close()
    assert [(path, bytes(content).strip()) for path, content in rows] == [("counts/size.txt", b"7")]


def test_events_of_the_example_plugin_are_understood_in_any_envelope(plugin):
    document = '{"sqlite": "results", "paths": ["a/b.txt", "c.txt"]}'
    envelope = json.dumps({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": document}}]})
    for event in (document, envelope):
        decoded = subprocess.run(
            [SUPERVISOR, "event", "decode"], env=_with(plugin), input=event, capture_output=True, text=True, check=True
        )
        records = [(record["provider"], record["path"]) for record in json.loads(decoded.stdout)["records"]]
        assert records == [("sqlite.results", "a/b.txt"), ("sqlite.results", "c.txt")]


def test_the_example_plugin_is_listed(plugin):
    listed = subprocess.run([SUPERVISOR, "plugins"], env=_with(plugin), capture_output=True, text=True, check=True)
    assert "sqlite     faas-supervisor-sqlite 1.0.0: ok" in listed.stdout
    assert "The file that holds the objects" in listed.stdout
