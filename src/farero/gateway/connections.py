"""One HTTP connection: uvicorn's, with an end to what a caller may send before anyone knows who it is.

uvicorn's fast parser takes a head of any size, at any pace. Here a head ends at `HEAD_LIMIT` with 431 (414 if it is the
URL) and after `HEAD_WITHIN_S` with 408. Bodies have limits of their own (`bodies.py`).

uvicorn writes the head of an answer and its body one after the other, two system calls on asyncio and uvloop alike. A
gateway that is killed between them leaves a caller with a head alone, which boto3 does not ask for again: it retries
until an answer begins. Here both leave in one call.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

#: Most bytes of request line and headers. The longest that AWS's clients send, presigned URLs with a session token
#: and 2 KB of metadata, stay below 16 KiB.
HEAD_LIMIT = 64 * 1024
#: What a header costs besides its letters, as in HTTP/2 (RFC 9113, 6.5.2), so that 10,000 empty ones are too many.
HEADER_COST = 32
#: A head that has begun must be complete after this long; a connection must have begun one.
HEAD_WITHIN_S = 10.0
FIRST_HEAD_WITHIN_S = 75.0
#: A longer answer is worth no copy: it would not leave in one call anyway.
WHOLE_ANSWER = 64 * 1024


class HeadRefused(Exception):  # noqa: N818 - leaves a callback of the parser, nothing more
    """The head is not read any further."""


class WholeAnswers:
    """A transport that keeps the head of an answer back until its body comes, or until the loop's next turn."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send bytes, after those that were kept back."""
        if self._head:
            head, self._head = self._head, b""
            if len(head) + len(data) <= WHOLE_ANSWER:
                self._transport.write(head + data)
                return
            self._transport.write(head)
        elif data.startswith(b"HTTP/1.1 "):  # of a body that begins so nothing is lost but a moment
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close when everything is sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head and not self._transport.is_closing():
            head, self._head = self._head, b""
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        """Be the transport in everything else."""
        return getattr(self._transport, name)


class LimitedConnection(HttpToolsProtocol):
    """See the module's text."""

    _is_in_head = False
    #: The head began in the bytes that are being parsed: they may hold other things too and are not counted.
    _has_just_begun = False
    #: Bytes of the head as they came in, and what was parsed of it, each header with its cost.
    _head_size = 0
    _counted = 0
    _refusal = HTTPStatus.BAD_REQUEST
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request."""
        super().connection_made(cast("asyncio.Transport", WholeAnswers(transport, self.loop)))
        self._timer = self.loop.call_later(FIRST_HEAD_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; of a head that goes on, count the bytes and the seconds."""
        super().data_received(data)
        if not self._is_in_head or self.transport.is_closing():
            return
        if self._has_just_begun:
            self._has_just_begun = False
            self._stop_timer()
            self._timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)
            return
        # The parser keeps a header to itself until it ends: one without end is seen here alone.
        self._head_size += len(data)
        if self._head_size > HEAD_LIMIT:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._is_in_head = self._has_just_begun = True
        self._head_size = self._counted = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        self._count(len(url), HTTPStatus.REQUEST_URI_TOO_LONG)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        size = len(name) + len(value) + HEADER_COST
        self._count(size, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head."""
        self._is_in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or is not read further."""
        del msg  # says less than the status
        self._refuse(self._refusal)

    def _count(self, size: int, refusal: HTTPStatus) -> None:
        self._counted += size
        if self._counted > HEAD_LIMIT:
            self._refusal = refusal
            raise HeadRefused

    def _give_up(self) -> None:
        if self._is_in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        text = f"{status.phrase}\n".encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain\r\n"
            f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + text)
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
