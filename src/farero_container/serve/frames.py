"""Farero's frames on a replica's socket: many requests at once on one connection, answers in any order.

A frame is `u32 length | u32 id | u16 head length | head (JSON) | body`, big-endian, the length counting what follows
it. Frames are cut from what the transport hands over, without a task a request: all that came in one turn of the event
loop is taken before anything is predicted, requests with the same head together, and all answers that are there at once
leave in one write.
"""

from __future__ import annotations

import asyncio
import functools
import json
import struct
import sys
from typing import TYPE_CHECKING, Any, cast

from farero_container.serve.messages import (
    INVOCATIONS,
    Alike,
    BadRequest,
    Request,
    Response,
    refusal,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero_container.serve.messages import Taker

MAGIC = b"FRO1"
#: Heads are few and alike, of requests and of answers: this many, and none longer, are kept.
MOST_HEADS = 128
LONGEST_KEPT_HEAD = 1024
_FRAME = struct.Struct(">IIH")
_pack, _unpack_from, _PREFIX = _FRAME.pack, _FRAME.unpack_from, _FRAME.size
#: What the two bytes of its length can say.
_LONGEST_HEAD = 0xFFFF
#: The part of a frame that the length does not count.
_UNCOUNTED = 4
_COUNTED = _PREFIX - _UNCOUNTED


class FramedForm:
    """One connection after its first four bytes."""

    def __init__(
        self, transport: asyncio.Transport, handler: Taker, *, max_body_bytes: int
    ) -> None:
        self._transport = transport
        self._handler = handler
        self._max_body = max_body_bytes
        #: The beginning of a frame in pieces, their size, and the size at which to look at them again.
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = _PREFIX
        #: Bytes still to come of a frame that was refused, and the refusal.
        self._skipped = 0
        self._refused: tuple[int, BadRequest] | None = None
        #: Requests that came in this turn: head → numbers and bodies.
        self._taken: dict[bytes, tuple[list[int], list[bytes]]] = {}
        self._answers: list[bytes] = []
        #: Headers and status of the last answer, and the head they came to.
        self._last_head: tuple[object, int, bytes] = (None, 0, b"")
        self._is_taking = False

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._held += len(data)
        if self._held < self._wanted and not self._skipped:
            self._pieces.append(data)
            return
        if self._pieces:
            self._pieces.append(data)
            data = b"".join(self._pieces)
            self._pieces.clear()
        self._is_taking = True
        rest = self._cut(data)
        self._held = len(rest)
        if rest:
            self._pieces.append(rest)
        taken, self._taken = self._taken, {}
        for head, (numbers, bodies) in taken.items():
            self._take(head, numbers, bodies)
        self._handler.settle()
        self._is_taking = False
        if self._answers:
            self._flush()

    def answer(self, number: int, response: Response) -> None:
        """Send the answer to a request that was taken, together with the others of this turn of the event loop."""
        self._handler.answered()
        self._send(number, response)

    def answer_alike(
        self, numbers: Sequence[int], headers: Mapping[str, str], bodies: Sequence[bytes]
    ) -> None:
        """Send good answers to several requests, as `answer` does each."""
        self._handler.answered(len(numbers))
        if not self._begin_answers():
            return
        head = _head_of(Response(200, dict(headers)))
        size = len(head)
        counted, answers = _COUNTED + size, self._answers
        for number, body in zip(numbers, bodies, strict=True):
            answers += (_pack(counted + len(body), number, size), head, body)

    def _begin_answers(self) -> bool:
        """See to it that answers leave; False if the caller has left."""
        if not self._answers:
            if self._transport.is_closing():
                return False
            if not self._is_taking:
                asyncio.get_running_loop().call_soon(self._flush)
        return True

    def _send(self, number: int, response: Response) -> None:
        if not self._begin_answers():
            return
        headers, body = response.headers, response.body
        last = self._last_head
        if headers is last[0] and response.status == last[1]:  # of requests answered at once
            head = last[2]
        else:
            head = _head_of(response)
            self._last_head = headers, response.status, head
        size = len(head)
        self._answers += (_pack(_COUNTED + size + len(body), number, size), head, body)

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        if answers and not self._transport.is_closing():
            self._transport.write(b"".join(answers))

    def _cut(self, data: bytes) -> bytes:
        """Take every whole frame; return what is left over, the beginning of the next."""
        end, taken = len(data), self._taken
        at = self._skip(end)
        self._wanted = _PREFIX
        while end - at >= _PREFIX:
            length, number, head_length = _unpack_from(data, at)
            head_at = at + _PREFIX
            body_at, stop = head_at + head_length, at + _UNCOUNTED + length
            if body_at > stop:
                self._transport.close()  # no frame; nothing after it can be told apart
                return b""
            if stop - body_at > self._max_body:
                self._refused = number, too_large(stop - body_at, self._max_body)
                self._skipped = stop - at
                at += self._skip(end - at)
                continue
            if stop > end:
                self._wanted = stop - at
                break
            alike = taken.get(data[head_at:body_at])
            if alike is None:
                alike = taken[data[head_at:body_at]] = ([], [])
            alike[0].append(number)
            alike[1].append(data[body_at:stop])
            at = stop
        return data[at:] if at else data

    def _skip(self, came: int) -> int:
        """Return how many of the bytes that came belong to a frame that was refused; answer it after the last one."""
        gone = min(self._skipped, came)
        self._skipped -= gone
        if self._refused and not self._skipped:
            number, refused = self._refused
            self._refused = None
            self._send(number, refusal(refused))
        return gone

    def _take(self, head: bytes, numbers: list[int], bodies: list[bytes]) -> None:
        """Hand requests of one head on."""
        read = _request_heads.get(head)
        if read is None:
            read = _read_head(head)
            if read is None:
                refused = BadRequest(400, "the frame's head is no JSON object with a path")
                for number in numbers:
                    self._send(number, refusal(refused))
                return
            if len(head) <= LONGEST_KEPT_HEAD:
                if len(_request_heads) >= MOST_HEADS:
                    _request_heads.clear()
                _request_heads[head] = read
        path, headers = read
        if path == INVOCATIONS:
            self._handler.take_alike(Alike(headers, numbers, bodies, self))
            return
        method = "GET" if path == "/ping" else "POST"
        for number, body in zip(numbers, bodies, strict=True):
            reply = functools.partial(self.answer, number)
            self._handler.take(Request(method, path, headers, body), reply)


#: Of all connections: gateways that send the same head share its headers, by which their requests are found alike.
_request_heads: dict[bytes, tuple[str, Mapping[str, str]]] = {}


def _read_head(head: bytes) -> tuple[str, Mapping[str, str]] | None:
    """Return path and headers of a request, None where its head is not what it should be."""
    try:
        given: Any = json.loads(head)
        path, headers = given["path"], given.get("headers", {})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(path, str) or not isinstance(headers, dict):
        return None
    return path, cast("dict[str, str]", headers)


_answer_heads: dict[tuple[object, ...], bytes] = {}


def _head_of(response: Response) -> bytes:
    key = (response.status, *response.headers.items())
    try:
        return _answer_heads[key]
    except KeyError:
        pass
    except TypeError:  # a header that is no text: the user's code chose it
        return _write_head(response)
    head = _write_head(response)
    if len(head) <= LONGEST_KEPT_HEAD:
        if len(_answer_heads) >= MOST_HEADS:
            _answer_heads.clear()
        _answer_heads[key] = head
    return head


def _write_head(response: Response) -> bytes:
    try:
        head = json.dumps({"status": response.status, "headers": response.headers}).encode()
        if len(head) <= _LONGEST_HEAD:
            return head
        what = f"they are {len(head)} bytes long"
    except (TypeError, ValueError) as error:
        what = str(error)
    print(f"farero: the answer's headers cannot be sent: {what}", file=sys.stderr, flush=True)
    return b'{"status": 500, "headers": {"content-type": "text/plain"}}'
