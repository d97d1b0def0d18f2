"""One HTTP connection: uvicorn's, with an end to what a caller may send before anyone knows who it is.

uvicorn's fast parser takes a head of any size, at any pace. Here a head ends at `HEAD_LIMIT` with 431 (414 if it is the
URL) and after `HEAD_WITHIN_S` with 408, and so does a body that trickles. How large a body may be: `bodies.py`.

uvicorn writes the head of an answer and its body one after the other, two system calls on asyncio and uvloop alike. A
gateway that is killed between them leaves a caller with a head alone, which boto3 does not ask for again: it retries
until an answer begins. Here both leave in one call.

A request that the fast path takes (`fast_path.py`) gets no cycle of uvicorn's; every other one does, as if there were
no fast path. Only a request that comes while no other is under way on its connection is offered to it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from farero.aws.wire.messages import Headers
from farero.gateway.asgi import send_response
from farero.gateway.bodies import BodyReader
from farero.gateway.fast_path import FastCycle

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from farero.aws.wire.messages import HttpResponse
    from farero.gateway.alike import Pattern
    from farero.gateway.fast_path import FastPath

#: Most bytes of request line and headers. The longest that AWS's clients send, presigned URLs with a session token
#: and 2 KB of metadata, stay below 16 KiB.
HEAD_LIMIT = 64 * 1024
#: What a header costs besides its letters, as in HTTP/2 (RFC 9113, 6.5.2), so that 10,000 empty ones are too many.
HEADER_COST = 32
#: A head that has begun must be complete after this long; a connection must have begun one.
HEAD_WITHIN_S = 10.0
FIRST_HEAD_WITHIN_S = 75.0
#: A body must bring this much in each such span, or its end: the least is 1 KB a second.
LEAST_BODY = 10 * 1024
LOOK_AT_BODY_EVERY_S = 10.0
#: A longer answer is worth no copy: it would not leave in one call anyway.
WHOLE_ANSWER = 64 * 1024
#: So often a connection's requests may leave what the next could share; if none ever does, it is no use.
MOST_LEARNED = 32


class HeadRefused(Exception):  # noqa: N818 - leaves a callback of the parser, nothing more
    """The head is not read any further."""


class WholeAnswers:
    """A transport that keeps the head of an answer back until its body comes, or until the loop's next turn."""

    __slots__ = ("_head", "_loop", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        #: Say whether nothing can be sent any more; asked for every answer.
        self.is_closing = transport.is_closing

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

    def write_whole(self, head: bytes, body: bytes) -> None:
        """Send an answer at once."""
        if len(body) <= WHOLE_ANSWER:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def close(self) -> None:
        """Close when everything is sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head and not self.is_closing():
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
    #: Bytes of a body that did not come at once, since it was last looked at.
    _is_in_body = False
    _body_size = 0
    _body_timer: asyncio.TimerHandle | None = None
    #: When the last answer of the fast path left, and what closes the connection if nothing comes after it.
    _idle_since = 0.0
    _idle_timer: asyncio.TimerHandle | None = None

    def __init__(self, fast_path: FastPath, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fast_path = fast_path
        #: What the last request of this connection had in common with others, and how often that may be found anew.
        self.pattern: Pattern | None = None
        self._may_learn = MOST_LEARNED
        #: What is being parsed, if it began with a request.
        self._fed = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request."""
        self._whole = WholeAnswers(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self._whole))
        self._timer = self.loop.call_later(FIRST_HEAD_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_timer()
        for timer in (self._idle_timer, self._body_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; of a head that goes on, count the bytes and the seconds."""
        cycle: Any = self.cycle  # None before the first
        is_free = cycle is None or cycle.response_complete
        if is_free and not (self._is_in_head or self._is_in_body or self.flow.write_paused):
            if self.fast_path.take_whole(self, data):
                if self.timeout_keep_alive_task is not None:
                    self._unset_keepalive_if_required()
                if self._timer is not None:
                    self._stop_timer()
                return
            self._fed = data
        super().data_received(data)
        self._fed = b""
        if self._is_in_body:
            self._body_size += len(data)
            if self._body_timer is None:
                self._wait_for_body()
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
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        self._counted += len(url)
        if self._counted > HEAD_LIMIT:
            self._refusal = HTTPStatus.REQUEST_URI_TOO_LONG
            raise HeadRefused
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._counted += len(name) + len(value) + HEADER_COST
        if self._counted > HEAD_LIMIT:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise HeadRefused
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """End the head, and find out which path the request goes."""
        self._is_in_head = False
        self._is_in_body = True
        if self._timer is not None:
            self._stop_timer()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_free = (cycle is None or cycle.response_complete) and not self.flow.write_paused
        parser = cast("Any", self.parser)
        if is_free and parser.get_method() == b"POST" and not parser.should_upgrade():
            keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
            taken = self.fast_path.begin(self, keep_alive=keep_alive)
            if taken is not None:
                self.cycle = cast("RequestResponseCycle", taken)
                return
        self._begin_general()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        cycle: object = self.cycle
        if isinstance(cycle, FastCycle):
            cycle.pieces.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._is_in_body = False
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        cycle: object = self.cycle
        if not isinstance(cycle, FastCycle):
            super().on_message_complete()
        elif not self.fast_path.send(cycle):
            self.cycle = None  # type: ignore[assignment]
            self._begin_general()
            self.cycle.keep_alive = self.cycle.keep_alive and cycle.keep_alive
            if cycle.body:
                super().on_body(cycle.body)
            super().on_message_complete()
        elif self._fed and self._may_learn:
            self._may_learn -= 1
            self.fast_path.learn(self, cycle, self._fed)

    def send_answer(self, cycle: FastCycle, head: bytes, body: bytes) -> None:
        """Send an answer of the fast path, and expect the next request."""
        cycle.response_complete = True
        if self._whole.is_closing():
            return
        self._whole.write_whole(head, body)
        if not cycle.keep_alive:
            self.transport.close()
        elif self.pipeline:
            self.on_response_complete()
        else:
            self._idle_since = self.loop.time()
            if self._idle_timer is None:
                self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_idle)

    def answer_by(self, cycle: FastCycle, work: Awaitable[HttpResponse]) -> None:
        """Let a cycle of uvicorn's answer a request in the place of the fast path's."""

        async def app(_scope: object, receive: Any, send: Any) -> None:
            await send_response(await work, send, BodyReader(Headers(), receive))

        close = [] if cycle.keep_alive else [CLOSE_HEADER]  # older uvicorns look for it there
        general = RequestResponseCycle(
            scope=cast("Any", {"type": "http", "method": "POST", "headers": close}),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=cycle.keep_alive,
            on_response=self.on_response_complete,
        )
        general.more_body = False
        general.disconnected = cycle.disconnected
        if cast("object", self.cycle) is cycle:
            self.cycle = general
        task = self.loop.create_task(general.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or is not read further."""
        del msg  # says less than the status
        self._refuse(self._refusal)

    def _begin_general(self) -> None:
        """Do what uvicorn does at the beginning of a request, and at the end of its head."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        super().on_headers_complete()

    def _end_idle(self) -> None:
        """Close if nothing has come since the last answer for as long as uvicorn waits; look again when it would be."""
        self._idle_timer = None
        is_busy = self._is_in_head or self.timeout_keep_alive_task is not None
        if is_busy or not self.cycle.response_complete or self.transport.is_closing():
            return  # the next answer sets a timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(left, self._end_idle)

    def _give_up(self) -> None:
        if self._is_in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _wait_for_body(self) -> None:
        self._body_size = 0
        self._body_timer = self.loop.call_later(LOOK_AT_BODY_EVERY_S, self._look_at_body)

    def _look_at_body(self) -> None:
        """Give a body up that is neither at its end nor brings enough, unless it is us who do not read."""
        self._body_timer = None
        if not self._is_in_body or self.transport.is_closing():
            return
        if self._body_size >= LEAST_BODY or self.flow.read_paused:
            self._wait_for_body()
        elif getattr(self.cycle, "response_started", False):
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

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
