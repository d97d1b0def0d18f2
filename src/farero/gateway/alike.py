"""Requests that are alike: of the heads that one program sends only few lines differ, and only those are read.

A request that came whole, and that the fast path has answered, leaves the lines it shares with others as a `Pattern`.
A later one with the very same lines, at the same places, has the same meaning: what the HTTP parser, the wire layer and
the verifier made of them holds for it too. Its own lines are read here, more strictly than a parser would; whatever is
unusual about them is no match and goes the way of every other request, which then decides.

Where the values stand in a head is kept, too, for each length that heads have: a head of that length whose other bytes
are all the same is not even cut into lines.

Each request still has its own signature checked, over its own values, moment and body (`identity/alike.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from farero.identity import alike
from farero.identity.canonical import Message

if TYPE_CHECKING:
    from collections.abc import Collection

    from farero.gateway.plans import Plan
    from farero.identity.alike import Alike

#: Longest head that leaves a pattern, and how many are kept.
LONGEST_HEAD = 4096
MOST_PATTERNS = 256
#: When they are too many, a caller sends no two heads alike: none is kept for so long.
PAUSE_S = 30.0
#: Values that are remembered of the lines that repeat for a while: moments and lengths.
MOST_VALUES = 256
#: Lengths of heads of which a pattern knows where the values are.
MOST_LAYOUTS = 32
_AUTHORIZATION, _DATE, _LENGTH = b"authorization", b"x-amz-date", b"content-length"
_NEEDED = frozenset((_AUTHORIZATION, _DATE, _LENGTH))
#: Headers that differ from request to request and say nothing about what is asked.
_VARYING = _NEEDED | {
    b"amz-sdk-invocation-id", b"x-amz-content-sha256", b"x-amzn-trace-id", b"traceparent",
}  # fmt: skip
_DATE_LINE = re.compile(rb"(?i:x-amz-date): (\d{8}T\d{6}Z)")
_LENGTH_LINE = re.compile(rb"(?i:content-length): (\d{1,8})")
_VISIBLE = bytes(range(0x21, 0x7F))
_SIGNATURE = 64


#: Takes lines out of a head.
_Take = Callable[[Sequence[bytes]], tuple[bytes, ...]]


class _Layout(NamedTuple):
    """Heads of one length: what stands between the values that are a request's own, and the values."""

    same: tuple[bytes, ...]
    #: Take these out of a head: what is the same; moment, length, signature, and the others.
    between: Callable[[bytes], tuple[bytes, ...]]
    own: Callable[[bytes], tuple[bytes, ...]]
    #: Of the values, those that are signed, as the pattern's signature wants them.
    signed: tuple[int, ...]


class Read(NamedTuple):
    """What a request's own lines say."""

    timestamp: bytes
    #: Seconds since 1970.
    moment: float
    #: Values of signed headers, as the pattern's signature wants them.
    signed: Sequence[bytes]
    signature: bytes


class Pattern:
    """What requests with the same lines have in common."""

    __slots__ = (
        "_date", "_instants", "_layouts", "_length", "_lengths", "_moments", "_others", "_signed", "authorization",
        "keep_alive", "length", "lines", "own", "places", "plan", "proof", "shared", "signatures",
    )  # fmt: skip

    def __init__(
        self,
        head: list[bytes],
        names: list[bytes],
        *,
        signatures: Alike,
        plan: Plan,
        keep_alive: bool,
    ) -> None:
        """names: of the headers, in lower case, in the order of `head`, whose first line is the request line."""
        self.plan, self.signatures, self.keep_alive = plan, signatures, keep_alive
        self.places = places = tuple(at for at, name in enumerate(names, 1) if name in _VARYING)
        #: Of how many lines, which are a request's own, and which it shares with others.
        self.length = len(head)
        self.own: _Take = itemgetter(*places)
        self.shared: _Take = itemgetter(*(at for at in range(len(head)) if at not in places))
        self.lines = self.shared(head)
        index = {names[at - 1]: number for number, at in enumerate(places)}
        self._date, self._length = index[_DATE], index[_LENGTH]
        #: Index of the line with the signature, and that line up to it.
        self.proof = index[_AUTHORIZATION]
        self.authorization = head[places[self.proof]][:-_SIGNATURE]
        #: Index and beginning of the others, by name.
        others = {name: (n, head[places[n]]) for name, n in index.items() if name not in _NEEDED}
        self._others = [(n, line[: len(name) + 2]) for name, (n, line) in others.items()]
        lengths = {name.decode(): len(name) + 2 for name in names}
        self._signed = [(index[name.encode()], lengths[name]) for name in signatures.own]
        self._moments: dict[bytes, tuple[bytes, float] | None] = {}
        self._lengths: dict[bytes, int] = {}
        self._layouts: dict[int, _Layout] = {}
        #: Timestamps that were read lately.
        self._instants: dict[bytes, float] = {}

    def read_same(self, data: bytes, end: int, size: int) -> Read | None:
        """Read a request by its layout; None if it must be cut into lines. end: of its head; size: of its body."""
        layout = self._layouts.get(end)
        if layout is None or layout.between(data) != layout.same:
            return None
        own = layout.own(data)
        moment = self._instants.get(own[0])
        # Digits alone, as many as `size` has: no other text is as long and says the same.
        if moment is None or own[1] != b"%d" % size:
            return None
        for value in own[3:]:
            if value.translate(None, _VISIBLE):
                return None
        return Read(own[0], moment, [own[at] for at in layout.signed], own[2])

    def keep_layout(self, data: bytes, lines: Sequence[bytes], read: Read) -> None:
        """Remember where the values stand in a head that `read` was read from, and that was found to be good."""
        end = sum(map(len, lines)) + 2 * len(lines) - 2
        if len(self._instants) >= MOST_VALUES:
            self._instants.clear()
        self._instants[read.timestamp] = read.moment
        if end in self._layouts:
            return
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 2)
        # index among a request's own lines → where its value begins, and ends
        spans: list[tuple[int, int]] = []
        for place in self.places:
            begin, line = starts[place], lines[place]
            spans.append((begin + line.index(b": ") + 2, begin + len(line)))
        stop = spans[self.proof][1]
        spans[self.proof] = (stop - _SIGNATURE, stop)
        order = [self._date, self._length, self.proof, *(index for index, _ in self._others)]
        edges = [0, *(edge for span in sorted(spans) for edge in span), end]
        between = itemgetter(*(slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)))
        if len(self._layouts) >= MOST_LAYOUTS:
            self._layouts.clear()
        self._layouts[end] = _Layout(
            same=between(data),
            between=between,
            own=itemgetter(*(slice(*spans[index]) for index in order)),
            signed=tuple(order.index(index) for index, _ in self._signed),
        )

    def read(self, own: tuple[bytes, ...], size: int) -> Read | None:
        """Read a request's own lines; None if one is unusual, or if they do not announce a body of `size` bytes."""
        date, length = own[self._date], own[self._length]
        moment = self._moments.get(date) or self._read_date(date)
        if moment is None or (self._lengths.get(length) or self._read_length(length)) != size:
            return None
        for index, name in self._others:
            line = own[index]
            value = line[len(name) :]
            if line[: len(name)] != name or not value or value.translate(None, _VISIBLE):
                return None
        signed = [own[index][start:] for index, start in self._signed] if self._signed else ()
        return Read(*moment, signed, own[self.proof][-_SIGNATURE:])

    def _read_date(self, line: bytes) -> tuple[bytes, float] | None:
        found = _DATE_LINE.fullmatch(line)
        moment = None if found is None else self.signatures.moment_of(found[1].decode())
        if found is None or moment is None:
            return None
        if len(self._moments) >= MOST_VALUES:
            self._moments.clear()
        self._moments[line] = found[1], moment
        return self._moments[line]

    def _read_length(self, line: bytes) -> int:
        found = _LENGTH_LINE.fullmatch(line)
        if found is None:
            return -1
        if len(self._lengths) >= MOST_VALUES:
            self._lengths.clear()
        return self._lengths.setdefault(line, int(found[1]))


class Patterns:
    """The patterns that one gateway has seen."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Pattern] = {}
        #: Of the last request that left one.
        self.latest: Pattern | None = None
        self._rests_until = float("-inf")

    def read(
        self, last: Pattern | None, lines: list[bytes], size: int
    ) -> tuple[Pattern, Read] | None:
        """Return the pattern of a head, and what its own lines say; None if there is none, or one is unusual.

        last: that of the request before it on its connection. size: of its body.
        """
        pattern = last or self.latest
        if pattern is None or len(lines) != pattern.length:
            return None
        own, shared = pattern.own(lines), pattern.shared(lines)
        beginning = own[pattern.proof][:-_SIGNATURE]
        if shared != pattern.lines or beginning != pattern.authorization:
            # another of the same order: of another endpoint, say, or of another key
            pattern = self._kept.get((pattern.places, beginning, shared))
        read = None if pattern is None else pattern.read(own, size)
        return None if pattern is None or read is None else (pattern, read)

    def may_learn(self, now: float) -> bool:
        """Say whether patterns are kept at the moment."""
        return now >= self._rests_until

    def learn(  # noqa: PLR0913 - what a request was found to be
        self,
        data: bytes,
        url: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        body: bytes,
        plan: Plan,
        keep_alive: bool,
        services: Collection[str],
        now: float,
    ) -> Pattern | None:
        """Keep what others may share with a request that was found to be good, if `data` is all of it and nothing else.

        headers: as the HTTP parser has read them, names in lower case, no two alike.
        """
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        names = [name for name, _ in headers]
        read = [
            (line[: len(name)].lower(), line[len(name) :])
            for line, name in zip(lines, names, strict=False)
        ]
        expected = [(name, b": " + value) for name, value in headers]
        is_plain = first == b"POST " + url + b" HTTP/1.1" and read == expected and rest == body
        if not is_plain or len(lines) != len(names) or len(head) > LONGEST_HEAD:
            return None
        if not _NEEDED.issubset(names):
            return None
        values = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        message = Message("POST", plan.path, "", values, body)
        signatures = alike.read(message, services, {name.decode() for name in _VARYING})
        if signatures is None:
            return None
        pattern = Pattern(
            [first, *lines], names, signatures=signatures, plan=plan, keep_alive=keep_alive
        )
        if len(self._kept) >= MOST_PATTERNS:
            self._kept.clear()
            self._rests_until = now + PAUSE_S
        key = (pattern.places, pattern.authorization, pattern.lines)
        self.latest = self._kept.setdefault(key, pattern)
        return self.latest
