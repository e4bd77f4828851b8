"""Waiting for `100 Continue`: a body is not sent to a server that wants none, or wants it elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

__all__ = ["EXPECT", "PatientTransport"]

EXPECT: Final = {"Expect": "100-continue"}

# As long as curl waits. A server that does not know the header waits for the body.
_PATIENCE: Final = 1.0

_WANTED: Final = b"\r\nexpect: 100-continue\r\n"
_STATUS: Final = len(b"HTTP/1.1 100")

# What TLS brings at a time. Each piece that is handed on costs httpx more than decrypting it did.
_RECORD: Final = 16 * 1024


class PatientTransport(httpx.HTTPTransport):
    """HTTP/1.1 as httpx speaks it, except that a request with `Expect: 100-continue` waits before its body.

    httpx itself sends the body at once. dCache then never redirects an upload to a pool, but passes every byte on;
    and a door that redirects without reading resets the connection, by which its answer can be lost.
    """

    def __init__(self, context: ssl.SSLContext, limits: httpx.Limits, proxy: str | None = None) -> None:
        super().__init__(verify=context, limits=limits, proxy=proxy, trust_env=False)
        self._pool._network_backend = _Backend()  # noqa: SLF001  # httpx passes no backend on to httpcore


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    """One connection. httpcore writes the head of a request in one go, then its body."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream: Final = stream
        self._waiting = False
        self._early = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._early:
            early, self._early = self._early, b""
            return early
        if self._stream.get_extra_info("ssl_object") is None:
            return self._stream.read(max_bytes, timeout)
        pieces = [self._stream.read(_RECORD, timeout)]
        while pieces[-1] and len(pieces) * _RECORD < max_bytes and self._stream.get_extra_info("is_readable"):
            pieces.append(self._stream.read(_RECORD, timeout))
        return b"".join(pieces)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._waiting:
            self._waiting = False
            if not self._is_wanted():
                # httpcore stops sending, and reads the answer.
                raise httpcore.WriteError("the server answered before the body")
        elif buffer.endswith(b"\r\n\r\n") and _WANTED in buffer.lower():
            self._waiting = True
        # A view, since what is left after each partial write would be copied.
        self._stream.write(memoryview(buffer), timeout)  # type: ignore[arg-type]

    def _is_wanted(self) -> bool:
        """Wait a moment for an answer, and return whether the body may be sent: it is `100`, or there is none."""
        try:
            while len(self._early) < _STATUS:
                more = self._stream.read(_RECORD, _PATIENCE)
                if not more:
                    return False
                self._early += more
        except httpcore.ReadTimeout:
            return True
        return self._early.split(b" ", 1)[-1].startswith(b"100")

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  # as httpcore has it
        return self._stream.get_extra_info(info)
