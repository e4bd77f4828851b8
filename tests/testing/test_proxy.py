"""The fault proxy does to connections what it was told to."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from faas_supervisor.testing import FaultProxy, Toxics


@pytest.fixture
def echo():
    """A server that sends back what it gets; gives its URL and the lengths of the pieces that reached it."""
    listener = socket.create_server(("127.0.0.1", 0))
    pieces: list[int] = []

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 20):
                pieces.append(len(data))
                connection.sendall(data)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", pieces
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    assert not thread.is_alive()


@pytest.fixture
def proxy(echo):
    with FaultProxy(echo[0]) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    port = int(proxy.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        yield client


def received(client, size):
    data = b""
    while len(data) < size and (more := client.recv(size - len(data))):
        data += more
    return data


def test_without_toxics_everything_passes(client):
    data = bytes(range(256)) * 1000
    threading.Thread(target=client.sendall, args=(data,)).start()
    assert received(client, len(data)) == data


def test_the_end_of_one_direction_is_passed_on(client):
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert received(client, 1000) == b"last words"


def test_limit_data_ends_the_connection_after_so_many_bytes(proxy, client):
    proxy.down = Toxics(limit_data=10)
    client.sendall(b"x" * 100)
    assert received(client, 100) == b"x" * 10
    assert client.recv(1) == b""


def test_limit_data_upwards_keeps_the_rest_from_the_server(proxy, client, echo):
    proxy.up = Toxics(limit_data=10)
    client.sendall(b"x" * 100)
    received(client, 100)
    assert sum(echo[1]) <= 10


def test_reset_peer_resets(proxy, client):
    proxy.down = Toxics(reset_peer=10)
    client.sendall(b"x" * 100)
    with pytest.raises(ConnectionResetError):
        received(client, 100)


def test_timeout_lets_nothing_pass_until_it_is_taken_away(proxy, client):
    proxy.down = Toxics(timeout=True)
    client.sendall(b"late")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)

    proxy.down = Toxics()

    client.settimeout(10)
    assert received(client, 4) == b"late"


def test_slicer_cuts_into_pieces(proxy, client, echo):
    proxy.up = Toxics(slicer=7, latency=0.01)
    client.sendall(b"x" * 20)
    assert received(client, 20) == b"x" * 20
    assert len(echo[1]) >= 3
    assert max(echo[1]) <= 7


@pytest.mark.parametrize("toxics", [Toxics(latency=60), Toxics(bandwidth=1, slicer=60)], ids=["latency", "bandwidth"])
def test_slow_directions_hold_bytes_back_and_do_not_delay_the_end(proxy, client, toxics):
    proxy.down = toxics
    client.sendall(b"x" * 60)
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)


def test_connections_are_counted_and_cut_at_the_end(echo):
    before = set(threading.enumerate())
    with contextlib.ExitStack() as stack, FaultProxy(echo[0]) as proxy:
        address = ("127.0.0.1", int(proxy.url.rpartition(":")[2]))
        clients = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(3)]
        for client in clients:
            client.sendall(b"x")
            assert received(client, 1) == b"x"
        assert proxy.connections == 3
        proxy.close()
        for client in clients:
            assert client.recv(10) == b""
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.name == "fault-proxy"]


def test_a_url_without_a_port_is_refused():
    with pytest.raises(ValueError, match="no host and port"):
        FaultProxy("http://localhost")
