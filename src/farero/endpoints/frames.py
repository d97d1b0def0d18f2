"""One connection to a replica that carries many requests at once: the framed form of its Unix socket.

After the four bytes `FRO1` both sides send frames, answers in any order:

    u32 LENGTH of what follows | u32 ID | u16 HEAD_LENGTH | HEAD (JSON object, UTF-8) | BODY

A caller that goes away only drops its future; a late answer finds no future and is thrown away, so nobody else
notices. When the connection breaks, every request on it that has no answer fails with `ReplicaLost`.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"FRO1"
#: Largest frame that is read; a longer one is a broken peer.
FRAME_LIMIT = 256 * 1024 * 1024

_PREFIX = struct.Struct(">IIH")
_LENGTH = struct.Struct(">I")


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


class _ResponseHead(msgspec.Struct):
    status: int
    headers: dict[str, str] = {}


_decode_head = msgspec.json.Decoder(_ResponseHead).decode
_encode_head = msgspec.json.Encoder().encode


class FramedConnection(asyncio.Protocol):
    """The gateway's end of one connection."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._pending: dict[int, asyncio.Future[Reply]] = {}
        self._last_id = 0
        self._buffer = bytearray()
        self._may_write = asyncio.Event()
        self._may_write.set()

    @property
    def is_open(self) -> bool:
        """Say whether requests can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def in_flight(self) -> int:
        """Number of requests without an answer."""
        return len(self._pending)

    async def request(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and wait for its answer. Raises ReplicaLost."""
        if not self._may_write.is_set():
            await self._may_write.wait()
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ReplicaLost
        self._last_id = number = (self._last_id + 1) & 0xFFFFFFFF
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            head = _encode_head({"path": path, "headers": headers})
            transport.write(encode(number, head, body))
            return await future
        finally:
            self._pending.pop(number, None)

    def close(self) -> None:
        """Close; requests in flight fail with ReplicaLost."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the replica."""
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(MAGIC)

    def data_received(self, data: bytes) -> None:
        """Hand every complete frame to its caller."""
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= _PREFIX.size:
            length, number, head_length = _PREFIX.unpack_from(buffer, start)
            if length > FRAME_LIMIT or head_length + 6 > length:
                self.close()
                return
            stop = start + _LENGTH.size + length
            if stop > end:
                break
            head_at = start + _PREFIX.size
            body_at = head_at + head_length
            self._answer(number, bytes(buffer[head_at:body_at]), bytes(buffer[body_at:stop]))
            start = stop
        if start:
            del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is in flight."""
        self._transport = None
        self._may_write.set()
        for future in self._pending.values():
            if not future.done():
                error = ReplicaLost()
                error.__cause__ = exc
                future.set_exception(error)

    def pause_writing(self) -> None:
        """Hold new requests back while the replica reads slowly."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Let requests through again."""
        self._may_write.set()

    def _answer(self, number: int, head: bytes, body: bytes) -> None:
        future = self._pending.get(number)
        if future is None or future.done():
            return
        try:
            parsed = _decode_head(head)
        except msgspec.MsgspecError as error:
            future.set_exception(ReplicaLost(f"malformed answer: {error}"))
            return
        future.set_result(Reply(status=parsed.status, headers=parsed.headers, body=body))


def encode(number: int, head: bytes, body: bytes) -> bytes:
    """Return one frame."""
    length = 4 + 2 + len(head) + len(body)
    return b"".join((_PREFIX.pack(length, number, len(head)), head, body))
