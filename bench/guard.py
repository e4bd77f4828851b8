"""`python -m bench.guard`: what the memory guard costs, and how often it is faster than the kernel. As root.

In a memory cgroup of 256 MiB, made for it below our own (version 1). The guard alone keeps the limit: the script gets
no cgroup.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Failed
from faas_supervisor.cgroup import own_group
from faas_supervisor.config import Limits, Threshold
from faas_supervisor.errors import LimitExceeded
from faas_supervisor.script import run_limited
from faas_supervisor.stop import Stop

MIB = 1 << 20
LIMIT = 256 * MIB
RUNS = 20
SECONDS = 20

TOUCH = "#include <stdlib.h>\nint main(){volatile char*p=malloc(1L<<30);for(long i=0;i<1L<<30;i+=4096)p[i]=1;}\n"
FAST = {
    "python, one bytearray of 1 GiB": [sys.executable, "-c", "bytearray(1 << 30)"],
    "python, 1 MiB after the other": [sys.executable, "-c", "d = []\nwhile 1: d.append(bytearray(1 << 20))"],
}
IDLE = {
    "limit far (10 of 256 MiB)": ["/bin/sleep", str(SECONDS)],
    "limit near (220 of 256 MiB)": [
        sys.executable,
        "-c",
        f"import time; d = bytearray(b'x') * (190 << 20); time.sleep({SECONDS})",
    ],
}


class _Sink:
    def write(self, _data: bytes) -> None:
        pass


def run(argv: list[str], guard: Threshold) -> str:
    """Run a script, and return what ended it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_limited(
                argv,
                {"PATH": os.environ["PATH"], "TMP_OUTPUT_DIR": folder},
                limits=Limits(),
                guard=guard,
                output=Path(folder),
                stdout=_Sink(),
                stderr=_Sink(),
                stop=Stop(),
            )
        except LimitExceeded as error:
            return "kernel" if "oom_kill" in error.message else "guard"
        return "itself"


def _cost(argv: list[str], guard: Threshold) -> float:
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    run(argv, guard)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / (time.monotonic() - begun)


def _measure() -> None:
    on = Threshold(percent=95.0)
    run(["/bin/true"], on)  # so that nothing is imported later
    with tempfile.TemporaryDirectory() as folder:
        touch = Path(folder) / "touch"
        subprocess.run(["cc", "-O2", "-x", "c", "-", "-o", str(touch)], input=TOUCH.encode(), check=True)
        for name, argv in {"C, one byte in each page": [str(touch)], **FAST}.items():
            ended = [run(argv, on) for _ in range(RUNS)]
            guard, kernel = ended.count("guard"), ended.count("kernel")
            print(f"{name}: the guard was faster in {guard} of {RUNS}, the kernel in {kernel}")
    for name, argv in IDLE.items():
        print(
            f"{name}: {100 * _cost(argv, on):.2f} % of a processor; {100 * _cost(argv, Threshold()):.2f} % without it"
        )


def measure_guard(letter: str) -> str:
    """Return the section on the memory guard, measured by a process of its own."""
    done = subprocess.run([sys.executable, "-m", "bench.guard"], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip())
    said = [f"- {line}" for line in done.stdout.splitlines()]
    text = (
        "In a memory cgroup of 256 MiB (version 1) that the script shares with the supervisor: who ends a script that "
        "takes memory as fast as it can, and what an idle script costs the supervisor, the guard included. "
        f"This section alone: `python -m bench --cases {letter}`, as root."
    )
    return "\n".join(["## The memory guard", "", text, "", *said, ""])


def main() -> None:
    """Measure in a group of our own."""
    own = own_group("memory")
    if own is None or own.version != 1:
        sys.exit("bench.guard: no memory cgroup of version 1")
    group = Path(own.folder) / f"bench-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(LIMIT))
        child = os.fork()
        if child == 0:
            (group / "cgroup.procs").write_text(str(os.getpid()))
            _measure()
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
    finally:
        group.rmdir()


if __name__ == "__main__":
    main()
