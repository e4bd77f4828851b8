"""The bytes of one connection: a bounded buffer, and the word when the client has gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel"]

# What may wait to be read; beyond it the kernel's buffers fill up, and the client has to wait.
_WAITING: Final = 256 * 1024


class Channel(asyncio.Protocol):
    """Reads and writes on one connection.

    Args:
        opened: Told about it once it is open.
        closed: Told about it once it is closed, by whichever side.
    """

    def __init__(self, opened: Callable[[Channel], None], closed: Callable[[Channel], None]) -> None:
        self._opened = opened
        self._closed = closed
        self._pieces: list[bytes] = []
        self._size = 0
        self._news = asyncio.Event()  # something came, or nothing will
        self._room = asyncio.Event()
        self._room.set()
        self._when_ended: Callable[[], object] | None = None
        self._lost = asyncio.Event()
        self.lost = False
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= _WAITING:
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """Keep the connection open: a client that has said everything may still listen."""
        self._end()
        self._news.set()
        return True

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # the signature of asyncio
        """See `asyncio.Protocol`."""
        self.lost = True
        self._end()
        for event in (self._lost, self._news, self._room):
            event.set()
        self._closed(self)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._room.clear()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._room.set()

    async def read(self) -> bytes:
        """Return what has come, after waiting for it; nothing at the end.

        Raises:
            ConnectionResetError: The connection is gone.
        """
        await self._news.wait()
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            if self._size >= _WAITING:
                self.transport.resume_reading()
            self._size = 0
            if not self.ended:
                self._news.clear()
            return data
        if self.lost:
            raise ConnectionResetError
        return b""

    async def write(self, data: bytes) -> None:
        """Write `data`, waiting until there is room for more.

        Raises:
            ConnectionResetError: The connection is gone.
        """
        if data:
            self.transport.write(data)
        await self._room.wait()
        if self.lost:
            raise ConnectionResetError

    def when_ended(self, act: Callable[[], object] | None) -> None:
        """Call `act` once the client sends no more, at once if that is so: it may have left, or only said everything.

        None takes back what was asked for.
        """
        self._when_ended = act
        if self.ended:
            self._end()

    async def gone(self) -> None:
        """Wait until the connection is closed, or broken."""
        await self._lost.wait()

    def _end(self) -> None:
        self.ended = True
        act, self._when_ended = self._when_ended, None
        if act is not None:
            act()
