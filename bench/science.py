"""The stores of science: WebDAV beside rclone on the same server, and an emulated Onedata."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.cases import MIB, Aim, Case, digest
from bench.measure import Contestant, Failed
from bench.tools import search_path
from faas_supervisor.storage import ObjectRef, Secret
from faas_supervisor.storage._meter import Meter
from faas_supervisor_onedata import Settings
from faas_supervisor_onedata.provider import OnedataProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SCRIPT = '#!/bin/sh\nset -e\ncp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"\n'
_NAME = "large"
_RCLONE = "rclone copyto dav:in/large large && cp large copy && rclone copyto copy dav:out/large"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a server works on: what the contestants left in it."""

    path: Path

    def verify(self, outputs: Mapping[str, str]) -> None:
        """Raise `Failed` unless exactly these files are below `out/`."""
        out = self.path / "out"
        found = {file.name: digest(file.read_bytes()) for file in out.iterdir()} if out.is_dir() else {}
        if found != outputs:
            raise Failed(f"out/ holds {sorted(found)} with other contents or names than {sorted(outputs)}")

    def clear(self) -> None:
        """Remove what is below `out/`."""
        shutil.rmtree(self.path / "out", ignore_errors=True)


class Space:
    """A space of the emulated Onedata, reached as the supervisor reaches it."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        known = {**settings, "token": Secret(settings["token"])}
        self._provider = OnedataProvider(Settings(**known))  # type: ignore[arg-type]  # all but the token are texts
        self._local = folder / "local"
        self._meter = Meter("bench", threading.Event(), None, None)

    def put(self, data: bytes) -> None:
        """Put the object below `in/`."""
        self._local.write_bytes(data)
        self._provider.upload(self._local, f"in/{_NAME}", self._meter)

    def verify(self, outputs: Mapping[str, str]) -> None:
        """Raise `Failed` unless exactly these objects are below `out/`."""
        found = {}
        for info in self._provider.list("out"):
            self._provider.download(ObjectRef(info.path), self._local, self._meter)
            found[info.path.removeprefix("out/")] = digest(self._local.read_bytes())
        if found != outputs:
            raise Failed(f"out/ holds {sorted(found)} with other contents or names than {sorted(outputs)}")

    def clear(self) -> None:
        """Remove what is below `out/`."""
        for info in list(self._provider.list("out")):
            self._provider.delete(info.path)


@contextlib.contextmanager
def webdav(folder: Path, data: bytes) -> Iterator[Case]:
    """Give the case on WebDAV, whose server runs meanwhile."""
    store = _filled(folder / "webdav", data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    program = shutil.which("rclone", path=search_path()) or "rclone"
    # It remembers what it listed, and would not see that we clear the folder between two runs.
    options = ["--config", "/dev/null", "--dir-cache-time", "0s", "--addr", f"127.0.0.1:{port}"]
    server = subprocess.Popen([program, "serve", "webdav", *options, str(store.path)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        event = {"event": {"name": _NAME, "mask": ["IN_CLOSE_WRITE"]}, "subscription": url}
        access = {"RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_DAV_TYPE": "webdav", "RCLONE_CONFIG_DAV_URL": url}
        rclone = Contestant("rclone", ["sh", "-c", _RCLONE], {**_base(), **access})
        yield Case(
            "256 MiB in and out, WebDAV",
            "dCache's event for an object of 256 MiB; the server is `rclone serve webdav`, which knows no checksums.",
            [_ours("webdav", {"hostname": url}, event), rclone],
            {_NAME: digest(data)},
            [Aim("cpu", below="rclone"), Aim("peak", most=96 * MIB)],
            store,
        )
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def onedata(folder: Path, data: bytes) -> Iterator[Case]:
    """Give the case on Onedata, whose emulator runs meanwhile, in a process of its own."""
    home = folder / "onedata"
    home.mkdir()
    command = [sys.executable, "-m", "bench.onedata", str(home)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None  # it is a pipe
        told = json.loads(server.stdout.readline())
        store = Space(told, home)
        store.put(data)
        record = {"objectKey": _NAME, "objectId": "1", "eventTime": "", "eventSource": "OneTrigger"}
        event = {"Key": f"/{told['space']}/in/{_NAME}", "Records": [record]}
        yield Case(
            "256 MiB in and out, Onedata",
            "OneTrigger's event for an object of 256 MiB; Onezone and Oneprovider are emulated, over TLS.",
            [_ours("onedata", told, event)],
            {_NAME: digest(data)},
            [Aim("peak", most=96 * MIB)],
            store,
        )
    finally:
        server.kill()
        server.wait()


def _filled(path: Path, data: bytes) -> Folder:
    (path / "in").mkdir(parents=True)
    (path / "in" / _NAME).write_bytes(data)
    return Folder(path)


def _base() -> dict[str, str]:
    return {"PATH": search_path(), "LANG": "C.UTF-8"}


def _ours(kind: str, provider: Mapping[str, Any], event: Mapping[str, Any]) -> Contestant:
    place = f"{kind}.default"
    document = {
        "name": "bench",
        "input": [{"storage_provider": place, "path": "in"}],
        "output": [{"storage_provider": place, "path": "out"}],
        "storage_providers": {kind: {"default": provider}},
    }
    variables = {
        "EVENT": json.dumps(event),
        "FUNCTION_CONFIG": base64.b64encode(json.dumps(document).encode()).decode(),
        "SCRIPT": base64.b64encode(_SCRIPT.encode()).decode(),
    }
    return Contestant("supervisor", ["sh", "-c", "echo $EVENT | supervisor"], {**_base(), **variables})


def _wait_for(port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return
