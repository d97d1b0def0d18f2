"""The replica's socket: HTTP/1.1 (the container contract) and Farero's frames, told by the first four bytes.

A frame is `u32 length | u32 id | u16 head length | head (JSON) | body`, big-endian, the length counting what
follows it; answers come in any order. HTTP takes Content-Length and chunked bodies, keep-alive and Expect:
100-continue; what is malformed or ambiguous is answered once and the connection closed (RFC 9112, 6.3 and 9.6).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from farero_container.contract import MAX_BODY_BYTES

MAGIC = b"FRO1"
HEAD_LIMIT = 64 * 1024
HEAD_WITHIN_S = 10.0
BODY_WITHIN_S = 60.0
#: How long a refused caller is listened to, so that it hears why.
LINGER_S = 2.0
_FRAME = struct.Struct(">IIH")
REASONS = {
    200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 413: "Content Too Large", 415: "Unsupported Media Type",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


@dataclass(slots=True)
class Request:
    """One request to the container."""

    method: str
    path: str
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Response:
    """The container's answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


Handler = Callable[[Request], Awaitable[Response]]


class BadRequest(Exception):  # noqa: N818 - an answer, not a fault
    """The bytes are no request we read; answered once, then the connection is closed."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


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
        self._max_body = max_body_bytes
        self._head_within_s = head_within_s
        self._body_within_s = body_within_s
        self._busy: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_draining = False

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end; a caller that leaves harms nobody."""
        self._writers.add(writer)
        try:
            first = await reader.readexactly(1)  # a connection may rest before it speaks
            async with asyncio.timeout(self._head_within_s):
                first += await reader.readexactly(3)
            if first == MAGIC:
                await self._frames(reader, writer)
            else:
                await self._http(first, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def drain(self, within_s: float) -> None:
        """Finish what is being answered, then close everything."""
        self.is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._busy:
                    await asyncio.wait(self._busy)
                open_ones = list(self._writers)
                for writer in open_ones:
                    writer.close()
                await asyncio.gather(
                    *(writer.wait_closed() for writer in open_ones), return_exceptions=True
                )

    # -- frames

    async def _frames(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, number, head_length = _FRAME.unpack(await reader.readexactly(_FRAME.size))
            if head_length + 6 > length:
                return  # no frame; nothing after it can be told apart
            if length - 6 - head_length > self._max_body:
                await _skip(length - 6, reader)
                refused = _too_large(length - 6 - head_length, self._max_body)
                await _write_frame(number, _refusal(refused), writer)
                continue
            payload = await reader.readexactly(length - 6)
            request = _framed_request(payload[:head_length], payload[head_length:])
            if request is None:
                refused = BadRequest(400, "the frame's head is no JSON object with a path")
                await _write_frame(number, _refusal(refused), writer)
            else:
                self._spawn(self._answer_frame(number, request, writer))

    async def _answer_frame(
        self, number: int, request: Request, writer: asyncio.StreamWriter
    ) -> None:
        response = await self._handler(request)
        with contextlib.suppress(ConnectionError):  # the caller has left
            await _write_frame(number, response, writer)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    # -- HTTP/1.1

    async def _http(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head_start = first
        while True:
            try:
                keep = await self._one_request(head_start, reader, writer)
            except BadRequest as refused:
                _write_http(writer, _refusal(refused), close=True)
                await writer.drain()
                await _linger(reader, writer)
                return
            if not keep or self.is_draining:
                return
            head_start = b""

    async def _one_request(
        self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        start = start or await reader.readexactly(1)  # between requests a connection may rest
        async with _deadline(self._head_within_s, "the head did not come in time"):
            method, path, version, headers = await _read_head(start, reader)
        _check_framing(headers)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with _deadline(self._body_within_s, "the body did not come in time"):
            body = await self._read_body(headers, reader)
        keep = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            answered.set_result(await self._handler(Request(method, path, headers, body)))

        self._spawn(work())
        _write_http(writer, await answered, close=not keep, head_only=method == "HEAD")
        await writer.drain()
        return keep

    async def _read_body(self, headers: Mapping[str, str], reader: asyncio.StreamReader) -> bytes:
        if "transfer-encoding" in headers:
            return await self._read_chunks(reader)
        length = int(headers.get("content-length", "0"))
        if length > self._max_body:
            raise _too_large(length, self._max_body)
        return await reader.readexactly(length)

    async def _read_chunks(self, reader: asyncio.StreamReader) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            line = await _read_line(reader)
            try:
                length = int(line.split(b";")[0], 16)
            except ValueError as error:
                raise BadRequest(400, "a chunk's size is not hexadecimal") from error
            if length < 0 or size + length > self._max_body:
                raise _too_large(size + max(length, 0), self._max_body)
            if length == 0:
                while (await _read_line(reader)).strip():
                    pass
                return b"".join(pieces)
            pieces.append(await reader.readexactly(length))
            size += length
            if await reader.readexactly(2) != b"\r\n":
                raise BadRequest(400, "a chunk does not end where its size says")


@contextlib.asynccontextmanager
async def _deadline(within_s: float, text: str) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError as error:
        raise BadRequest(408, text) from error


def _framed_request(head: bytes, body: bytes) -> Request | None:
    """Return the request of a frame, None where its head is not what it should be."""
    try:
        given: Any = json.loads(head)
        path, headers = given["path"], given.get("headers", {})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(path, str) or not isinstance(headers, dict):
        return None
    named = cast("dict[str, str]", headers)
    return Request("GET" if path == "/ping" else "POST", path, named, body)


async def _write_frame(number: int, response: Response, writer: asyncio.StreamWriter) -> None:
    head = json.dumps({"status": response.status, "headers": response.headers}).encode()
    if writer.is_closing():
        return
    length = 6 + len(head) + len(response.body)
    writer.write(_FRAME.pack(length, number, len(head)) + head + response.body)
    await writer.drain()


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Throw away what a refused caller still sends, for a while: a socket closed on unread bytes loses the answer."""
    with contextlib.suppress(TimeoutError, ConnectionError, asyncio.LimitOverrunError):
        writer.write_eof()
        async with asyncio.timeout(LINGER_S):
            while await reader.read(HEAD_LIMIT):
                pass


async def _skip(size: int, reader: asyncio.StreamReader) -> None:
    while size:
        size -= len(await reader.readexactly(min(size, HEAD_LIMIT)))


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise BadRequest(400, "a line is too long") from error


async def _read_head(
    start: bytes, reader: asyncio.StreamReader
) -> tuple[str, str, str, dict[str, str]]:
    try:
        raw = start + await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise BadRequest(431, f"the head is larger than {HEAD_LIMIT} bytes") from error
    lines = raw.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400, "the request line is not METHOD PATH HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header has no name")
        key = name.lower()
        if key in headers and key in ("content-length", "transfer-encoding"):
            raise BadRequest(400, f"{key} is there twice")
        headers[key] = value.strip()
    return words[0], words[1].partition("?")[0], words[2], headers


def _check_framing(headers: Mapping[str, str]) -> None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None and length is not None:
        raise BadRequest(400, "Content-Length and Transfer-Encoding exclude each other")
    if coding is not None and coding.lower() != "chunked":
        raise BadRequest(400, f"Transfer-Encoding {coding!r} is not chunked")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise BadRequest(400, "Content-Length is not a number")


def _write_http(
    writer: asyncio.StreamWriter, response: Response, *, close: bool, head_only: bool = False
) -> None:
    lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Answer')}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append(f"content-length: {len(response.body)}")
    if close:
        lines.append("connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    writer.write(head if head_only or response.status == 204 else head + response.body)


def _refusal(refused: BadRequest) -> Response:
    body = refused.text.encode() + b"\n"
    return Response(refused.status, {"content-type": "text/plain"}, body)


def _too_large(size: int, limit: int) -> BadRequest:
    return BadRequest(
        413, f"the body has {size:,} bytes; at most {limit:,} are taken (MAX_CONTENT_LENGTH)"
    )
