"""The watchdog front: one resident process that answers requests, in the place of OpenFaaS's classic watchdog.

    connection ── head ──▶ place among max_inflight ── body to a file ──▶ invocation, or program ── file ──▶ connection

`_connection` speaks HTTP, `_calls` decides who runs and for how long, `fronts/_service` invokes.
"""

from __future__ import annotations

from faas_supervisor.fronts.watchdog._main import main, serve

__all__ = ["main", "serve"]
