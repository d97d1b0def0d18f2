"""The replica's socket: each connection speaks frames or HTTP/1.1, told by its first four bytes.

Frames are served within the transport's own callbacks; a connection of the other form is given to asyncio's streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, cast

from farero_container.contract import MAX_BODY_BYTES
from farero_container.serve.frames import MAGIC, FramedForm
from farero_container.serve.http import BODY_WITHIN_S, HEAD_LIMIT, HEAD_WITHIN_S, HttpForm

if TYPE_CHECKING:
    from farero_container.serve.messages import Alike, Handler, Reply, Request


class Connections:
    """All open connections of one server; drains them at the end."""

    def __init__(
        self,
        handler: Handler,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        head_within_s: float = HEAD_WITHIN_S,
        body_within_s: float = BODY_WITHIN_S,
    ) -> None:
        self._handler = handler
        self.max_body_bytes = max_body_bytes
        self.head_within_s = head_within_s
        self.body_within_s = body_within_s
        self.is_draining = False
        self._is_settling = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._open: dict[asyncio.Transport, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def protocol(self) -> asyncio.Protocol:
        """Return what serves one more connection, for `create_unix_server` and `create_server`."""
        return _Arriving(self)

    def take(self, request: Request, reply: Reply) -> None:
        """Hand a request on; its answer is told by `answered`."""
        self._expect(1)
        self._handler.take(request, reply)

    def take_alike(self, alike: Alike) -> None:
        """Hand several on, as `take` does one."""
        self._expect(len(alike.numbers))
        self._handler.take_alike(alike)

    def _expect(self, count: int) -> None:
        if not self._busy:
            self._idle.clear()
        self._busy += count

    def answered(self, count: int = 1) -> None:
        """Know that so many requests less wait."""
        self._busy -= count
        if not self._busy:
            self._idle.set()

    def settle(self) -> None:
        """Hand on that all has been taken; of several connections once for what came on all of them together."""
        if len(self._open) <= 1:
            self._handler.settle()
        elif not self._is_settling:
            self._is_settling = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        self._is_settling = False
        self._handler.settle()

    async def drain(self, within_s: float) -> None:
        """Finish what is being answered, then close everything."""
        self.is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._busy:
                    await self._idle.wait()
                await asyncio.sleep(0)  # the last answers are written in the loop's next turn
                closed = list(self._open.values())
                for transport in list(self._open):
                    transport.close()
                for event in closed:
                    await event.wait()

    def opened(self, transport: asyncio.Transport) -> None:
        """Know of a connection."""
        self._open[transport] = asyncio.Event()

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        if event := self._open.pop(transport, None):
            event.set()

    def speak_http(self, transport: asyncio.Transport, first: bytes) -> None:
        """Serve a connection by asyncio's streams."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_LIMIT, loop=loop)
        protocol = _Streams(reader, functools.partial(self.closed, transport), loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        form = HttpForm(
            reader, writer, self, max_body_bytes=self.max_body_bytes,
            head_within_s=self.head_within_s, body_within_s=self.body_within_s,
        )  # fmt: skip
        start, rest = first[:4], first[4:]
        if rest:
            protocol.data_received(rest)
        task = loop.create_task(form.serve(start, is_last=lambda: self.is_draining))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Arriving(asyncio.Protocol):
    """A connection, from its first byte; for good if it speaks frames."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._deadline: asyncio.TimerHandle | None = None
        self._form: FramedForm | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast("asyncio.Transport", transport)
        self._connections.opened(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._form is not None:
            self._form.feed(data)
            return
        self._first += data
        if len(self._first) >= len(MAGIC):
            self._decide()
        elif self._deadline is None and self._transport is not None:
            # a connection may rest before it speaks, not after one byte
            within_s = self._connections.head_within_s
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(within_s, self._transport.close)

    def _decide(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        assert self._transport is not None
        first, self._first = self._first, b""
        if not first.startswith(MAGIC):
            self._connections.speak_http(self._transport, first)
            return
        limit = self._connections.max_body_bytes
        self._form = FramedForm(self._transport, self._connections, max_body_bytes=limit)
        if len(first) > len(MAGIC):
            self._form.feed(first[len(MAGIC) :])

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        if self._deadline is not None:
            self._deadline.cancel()
        if self._transport is not None:
            self._connections.closed(self._transport)

    def pause_writing(self) -> None:
        """Take no more requests from a caller that does not read its answers."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Take requests again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


class _Streams(asyncio.StreamReaderProtocol):
    """asyncio's own, which tells when the connection is gone."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        on_lost: functools.partial[None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(reader, loop=loop)
        self._on_lost = on_lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_lost()
