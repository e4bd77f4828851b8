"""Real containers, made by runc as Kubernetes has it make them: read-only root, no capabilities, limits.

    def test_something(containers, unfrozen):
        ended = containers.run([*unfrozen.command, "--version"], mounts=unfrozen.mounts, memory=128)

The network is the host's, so that test servers on loopback are reached. What runs is killed after the test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import roots
from tests.programs import need, need_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["NOBODY", "TMP", "Container", "Containers", "Ended", "Mount", "Supervisor"]

ROOT = Path(__file__).parents[1]

NOBODY = 65532
"""A user without rights, known to no image."""

_PATIENCE = 120.0
_MIB = 1 << 20


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host at `destination`, read-only unless `writable`; without `source` a tmpfs."""

    destination: str
    source: Path | None = None
    writable: bool = False
    options: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as OCI's runtime specification has it."""
        if self.source is None:
            options = self.options or ("nosuid", "nodev", "mode=1777", "size=64m")
            return {"destination": self.destination, "type": "tmpfs", "source": "tmpfs", "options": list(options)}
        access = "rw" if self.writable else "ro"
        options = ("rbind", access, "nosuid", "nodev", *self.options)
        return {
            "destination": self.destination, "type": "bind", "source": str(self.source), "options": list(options),
        }  # fmt: skip


TMP = Mount("/tmp")
"""A private folder for temporary files, as Kubernetes' `emptyDir` in memory."""


@dataclass(frozen=True)
class Supervisor:
    """A supervisor to be mounted into containers, and how to start it there."""

    command: tuple[str, ...]
    mounts: tuple[Mount, ...]


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def log(self) -> str:
        """Standard error as text."""
        return self.stderr.decode("utf-8", "backslashreplace")

    @property
    def result(self) -> dict[str, Any]:
        """The result on the last line of the log."""
        last = self.log.rstrip("\n").rpartition("\n")[2]
        return dict(json.loads(last.partition(" - result ")[2]))


@dataclass
class Container:
    """A container that was started.

    Attributes:
        id: Its name for runc.
        process: `runc run`: its streams are the container's, and its end is the container's.
    """

    id: str
    process: subprocess.Popen[bytes]
    runc: tuple[str, ...]

    def wait(self, timeout: float = _PATIENCE) -> Ended:
        """Wait for its end; one that is late is killed, and fails the test."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.remove()
            out, err = self.process.communicate(timeout=timeout)
            pytest.fail(f"the container did not end in {timeout} s:\n{err.decode(errors='replace')[-4000:]}")
        return Ended(self.process.returncode, out, err)

    def wait_for(self, text: bytes, timeout: float = _PATIENCE) -> None:
        """Read its standard error until a line holds `text`; in vain, the test fails."""
        killer = threading.Timer(timeout, self.remove)
        killer.start()
        try:
            for line in self.process.stderr or ():
                if text in line:
                    return
        finally:
            killer.cancel()
        pytest.fail(f"the container ended without {text!r}")

    def kill(self, name: str) -> None:
        """Send the signal `name`, such as `TERM`, to the container's first process."""
        self._call("kill", self.id, name)

    def run(self, *argv: str) -> str:
        """Run a further program in it, as root, and return what it wrote."""
        return self._call("exec", "--user", "0:0", self.id, *argv)

    def pids(self) -> list[int]:
        """Return its processes as the host numbers them."""
        return list(json.loads(self._call("ps", "--format", "json", self.id)) or [])

    def remove(self) -> None:
        """Kill everything in it, and forget it."""
        subprocess.run([*self.runc, "delete", "--force", self.id], capture_output=True, timeout=60, check=False)

    def _call(self, *arguments: str) -> str:
        return subprocess.run(
            [*self.runc, *arguments], capture_output=True, text=True, timeout=60, check=True
        ).stdout  # fmt: skip


class Containers:
    """Starts containers, whose files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runc = ("runc", "--root", str(folder / "state"))
        self._started: list[Container] = []

    def run(self, argv: Sequence[str], *, timeout: float = _PATIENCE, **options: Any) -> Ended:
        """Run `argv` in a container of its own to its end. The options are those of `start`."""
        return self.start(argv, **options).wait(timeout)

    def start(
        self,
        argv: Sequence[str],
        *,
        root: Path | None = None,
        user: int = NOBODY,
        memory: int | None = None,
        pids: int | None = None,
        cpus: float | None = None,
        environment: Mapping[str, str] | None = None,
        mounts: Sequence[Mount] = (),
        tmp: Mount | None = TMP,
        stdin: bytes | None = b"",
        own_cgroups: bool = False,
        writable: bool = False,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> Container:
        """Start `argv` as PID 1 of a new container.

        Args:
            argv: The program and its arguments.
            root: Its root file system, read-only; by default `roots.debian()`.
            user: Who it runs as, in a group of the same number.
            memory: The limit in MiB.
            pids: How many processes and threads it may have.
            cpus: How many processors it may use.
            environment: Its variables, besides `PATH`.
            mounts: What is mounted besides the usual.
            tmp: What `/tmp` is; None leaves that of the image, which can't be written to.
            stdin: What it reads; None leaves its standard input open, for `process.stdin`.
            own_cgroups: Whether its group looks like the root of all, as it does in Kubernetes with cgroup v2.
            writable: Whether the root can be written to; it is a copy of `root` then.
            change: Gets the document for runc, to change what no option is for.
        """
        name = f"supervisor-{uuid.uuid4().hex[:12]}"
        bundle = self._folder / name
        bundle.mkdir()
        subprocess.run(["runc", "spec"], cwd=bundle, timeout=60, check=True)
        document = json.loads((bundle / "config.json").read_text())
        root = (root or roots.debian()).resolve()  # runc takes no links
        if writable:
            # Links, not copies: whoever overwrites a file of the image in place spoils it for all.
            subprocess.run(["cp", "--archive", "--link", root, bundle / "root"], timeout=60, check=True)
            root = bundle / "root"
        _fill(document, root, [*([tmp] if tmp else []), *mounts], readonly=not writable)
        document["process"].update(
            args=list(argv),
            env=[f"{key}={value}" for key, value in {"PATH": "/usr/bin:/bin", **(environment or {})}.items()],
            user={"uid": user, "gid": user},
        )
        document["linux"]["resources"] = _limits(memory, pids, cpus)
        if own_cgroups:
            document["linux"]["namespaces"].append({"type": "cgroup"})
        if change is not None:
            change(document)
        (bundle / "config.json").write_text(json.dumps(document))
        given = bundle / "stdin"
        given.write_bytes(stdin or b"")
        with given.open("rb") as source:
            process = subprocess.Popen(
                [*self._runc, "run", "--bundle", str(bundle), name],
                stdin=subprocess.PIPE if stdin is None else source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        container = Container(name, process, self._runc)
        self._started.append(container)
        return container

    def close(self) -> None:
        """Kill and forget all containers."""
        for container in self._started:
            container.remove()
            with container.process as process:
                process.kill()


def _fill(document: dict[str, Any], root: Path, mounts: Sequence[Mount], *, readonly: bool) -> None:
    """Make the document that `runc spec` writes one of a container with few rights."""
    document["root"] = {"path": str(root), "readonly": readonly}
    process = document["process"]
    process.update(terminal=False, cwd="/", noNewPrivileges=True)
    process["capabilities"] = {kind: [] for kind in process["capabilities"]}
    process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}]
    document["mounts"] += [mount.document() for mount in mounts]
    linux = document["linux"]
    # Not the network's namespace: test servers listen on loopback.
    linux["namespaces"] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]


def _limits(memory: int | None, pids: int | None, cpus: float | None) -> dict[str, Any]:
    limits: dict[str, Any] = {"devices": [{"allow": False, "access": "rwm"}]}
    if memory is not None:
        limits["memory"] = {"limit": memory * _MIB}
    if pids is not None:
        limits["pids"] = {"limit": pids}
    if cpus is not None:
        limits["cpu"] = {"quota": int(cpus * 100_000), "period": 100_000}
    return limits


@pytest.fixture
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """Starts containers; everything that still runs in them at the end of the test is killed."""
    need("runc")
    need_root()
    made = Containers(tmp_path_factory.mktemp("containers"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def unfrozen(tmp_path_factory: pytest.TempPathFactory) -> Supervisor:
    """The supervisor as it is in this repository, run by this very Python: at `/oscar/bin/supervisor`."""
    bin_ = tmp_path_factory.mktemp("bin")
    source, site = "/opt/supervisor/source", "/opt/supervisor/site"
    start = bin_ / "supervisor"
    # No variable tells where the modules are, since the script would inherit it.
    start.write_text(
        f"#!{os.path.realpath(sys.executable)}\n"
        f"import sys\nsys.path[:0] = [{source!r}, {site!r}]\n"
        "from faas_supervisor.__main__ import main\nmain()\n"
    )
    bin_.chmod(0o755)
    start.chmod(0o755)
    packages = [ROOT / "faas_supervisor", *ROOT.glob("plugins/*/faas_supervisor_*")]
    mounts = [
        Mount("/oscar/bin", bin_),
        Mount(site, Path(sysconfig.get_paths()["purelib"])),
        *(Mount(f"{source}/{package.name}", package) for package in packages),
    ]
    if sys.base_prefix != "/usr":  # that one is in the root, in the same version
        mounts.append(Mount(sys.base_prefix, Path(sys.base_prefix)))
    return Supervisor(("/oscar/bin/supervisor",), tuple(mounts))
