"""What a `ScriptedServer` can do wrong. Each function returns a fault for `ScriptedServer.fail_next`."""

from __future__ import annotations

import gzip as _gzip
from typing import TYPE_CHECKING

from faas_supervisor.testing.server import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faas_supervisor.testing.server import Exchange, Fault

__all__ = [
    "act",
    "change_etag",
    "gzip",
    "ignore_range",
    "redirect",
    "slow_answer",
    "stall",
    "status",
    "truncate",
]


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Fault:
    """Answer with this status instead of doing what was asked."""

    def fault(exchange: Exchange) -> None:
        exchange.send(Response(code, dict(headers or {}), body))

    return fault


def truncate(at: float = 0.5) -> Fault:
    """Close the connection when this share of the body, received or sent, has moved."""

    def fault(exchange: Exchange) -> None:
        _begin(exchange, at)
        exchange.cut()

    return fault


def stall(at: float = 0.5) -> Fault:
    """Go silent when this share of the body, received or sent, has moved; the connection stays open."""

    def fault(exchange: Exchange) -> None:
        _begin(exchange, at)
        exchange.hang()

    return fault


def slow_answer(seconds: float) -> Fault:
    """Do what was asked, but answer only after so many seconds."""

    def fault(exchange: Exchange) -> None:
        response = exchange.proper()
        exchange.server.closed.wait(seconds)
        exchange.send(response)

    return fault


def ignore_range() -> Fault:
    """Answer a request for a part with the whole object and status 200."""

    def fault(exchange: Exchange) -> None:
        exchange.send(exchange.proper(without="Range"))

    return fault


def change_etag(etag: str = '"another"') -> Fault:
    """Answer properly, but with another ETag, as if the object had been replaced."""

    def fault(exchange: Exchange) -> None:
        response = exchange.proper()
        kept = {name: value for name, value in response.headers.items() if name.lower() != "etag"}
        response.headers = {**kept, "ETag": etag}
        exchange.send(response)

    return fault


def gzip() -> Fault:
    """Compress the body of the answer, whether or not that was asked for."""

    def fault(exchange: Exchange) -> None:
        response = exchange.proper()
        headers = {**response.headers, "Content-Encoding": "gzip"}
        exchange.send(Response(response.status, headers, _gzip.compress(response.body)))

    return fault


def redirect(url: str, code: int = 307) -> Fault:
    """Send the client to the same path and query at another server, `url`."""

    def fault(exchange: Exchange) -> None:
        exchange.send(Response(code, {"Location": url.rstrip("/") + exchange.request.target}))

    return fault


def act(action: Callable[[], object]) -> Fault:
    """Do something, such as replacing the object, before the request is answered properly."""

    def fault(exchange: Exchange) -> None:
        action()
        exchange.send(exchange.proper())

    return fault


def _begin(exchange: Exchange, share: float) -> None:
    if exchange.length or exchange.chunked:
        exchange.read(int(exchange.length * share))
    else:
        response = exchange.proper()
        exchange.send(response, upto=int(len(response.body) * share))
