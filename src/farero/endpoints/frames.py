"""One connection to a replica that carries many requests at once: the framed form of its Unix socket.

After the four bytes `FRO1` both sides send frames, answers in any order:

    u32 LENGTH of what follows | u32 ID | u16 HEAD_LENGTH | HEAD (JSON object, UTF-8) | BODY

A caller that goes away only drops its place; a late answer finds nobody and is thrown away, so nobody else notices.
When the connection breaks, every request on it that has no answer fails with `ReplicaLost`.
"""

from __future__ import annotations

import asyncio
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAGIC = b"FRO1"
#: Largest frame that is read; a longer one is a broken peer.
FRAME_LIMIT = 256 * 1024 * 1024
#: Heads of answers are few and alike; this many of a connection, and none longer, are parsed once.
MOST_HEADS = 64
LONGEST_KEPT_HEAD = 512
#: Bytes that may wait for a replica to read them before more requests are held back; the default of 64 KiB is less
#: than one request to a model of signals or images, which would all go the long way.
WRITE_LIMIT = 8 * 1024 * 1024
#: So many requests leave without waiting for the end of the turn: the replica shall have work while the gateway still
#: reads what else came, or each would wait for the other. Of fewer it makes smaller batches, each of which costs it a
#: prediction: with 8 in place of 32 the replica takes a sixth more CPU a request, at 16 and at 64 connections.
SENT_EARLY = 32
#: Timers of a loop may be early by its resolution.
_EARLY_S = 0.002
#: Of which a frame consists here: prefix, head and body.
_PIECES = 3

_PREFIX = struct.Struct(">IIH")
_pack, _unpack_from, _PREFIX_SIZE = _PREFIX.pack, _PREFIX.unpack_from, _PREFIX.size
_LENGTH_SIZE = 4
#: Of a frame's prefix, what its length counts.
_COUNTED_PREFIX = _PREFIX_SIZE - _LENGTH_SIZE


class ReplicaLost(Exception):  # noqa: N818 - an event, not a fault of ours
    """The connection to the replica broke, or was never there, before the answer came."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """What a replica answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: How long the caller waited for it.
    seconds: float = 0.0


class ReplyHead(msgspec.Struct, eq=False):
    """What stands before the body of an answer; answers of one connection whose heads are equal share one object."""

    status: int
    headers: dict[str, str] = {}


class Waiting(Protocol):
    """Who waits for an answer: one of the two is called, once, within a callback of the connection."""

    #: When the request was sent, by the connection's clock; the connection sets it.
    sent: float

    def answered(self, head: ReplyHead, body: bytes, at: float) -> None:
        """Take the answer, which came at `at` by the connection's clock."""
        ...

    def failed(self, error: ReplicaLost | TimeoutError) -> None:
        """Learn that there will be none."""
        ...


_decode_head = msgspec.json.Decoder(ReplyHead).decode
_encode = msgspec.json.Encoder().encode


def request_head(path: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request."""
    return _encode({"path": path, "headers": headers})


class _Caller:
    """A coroutine that waits."""

    __slots__ = ("future", "sent")

    def __init__(self, future: asyncio.Future[Reply]) -> None:
        self.future = future
        self.sent = 0.0

    def answered(self, head: ReplyHead, body: bytes, at: float) -> None:
        if not self.future.done():
            reply = Reply(
                status=head.status, headers=head.headers, body=body, seconds=at - self.sent
            )
            self.future.set_result(reply)

    def failed(self, error: ReplicaLost | TimeoutError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class FramedConnection(asyncio.Protocol):
    """The gateway's end of one connection.

    timeout_s: how long any request may wait for its answer.
    settle: called after every batch of answers, and of failures, has been handed out.
    """

    def __init__(
        self,
        timeout_s: float = 60.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._settle = settle
        self._transport: asyncio.WriteTransport | None = None
        #: Frames that leave together, at the end of this turn of the event loop or before.
        self._leaving: list[bytes] = []
        #: In the order they were sent, so the first is the first to time out.
        self._pending: dict[int, Waiting] = {}
        self._last_id = 0
        #: The beginning of a frame, and how long it must be before it is looked at again.
        self._buffer = bytearray()
        self._wanted = _PREFIX_SIZE
        self._heads: dict[bytes, ReplyHead] = {}
        #: One for all requests: it is set for the oldest, and set anew when it fires.
        self._timer: asyncio.TimerHandle | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        #: Whether `send` may be called: the connection is open and the replica reads. Asked for each request.
        self.is_ready = False

    @property
    def is_open(self) -> bool:
        """Say whether requests can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def in_flight(self) -> int:
        """Number of requests without an answer."""
        return len(self._pending)

    def send(self, head: bytes, body: bytes, waiting: Waiting) -> int:
        """Send one request, with others of this turn of the loop, and return its number; `is_ready` must hold."""
        self._last_id = number = (self._last_id + 1) & 0xFFFFFFFF
        waiting.sent = self._monotonic()
        self._pending[number] = waiting
        if self._timer is None:
            self._set_timer(self._timeout_s)
        leaving = self._leaving
        if not leaving:
            asyncio.get_running_loop().call_soon(self._flush)
        size = len(head)
        leaving += (_pack(_COUNTED_PREFIX + size + len(body), number, size), head, body)
        if len(leaving) >= _PIECES * SENT_EARLY:
            self._flush()
        return number

    async def request(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and wait for its answer. Raises ReplicaLost or TimeoutError."""
        if not self._may_write.is_set():
            async with asyncio.timeout(self._timeout_s):
                await self._may_write.wait()
        if not self.is_open:
            raise ReplicaLost
        caller = _Caller(asyncio.get_running_loop().create_future())
        number = self.send(request_head(path, headers), body, caller)
        try:
            return await caller.future
        finally:
            self._pending.pop(number, None)

    def close(self) -> None:
        """Close; requests in flight fail with ReplicaLost."""
        self.is_ready = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the replica."""
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.set_write_buffer_limits(WRITE_LIMIT)
        self._transport.write(MAGIC)
        self.is_ready = self._may_write.is_set()

    def data_received(self, data: bytes) -> None:
        """Hand every complete frame to its caller."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        at, start, end = self._monotonic(), 0, len(data)
        self._wanted = _PREFIX_SIZE
        pending, heads = self._pending, self._heads
        while end - start >= _PREFIX_SIZE:
            length, number, head_length = _unpack_from(data, start)
            if length > FRAME_LIMIT or head_length + _COUNTED_PREFIX > length:
                self.close()
                break
            stop = start + _LENGTH_SIZE + length
            if stop > end:
                self._wanted = stop - start
                break
            waiting = pending.pop(number, None)
            if waiting is not None:
                head_at = start + _PREFIX_SIZE
                body_at = head_at + head_length
                raw = data[head_at:body_at]
                head = heads.get(raw) or self._read_head(waiting, raw)
                if head is not None:
                    waiting.answered(head, data[body_at:stop], at)
            start = stop
        if start < end:
            self._buffer += data[start:] if start else data
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is in flight."""
        self._transport = None
        self.is_ready = False
        self._may_write.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lost, self._pending = self._pending, {}
        for waiting in lost.values():
            error = ReplicaLost()
            error.__cause__ = exc
            waiting.failed(error)
        self._settle()

    def pause_writing(self) -> None:
        """Hold new requests back while the replica reads slowly."""
        self.is_ready = False
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Let requests through again."""
        self._may_write.set()
        self.is_ready = self.is_open

    def _flush(self) -> None:
        leaving, self._leaving = self._leaving, []
        if leaving and self._transport is not None:
            self._transport.write(b"".join(leaving))

    def _read_head(self, waiting: Waiting, raw: bytes) -> ReplyHead | None:
        """Parse the head of an answer; one that cannot be is no answer."""
        try:
            head = _decode_head(raw)
        except msgspec.MsgspecError as error:
            waiting.failed(ReplicaLost(f"malformed answer: {error}"))
            return None
        if len(raw) <= LONGEST_KEPT_HEAD:
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            self._heads[raw] = head
        return head

    def _set_timer(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, seconds), self._expire)

    def _expire(self) -> None:
        """Give up what has waited too long; look again when the next is due."""
        self._timer = None
        oldest_ok = self._monotonic() - self._timeout_s + _EARLY_S
        for number, waiting in list(self._pending.items()):
            if waiting.sent > oldest_ok:
                self._set_timer(waiting.sent - oldest_ok + _EARLY_S)
                break
            del self._pending[number]
            waiting.failed(TimeoutError())
        self._settle()
