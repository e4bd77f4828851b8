"""A store seen twice: straight, and through a server that fails on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from faas_supervisor.errors import StorageError
from faas_supervisor.testing._base import ContractBase, given
from faas_supervisor.testing._rig import Rig, finish_within
from faas_supervisor.testing.server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faas_supervisor.storage import StorageProvider

__all__ = ["FaultsBase", "FaultyRig", "operate"]


@dataclass(frozen=True, slots=True)
class FaultyRig:
    """The same store seen twice: straight (`rig`), and through a server that fails on demand (`through`)."""

    rig: Rig
    through: Rig
    server: ScriptedServer
    connect: Callable[[str], Rig]

    def fails(self, action: Callable[[], object], rule: str, *, within: float) -> StorageError:
        """Return the error that `action` must end with, in time."""
        __tracebackhide__ = True
        try:
            finish_within(within, action, rule)
        except StorageError as error:
            return error
        pytest.fail(f"{rule} (it returned as if nothing had happened)")


class FaultsBase(ContractBase):
    """The fixtures for tests with faults."""

    @pytest.fixture
    def faulty(self, request: pytest.FixtureRequest, rig: Rig) -> Iterator[FaultyRig]:
        """A provider made by `fault_url` that speaks to a scripted server in front of the real one."""
        make, real = given(request, "fault_url"), given(request, "server_url")
        opened: list[StorageProvider] = []

        def connect(url: str) -> Rig:
            provider = make(url)
            opened.append(provider)
            return Rig(provider, rig.root, rig.folder / f"through-{len(opened)}")

        with ScriptedServer(real) as server:
            yield FaultyRig(rig, connect(server.url), server, connect)
        for provider in opened:
            provider.close()

    def size(self) -> int:
        """Bytes in an object of several parts."""
        return 3 * self.part_size + 1


def operate(rig: Rig, operation: str, data: bytes = b"x") -> object:
    """Do one operation with the object `object`."""
    path = rig.path("object")
    actions: dict[str, Callable[[], object]] = {
        "download": lambda: rig.download("object"),
        "upload": lambda: rig.upload("object", data),
        "list": lambda: list(rig.provider.list(path)),
        "stat": lambda: rig.provider.stat(path),
    }
    return actions[operation]()
