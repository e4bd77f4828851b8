"""The conformance kit: tests that every storage provider must pass, and servers that misbehave on purpose.

    from faas_supervisor.testing import StorageContract

    class TestMyProvider(StorageContract):
        @pytest.fixture
        def provider(self): ...        # fresh, and empty below `root`

It needs pytest and hypothesis, which the core itself does not.
"""

from __future__ import annotations

from faas_supervisor.testing import faults
from faas_supervisor.testing._contract import LocalStorageContract, StorageContract
from faas_supervisor.testing.proxy import FaultProxy, Toxics
from faas_supervisor.testing.server import Exchange, Request, Response, ScriptedServer

__all__ = [
    "Exchange",
    "FaultProxy",
    "LocalStorageContract",
    "Request",
    "Response",
    "ScriptedServer",
    "StorageContract",
    "Toxics",
    "faults",
]
