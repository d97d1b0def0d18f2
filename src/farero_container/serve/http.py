"""HTTP/1.1 on a replica's socket: the container contract, one request after the other on each connection.

Takes Content-Length and chunked bodies, keep-alive and Expect: 100-continue; what is malformed or ambiguous is answered
once and the connection closed (RFC 9112, 6.3 and 9.6).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from farero_container.serve.messages import BadRequest, Request, Response, refusal, too_large

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from farero_container.serve.messages import Taker

HEAD_LIMIT = 64 * 1024
HEAD_WITHIN_S = 10.0
BODY_WITHIN_S = 60.0
#: How long a refused caller is listened to, so that it hears why.
LINGER_S = 2.0
REASONS = {
    200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 413: "Content Too Large", 415: "Unsupported Media Type",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


class HttpForm:
    """One connection that does not begin as frames do."""

    def __init__(  # noqa: PLR0913 - what it serves, and its limits by name
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Taker,
        *,
        max_body_bytes: int,
        head_within_s: float = HEAD_WITHIN_S,
        body_within_s: float = BODY_WITHIN_S,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._max_body = max_body_bytes
        self._head_within_s = head_within_s
        self._body_within_s = body_within_s

    async def serve(self, first: bytes, *, is_last: Callable[[], bool]) -> None:
        """Answer requests to the connection's end; a caller that leaves harms nobody.

        first: what was read already. is_last: asked after each answer.
        """
        writer = self._writer
        try:
            keep = await self._one_request(first)
            while keep and not is_last():
                keep = await self._one_request(b"")
        except BadRequest as refused:
            with contextlib.suppress(ConnectionError):
                _write_http(writer, refusal(refused), close=True)
                await writer.drain()
                await _linger(self._reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one_request(self, start: bytes) -> bool:
        reader, writer = self._reader, self._writer
        start = start or await reader.readexactly(1)  # between requests a connection may rest
        async with _deadline(self._head_within_s, "the head did not come in time"):
            method, path, version, headers = await _read_head(start, reader)
        _check_framing(headers)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with _deadline(self._body_within_s, "the body did not come in time"):
            body = await self._read_body(headers)
        keep = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def reply(response: Response) -> None:
            self._handler.answered()
            if not answered.done():  # the server may have ended meanwhile
                answered.set_result(response)

        self._handler.take(Request(method, path, headers, body), reply)
        self._handler.settle()
        _write_http(writer, await answered, close=not keep, head_only=method == "HEAD")
        await writer.drain()
        return keep

    async def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if "transfer-encoding" in headers:
            return await self._read_chunks()
        length = int(headers.get("content-length", "0"))
        if length > self._max_body:
            raise too_large(length, self._max_body)
        return await self._reader.readexactly(length)

    async def _read_chunks(self) -> bytes:
        reader = self._reader
        pieces: list[bytes] = []
        size = 0
        while True:
            line = await _read_line(reader)
            try:
                length = int(line.split(b";")[0], 16)
            except ValueError as error:
                raise BadRequest(400, "a chunk's size is not hexadecimal") from error
            if length < 0 or size + length > self._max_body:
                raise too_large(size + max(length, 0), self._max_body)
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


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Throw away what a refused caller still sends, for a while: a socket closed on unread bytes loses the answer."""
    with contextlib.suppress(TimeoutError, ConnectionError, asyncio.LimitOverrunError):
        writer.write_eof()
        async with asyncio.timeout(LINGER_S):
            while await reader.read(HEAD_LIMIT):
                pass


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
