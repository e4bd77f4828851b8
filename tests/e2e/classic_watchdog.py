"""What OpenFaaS's classic watchdog does with the process of a request: fork, pipes, combined output, one kill.

    python classic_watchdog.py TIMEOUT PROGRAM...  <body  >answer

Its own standard error is the container's log. Written after the behaviour of version 0.2.1: with `combine_output`, one
pipe takes both streams of the program; at `exec_timeout` the program's process alone is killed, and whoever else holds
the pipe is waited for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def main(timeout: float, argv: list[str]) -> None:
    combined = (os.environ.get("combine_output") or "true") == "true"  # noqa: SIM112  # its name
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if combined else subprocess.PIPE,
    )
    killer = threading.Timer(timeout, process.kill)
    killer.start()
    out, err = process.communicate(sys.stdin.buffer.read())
    killer.cancel()
    sys.stderr.buffer.write(err or b"")
    if process.returncode:
        sys.stdout.buffer.write(f"exit status {process.returncode}\n".encode())
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
