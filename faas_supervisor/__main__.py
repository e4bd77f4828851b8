"""The command `supervisor`: a front when started without arguments, a command line with them."""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run, and exit with the code that tells what happened."""
    # A launcher that starts another program passes on the name that it was started under.
    if os.path.basename(os.environ.get("_SUP_NAME") or sys.argv[0]) == "fwatchdog":  # noqa: PTH119  # no pathlib yet
        from faas_supervisor.fronts import watchdog  # noqa: PLC0415  # the other fronts need none of it

        sys.exit(watchdog.main(sys.argv[1:], os.environ))
    by_hand = sys.stdin is not None and sys.stdin.isatty()
    if len(sys.argv) > 1 or by_hand or "_SUPERVISOR_COMPLETE" in os.environ:
        from faas_supervisor.cli import supervisor  # noqa: PLC0415  # click costs a third of a start

        supervisor()
    gc.disable()  # what is imported stays, and is not worth looking through again and again
    from faas_supervisor.fronts import job  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    # Everything is written, and nothing of ours is open: taking the interpreter apart costs a tenth of a run.
    os._exit(job.main(os.environ))


if __name__ == "__main__":
    main()
