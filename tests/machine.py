"""A machine with a kernel of its own, for what depends on cgroup v2: Linux in user mode, with this machine's files.

    python -m tests.machine COMMAND...

runs COMMAND in it, as root in this folder, and exits with its status. It has one processor, its own loopback,
and needs some 80 ms to start a program: what runs there is small and patient.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["run"]

_KERNEL = "linux.uml"
_MEMORY = "1280M"
_PATIENCE = 900.0

# PID 1. `nsdelegate` is how a real init mounts it; a process that stayed in the root group would keep the controllers
# from the others.
_INIT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=1777 run /run
mkdir /dev/shm
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 -o nsdelegate cgroup /sys/fs/cgroup
ip link set lo up
echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/init
echo $$ > /sys/fs/cgroup/init/cgroup.procs
stty -opost
sh {folder}/command
echo $? > {folder}/status
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, *, timeout: float = _PATIENCE) -> int:
    """Boot, run `command`, and return its exit status; what it writes goes to our standard output.

    Raises:
        RuntimeError: The machine did not boot, or did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="machine-") as name:
        folder = Path(name)
        init = folder / "init"
        init.write_text(_INIT.format(folder=folder))
        init.chmod(0o755)
        # In the host's folders neither owners nor FIFOs are quite what they are elsewhere.
        variables = {"PATH": os.environ["PATH"], "HOME": "/root", "TMPDIR": "/run", **(environment or {})}
        exports = [f"export {key}={shlex.quote(value)}" for key, value in variables.items()]
        (folder / "command").write_text(
            "\n".join([*exports, f"cd {shlex.quote(str(Path.cwd()))}", shlex.join(command), ""])
        )
        _boot(init, timeout)
        status = folder / "status"
        if not status.exists():
            raise RuntimeError("the machine ended before its command did")
        return int(status.read_text())


def _boot(init: Path, timeout: float) -> None:
    arguments = [f"mem={_MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rw", f"init={init}", "quiet", "loglevel=0"]
    consoles = ["con=null", "con0=fd:0,fd:1", "cgroup_no_v1=all"]
    # Every process in it is one of ours outside, and has to go with it.
    with subprocess.Popen(
        [_KERNEL, *arguments, *consoles], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as machine:
        try:
            machine.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"the machine did not end in {timeout} s") from error
        finally:
            if machine.poll() is None:
                os.killpg(machine.pid, signal.SIGKILL)


def _main() -> int:
    if shutil.which(_KERNEL) is None:
        print(f"{_KERNEL} is not installed (Debian: user-mode-linux)", file=sys.stderr)  # noqa: T201
        return 1
    kept = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "COV_")) or name == "CI"}
    sys.stdout.flush()
    return run(sys.argv[1:], {**kept, "IN_MACHINE": "1"})


if __name__ == "__main__":
    sys.exit(_main())
