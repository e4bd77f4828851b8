"""Plugins of others in the frozen supervisor: installed into a folder by pip, in any image, by any user."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers import Mount
from tests.frozen.function import COMMAND
from tests.frozen.images import ODDITIES, Oddity, image, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "sqlite-plugin"

# Decodes an event of its own with the help of an extension in C that is not part of us.
ZSTANDARD = """\
import base64
import zstandard
from faas_supervisor import hookimpl
from faas_supervisor.events import Event, Record

@hookimpl
def faas_supervisor_decode_event(document):
    if not isinstance(document, dict) or "zstd" not in document:
        return None
    data = zstandard.ZstdDecompressor().decompress(base64.b64decode(document["zstd"]))
    return Event(type="zstandard", records=(Record(name="unpacked.txt", data=data),))
"""
HELLO = "KLUv/SAFKQAAaGVsbG8="
"""`hello`, compressed."""


def installed(folder: Path, *what: str) -> Path:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *what]
    subprocess.run(command, check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """The plugin of the guide for plugin authors, installed into a folder."""
    folder = installed(tmp_path_factory.mktemp("plugins"), str(EXAMPLE))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """A plugin that needs an extension in C."""
    folder = installed(tmp_path_factory.mktemp("compiled"), "zstandard")
    (folder / "faas_supervisor_zstandard.py").write_text(ZSTANDARD)
    metadata = folder / "faas_supervisor_zstandard-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: faas-supervisor-zstandard\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[faas_supervisor]\nzstandard = faas_supervisor_zstandard\n")
    folder.chmod(0o755)
    return folder


def test_they_are_listed_with_where_they_are_from(folder, example):
    done = subprocess.run(
        [folder / "supervisor", "plugins", "--json"],
        env={"FAAS_SUPERVISOR_PLUGIN_PATH": str(example)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
    assert (found["sqlite"]["status"], found["sqlite"]["from"]) == ("ok", str(example))
    assert set(found) == {"dcache", "file", "minio", "onedata", "s3", "sqlite", "webdav"}
    assert {found[name]["from"] for name in found if name != "sqlite"} == {"built in"}
    assert {plugin["status"] for plugin in found.values()} == {"ok"}


@pytest.mark.parametrize("name", ["Debian 11", "musl"])
def test_the_plugin_of_the_guide_takes_an_output(name, function, folder, example, containers, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    store.chmod(0o777)
    function.config["output"] = [{"storage_provider": "sqlite.results", "path": "counts"}]
    function.config["storage_providers"]["sqlite"] = {"results": {"database": "/data/results.db"}}
    function.script = 'wc -c < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/size.txt"\n'
    ended = run(
        containers,
        image(name, tmp_path),
        ODDITIES["a read-only root"],
        COMMAND,
        mounts=[
            Mount("/oscar/bin", folder),
            Mount("/opt", example),
            Mount("/data", store, writable=True),
            *function.mounts(),
        ],
        environment={"EVENT": function.put(), "FAAS_SUPERVISOR_PLUGIN_PATH": "/opt"},
    )
    assert ended.code == 0, ended.log
    with sqlite3.connect(store / "results.db") as database:
        rows = database.execute("SELECT path, content FROM objects").fetchall()
    database.close()
    assert [(path, bytes(content).strip()) for path, content in rows] == [("counts/size.txt", b"13")]


@pytest.mark.parametrize("name", ["Debian 11", "musl"])
def test_an_extension_in_c_works_beside_the_program(name, function, folder, compiled, containers, tmp_path):
    bin_ = tmp_path / "bin"
    subprocess.run(["cp", "--archive", "--link", folder, bin_], check=True, timeout=60)
    shutil.copytree(compiled, bin_ / "plugins")
    ended = run(
        containers,
        image(name, tmp_path),
        ODDITIES["a read-only root"],
        COMMAND,
        mounts=[Mount("/oscar/bin", bin_), *function.mounts()],
        environment={"EVENT": json.dumps({"zstd": HELLO})},
    )
    assert ended.code == 0, ended.log
    assert ended.result["event"]["type"] == "zstandard"
    assert function.outputs()["unpacked.txt"] == b"hello"


def test_a_plugin_that_is_not_there_is_named(function, folder, containers, tmp_path):
    function.config["output"] = [{"storage_provider": "sqlite.results", "path": "counts"}]
    function.config["storage_providers"]["sqlite"] = {"results": {"database": "/data/results.db"}}
    ended = run(
        containers,
        image("busybox", tmp_path),
        Oddity(),
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), *function.mounts()],
        environment={"EVENT": function.put()},
    )
    assert (ended.code, ended.result["failure"]) == (113, "plugin"), ended.log
    assert "FAAS_SUPERVISOR_PLUGIN_PATH" in ended.log
