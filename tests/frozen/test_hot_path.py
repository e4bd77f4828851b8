"""What a start of the frozen supervisor does without, seen by a plugin from within."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

# Looked at when it is imported, before its hook needs anything.
PROBE = """\
import sys
MODULES = sorted(sys.modules)

import json, re._compiler, pattern_table, quick_patterns
from faas_supervisor import hookimpl
from faas_supervisor.events import Event, Record

def patterns():
    compiled = {key: (quick_patterns._compile(*key), quick_patterns._quick(*key)) for key in pattern_table.TABLE}
    return {
        "installed": re._compiler.compile is quick_patterns._quick,
        "count": len(compiled),
        "longest": max(len(row[1]) for row in pattern_table.TABLE.values()),
        "different": [repr(key) for key, (slow, quick) in compiled.items() if slow != quick],
    }

@hookimpl
def faas_supervisor_decode_event(document):
    data = json.dumps({"modules": MODULES, "patterns": patterns()}).encode()
    return Event(type="probe", records=(Record(name="seen", data=data),))
"""

# What takes long to import, and is in no ordinary run.
DEAR = {
    *("boto3", "botocore", "minio", "obstore", "requests", "urllib3", "httpx", "certifi", "click", "pluggy"),
    *("asyncio", "concurrent.futures", "ctypes", "dataclasses", "email", "http.client", "importlib.metadata"),
    *("inspect", "pkgutil", "socket", "ssl", "subprocess", "tempfile"),
}


@pytest.fixture(scope="module")
def seen(folder, tmp_path_factory) -> dict:
    """What the probe saw."""
    site, work = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    metadata = site / "faas_supervisor_probe-1.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text("[faas_supervisor]\nprobe = faas_supervisor_probe\n")
    (site / "faas_supervisor_probe.py").write_text(PROBE)
    config = {"output": [{"storage_provider": "file.here", "path": "out"}]}
    config["storage_providers"] = {"file": {"here": {"root": str(work)}}}
    (work / "function_config.yaml").write_text(json.dumps(config))
    script = work / "script.sh"
    script.write_text('cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"\n')
    environment = {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(work),
        "FAAS_SUPERVISOR_PLUGIN_PATH": str(site),
        "FUNCTION_CONFIG": _base64((work / "function_config.yaml").read_bytes()),
        "SCRIPT": _base64(script.read_bytes()),
    }
    done = subprocess.run(
        [folder / "supervisor"], input=b'{"probe": 1}', env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((work / "out" / "seen").read_bytes())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_nothing_is_imported_that_takes_long_and_is_not_needed(seen):
    assert "faas_supervisor.invocation" in seen["modules"]
    assert set(seen["modules"]) & DEAR == set()


def test_the_patterns_of_a_start_are_compiled_beforehand(seen):
    assert seen["patterns"]["installed"]
    assert seen["patterns"]["count"] > 20
    assert seen["patterns"]["longest"] > 1000  # PyYAML's of all that can be printed


def test_they_are_what_this_python_compiles(seen):
    assert seen["patterns"]["different"] == []
