"""One connection: request after request, each with its deadlines; h11 knows the protocol, this knows the clock.

Nothing of a body is kept in memory: it goes to its file as it comes, and an answer leaves from its file.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

import h11

from faas_supervisor.fronts.watchdog._head import LARGEST_HEAD, BadRequest, Head, read_head

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from faas_supervisor.fronts.watchdog._channel import Channel
    from faas_supervisor.fronts.watchdog._settings import Settings

__all__ = ["Connection", "Handler", "Reply", "overlaid"]

# A client that still sends when it gets an error has to be listened to for a moment: data that arrives at a closed
# socket makes the kernel reset the connection, and the answer may be lost with it (RFC 9112, 9.6).
_LINGER: Final = 2.0
_LINGER_BYTES: Final = 4 * 1024 * 1024

# When a client has said everything, nothing tells one that listens from one that left, until something is sent: a
# `100 Continue`, which clients of HTTP/1.1 discard (RFC 9110, 15.2.1), makes the kernel of one that left reset the
# connection. Seconds to wait before each; few, since Go's client takes no more than five.
_PROBES: Final = (0.0, 0.2, 2.0, 20.0)

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}

# An answer up to this size is read rather than sent from its file.
_SMALL: Final = 64 * 1024

_SNIFFED: Final = 512
_BINARY: Final = bytes((*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)))  # WHATWG, MIME Sniffing, section 3


class Reply(NamedTuple):
    """An answer.

    Attributes:
        body: As it is, or the file that holds it.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes | Path = b""


class Handler(Protocol):
    """What answers requests."""

    def answering(self, head: Head, connection: Connection, /) -> AbstractAsyncContextManager[Reply | None]:
        """Give the answer, or None when there is nobody to send it to; clean up when it has been sent, or can't be.

        The request's body is in `connection.body()`, for those who want it.
        """
        raise NotImplementedError


class Connection:
    """Serves one client until it leaves, is too slow, breaks the protocol, or `closing` is set.

    Attributes:
        closing: Whether the request under way must be the last one.
        waiting: Since when it has been without a request, by the loop's clock; None while there is one.
    """

    def __init__(self, channel: Channel, handler: Handler, settings: Settings) -> None:
        self._channel = channel
        self._handler = handler
        self._settings = settings
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
        self._deadline: float | None = None
        self.closing = False
        self.waiting: float | None = asyncio.get_running_loop().time()

    async def serve(self) -> None:
        """Serve until there is no more to do; failures of the client's are its own business."""
        try:
            while await self._one():
                self._protocol.start_next_cycle()
                self.waiting = asyncio.get_running_loop().time()
        except (ConnectionError, TimeoutError):
            self._channel.transport.abort()
        finally:
            self._channel.transport.close()

    async def _one(self) -> bool:
        """Serve one request, and return whether another may follow."""
        try:
            request = await self._request()
            if request is None:
                return False
            head = read_head(request)
        except h11.RemoteProtocolError as error:
            return await self._refuse(error.error_status_hint, str(error))
        except BadRequest as error:
            return await self._refuse(error.status, str(error))
        self.waiting = None
        async with self._handler.answering(head, self) as reply:
            if reply is None:
                return False
            await self._send(head, reply)
        if self._protocol.our_state is self._protocol.their_state is h11.DONE:
            return not self.closing
        await self._linger()
        return False

    async def _request(self) -> h11.Request | None:
        """Wait for a request, and for the rest of its head; None when none comes."""
        limit = self._settings.read_timeout or None
        if not self._protocol.trailing_data[0]:
            async with asyncio.timeout(limit):
                data = await self._channel.read()
            self._protocol.receive_data(data)
        loop = asyncio.get_running_loop()
        self._deadline = None if limit is None else loop.time() + limit
        async with asyncio.timeout_at(self._deadline):
            event = await self._event()
        return event if isinstance(event, h11.Request) else None

    async def _event(self) -> Any:  # noqa: ANN401  # h11's own type
        """Return the protocol's next event.

        Raises:
            h11.RemoteProtocolError: The client does not keep to it.
        """
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._channel.read())
        return event

    async def body(self, largest: int) -> AsyncGenerator[bytes, None]:
        """Yield the request's body as it comes.

        Raises:
            BadRequest: It ends too early, comes too slowly, or is larger than `largest`.
        """
        size = 0
        try:
            async with asyncio.timeout_at(self._deadline):
                if self._protocol.they_are_waiting_for_100_continue:
                    await self._write(h11.InformationalResponse(status_code=100, headers=[]))
                while isinstance(event := await self._event(), h11.Data):
                    size += len(event.data)
                    if largest and size > largest:
                        raise BadRequest(f"the body has more than {largest} bytes", 413)
                    yield bytes(event.data)
        except TimeoutError:
            raise BadRequest("the body did not come in time") from None
        except h11.RemoteProtocolError as error:
            raise BadRequest(str(error), error.error_status_hint) from error

    @asynccontextmanager
    async def watched(self, head: Head, left: Callable[[], object]) -> AsyncIterator[None]:
        """Call `left` if the client leaves meanwhile; one that only sends no more has not."""
        tasks: list[asyncio.Task[None]] = []

        def ended() -> None:  # few clients do that, so that most requests need no task
            tasks.append(asyncio.get_running_loop().create_task(self._left(head)))
            tasks[0].add_done_callback(lambda task: None if task.cancelled() else left())

        self._channel.when_ended(ended)
        try:
            yield
        finally:
            self._channel.when_ended(None)
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _left(self, head: Head) -> None:
        """Wait until a client that has said everything has left."""
        if head.version == "1.0":
            return  # it knows no interim responses
        for wait in _PROBES:
            await asyncio.sleep(wait)
            try:
                await self._write(h11.InformationalResponse(status_code=100, headers=[]))
            except ConnectionError:
                return
        await self._channel.gone()

    async def _refuse(self, status: int, message: str) -> bool:
        """Answer what is no request, and have done with this client."""
        if self._protocol.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.closing = True
            await self._send(
                None, Reply(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{message}\n".encode())
            )
            await self._linger()
        return False

    async def _send(self, head: Head | None, reply: Reply) -> None:
        """Send an answer, its body from the disk, within `write_timeout`."""
        async with asyncio.timeout(self._settings.write_timeout or None):
            if isinstance(reply.body, bytes):
                await self._send_bytes(head, reply, reply.body)
            else:
                with reply.body.open("rb") as stream:  # what was just written is in the page cache
                    size = os.fstat(stream.fileno()).st_size
                    if size <= _SMALL:
                        await self._send_bytes(head, reply, stream.read())
                    else:
                        await self._write(self._response(head, reply, size, stream.read(_SNIFFED)))
                        await self._send_file(stream, size)
            await self._write(h11.EndOfMessage())

    async def _send_bytes(self, head: Head | None, reply: Reply, body: bytes) -> None:
        """Send a small answer in one piece."""
        begun = self._protocol.send(self._response(head, reply, len(body), body[:_SNIFFED])) or b""
        await self._channel.write(begun + (self._protocol.send(h11.Data(data=body)) or b""))

    def _response(self, head: Head | None, reply: Reply, size: int, beginning: bytes) -> h11.Response:
        headers = overlaid({"Date": formatdate(usegmt=True)}, reply.headers)
        names = {name.lower() for name in headers}
        if reply.status in {204, 304} or head is None or head.version == "1.0":  # which know no chunks
            headers = {name: text for name, text in headers.items() if name.lower() != "transfer-encoding"}
            names.discard("transfer-encoding")
        if "transfer-encoding" not in names and reply.status not in {204, 304}:
            headers["Content-Length"] = str(size)
        if size and "content-type" not in names:
            headers["Content-Type"] = _sniff(beginning)
        # What is left of a body that nobody read would be taken for the next request.
        if self.closing or (head is not None and self._unread()):
            headers["Connection"] = "close"
        lines = [(name.encode(), os.fsencode(text)) for name, text in headers.items()]  # bytes, where a client sent any
        return h11.Response(status_code=reply.status, headers=lines, reason=_REASONS.get(reply.status, ""))

    def _unread(self) -> bool:
        """Whether there is more of the request to come; what is already here is passed over."""
        try:
            while self._protocol.their_state is h11.SEND_BODY and self._protocol.next_event() is not h11.NEED_DATA:
                pass
        except h11.RemoteProtocolError:
            return True
        return self._protocol.their_state is h11.SEND_BODY

    async def _send_file(self, stream: IO[bytes], size: int) -> None:
        loop = asyncio.get_running_loop()
        for piece in self._protocol.send_with_data_passthrough(h11.Data(data=cast("bytes", _Size(size)))) or ():
            if isinstance(piece, _Size):
                await self._channel.write(b"")
                # The kernel moves it; nothing passes through here. A client that reads too slowly meets the deadline.
                await loop.sendfile(self._channel.transport, stream, 0, size, fallback=True)
            else:
                await self._channel.write(piece)

    async def _write(self, event: h11.Event) -> None:
        await self._channel.write(self._protocol.send(event) or b"")

    async def _linger(self) -> None:
        """Send what there is, say that no more comes, and hear the client out for a moment."""
        transport = self._channel.transport
        if transport.can_write_eof() and not transport.is_closing():
            transport.write_eof()
        passed = 0
        try:
            async with asyncio.timeout(_LINGER):
                while passed < _LINGER_BYTES and (data := await self._channel.read()):
                    passed += len(data)
        except (TimeoutError, ConnectionError):
            pass


class _Size:
    """Stands for data of this size in h11, which only counts it."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


def overlaid(headers: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Return all of them; those of `others` take the place of headers of the same name, in whatever case."""
    names = {name.lower() for name in others}
    return {**{name: text for name, text in headers.items() if name.lower() not in names}, **others}


def _sniff(beginning: bytes) -> str:
    """Tell text from bytes, as far as a client of functions needs it. Source: WHATWG, MIME Sniffing, section 7.2."""
    binary = beginning.translate(None, _BINARY) != beginning
    return "application/octet-stream" if binary else "text/plain; charset=utf-8"
