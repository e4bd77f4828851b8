"""An emulated Onedata in a process of its own: prints a provider's settings, and runs until its input ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from faas_supervisor_onedata.testing import OnedataEmulator
from plugins.onedata.tests.conftest import Certificates


def main() -> None:
    """Serve below the folder that is named on the command line."""
    home = Path(sys.argv[1])
    certificates = Certificates(home)  # type: ignore[no-untyped-call]  # tests are not typed
    zone = home / "zone"
    zone.mkdir()
    with OnedataEmulator(zone, certificates.context) as emulator:
        emulator.add_provider("bench")
        emulator.add_space("bench", emulator.providers[0])
        settings = {
            "oneprovider_host": emulator.providers[0].domain,
            "onezone_host": emulator.zone_host,
            "token": emulator.add_token(),
            "space": "bench",
            "ca_bundle": str(certificates.authority),
        }
        print(json.dumps(settings), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
