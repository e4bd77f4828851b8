"""What lies between client and server: networks that break, redirects, and the core that recovers."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

import pytest

from faas_supervisor.errors import StorageError, Unavailable
from faas_supervisor.stop import Stop
from faas_supervisor.storage import ObjectRef
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._store import Store
from faas_supervisor.storage._transfer import Transfer
from faas_supervisor.testing._base import given
from faas_supervisor.testing._faulty import FaultsBase, FaultyRig, operate
from faas_supervisor.testing._rig import content, finish_within, require
from faas_supervisor.testing.faults import redirect, status, truncate
from faas_supervisor.testing.proxy import FaultProxy, Toxics
from faas_supervisor.testing.server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faas_supervisor.testing.server import Fault

__all__ = ["Networks", "Recovery", "Redirects"]

_CREDENTIALS: Final = {"authorization", "cookie", "x-amz-security-token", "x-auth-token"}

_PASSING_FAULTS: Final[dict[str, Fault]] = {
    "503": status(503),
    "429 with Retry-After": status(429, {"Retry-After": "1"}),
    "cut": truncate(at=0.5),
}


class Networks(FaultsBase):
    """Connections that break, hang or are slow, below HTTP."""

    @pytest.fixture
    def proxy(self, request: pytest.FixtureRequest) -> Iterator[FaultProxy]:
        """A TCP proxy in front of the real server."""
        with FaultProxy(given(request, "server_url")) as proxy:
            yield proxy

    def test_nobody_listening_is_unavailable(self, faulty: FaultyRig) -> None:
        """A refused connection is worth another try."""
        with socket.create_server(("127.0.0.1", 0)) as placeholder:
            port = placeholder.getsockname()[1]
        nowhere = faulty.connect(f"http://127.0.0.1:{port}")
        for operation in ("download", "upload", "list", "stat"):
            rule = "a refused connection must raise an error"
            error = faulty.fails(lambda: operate(nowhere, operation), rule, within=self.patience)  # noqa: B023
            require(isinstance(error, Unavailable), "a refused connection must raise `Unavailable`", error)

    @pytest.mark.parametrize("operation", ["download", "upload"])
    def test_a_reset_is_unavailable(self, faulty: FaultyRig, proxy: FaultProxy, operation: str) -> None:
        """Also in the middle of a body."""
        through = faulty.connect(proxy.url)
        data = content(self.size())
        faulty.rig.upload("object", data)
        proxy.down = proxy.up = Toxics(reset_peer=self.part_size // 2)

        rule = "a connection that was reset must raise an error"
        action = {"download": lambda: through.download("object"), "upload": lambda: through.upload("object", data)}
        error = faulty.fails(action[operation], rule, within=self.patience)

        require(error.retryable, "a connection that was reset must raise a `retryable` error", error)
        if operation == "download" or faulty.rig.provider.capabilities.atomic_upload:
            require(faulty.rig.download("object")[0] == data, "a failed transfer must not harm the object")

    def test_a_dead_network_is_given_up_on(self, faulty: FaultyRig, proxy: FaultProxy) -> None:
        """Nothing passes in either direction, and nobody says so."""
        through = faulty.connect(proxy.url)
        proxy.down = proxy.up = Toxics(timeout=True)
        for operation in ("download", "upload", "list", "stat"):
            rule = "a dead network must be given up on within `stall_time`"
            error = faulty.fails(lambda: operate(through, operation), rule, within=self.stall_time)  # noqa: B023
            require(isinstance(error, Unavailable), "a dead network must raise `Unavailable`", error)

    def test_a_poor_network_is_good_enough(self, faulty: FaultyRig, proxy: FaultProxy) -> None:
        """Bytes that come late and in small pieces are the right bytes."""
        through = faulty.connect(proxy.url)
        proxy.down = proxy.up = Toxics(latency=0.001, slicer=1000)
        data = content(100_000)

        through.upload("object", data)

        require(through.download("object")[0] == data, "small and late pieces must make no difference")


class Redirects(FaultsBase):
    """A redirect works or is an error, and never takes the credentials elsewhere."""

    @pytest.mark.parametrize("operation", ["download", "upload", "list", "stat"])
    def test_a_redirect_on_the_same_server_works_or_fails_clearly(self, faulty: FaultyRig, operation: str) -> None:
        """What is returned is right, or an error is raised."""
        faulty.rig.upload("object", b"old")
        faulty.server.fail_next("*", redirect(faulty.server.url), times=1)
        try:
            operate(faulty.through, operation, data=b"new")
        except StorageError:
            return
        if operation == "upload":
            require(faulty.rig.download("object")[0] == b"new", "a redirected upload must arrive or raise")

    @pytest.mark.parametrize("operation", ["download", "upload", "list", "stat"])
    def test_credentials_stay_with_their_server(self, faulty: FaultyRig, operation: str) -> None:
        """Another host or port sees none, whoever sends us there."""
        faulty.rig.upload("object", b"x")
        with ScriptedServer() as elsewhere:
            faulty.server.fail_next("*", redirect(elsewhere.url), times=None)
            with contextlib.suppress(StorageError):
                finish_within(self.patience, lambda: operate(faulty.through, operation), "a redirect must end")
            seen = [name for request in elsewhere.requests for name in request.headers if name.lower() in _CREDENTIALS]
            require(not seen, "credentials must not be sent to another server", seen)


class Recovery(FaultsBase):
    """With the core's retries, faults that pass are not noticed but in the log."""

    @pytest.mark.parametrize("fault", _PASSING_FAULTS.values(), ids=_PASSING_FAULTS.keys())
    @pytest.mark.parametrize("operation", ["download", "upload"])
    def test_the_core_recovers(self, faulty: FaultyRig, operation: str, fault: Fault) -> None:
        """A server that fails twice and then works ends in a transfer that is whole and verified."""
        data = content(self.part_size // 2)
        method = {"download": "GET", "upload": "PUT"}[operation]
        times = 1 if fault is _PASSING_FAULTS["cut"] else 2  # wrong bytes are tried again only once
        faulty.server.fail_next(method, fault, times=times)
        core = Transfer(Retry(deadline=self.patience, base=0.01), files=1, stop=Stop())
        store = Store("contract.test", lambda: faulty.through.provider)
        local = faulty.rig.local("transferred")

        if operation == "download":
            faulty.rig.upload("object", data)
            source = ObjectRef(faulty.rig.path("object"))
            core.download(store, source, local, partial=local.with_suffix(".partial"))
        else:
            local.write_bytes(data)
            core.upload(store, local, faulty.rig.path("object"))

        moved = local.read_bytes() if operation == "download" else faulty.rig.download("object")[0]
        require(moved == data, f"a {operation} that was tried again must be whole")
