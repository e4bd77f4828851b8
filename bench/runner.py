"""Runs one command and prints what it used. A process of its own, started with `-I -S` so that it is small.

The kernel counts a program's peak memory from before its `exec`, when the child still is a copy of its parent, and
never lowers the peak of a parent's children. So neither the large process of the benchmark nor one that has measured
before can tell.

    python -I -S runner.py SECONDS LOGFILE COMMAND...
"""

from __future__ import annotations

import os
import signal
import sys
import time

_MODE = 0o600


def main(limit: int, log: str, argv: list[str]) -> None:
    """Run `argv` for `limit` seconds at most; print exit status, CPU seconds, wall seconds and peak KiB."""
    begun = time.monotonic()
    pid = os.posix_spawnp(
        argv[0],
        argv,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(limit)
    _, status, usage = os.wait4(pid, 0)  # of the command and of all children that it waited for
    wall = time.monotonic() - begun
    print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
