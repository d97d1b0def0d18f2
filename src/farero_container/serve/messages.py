"""A request to the container and its answer, whatever form they came in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

INVOCATIONS = "/invocations"


@dataclass(slots=True)
class Request:
    """One request to the container."""

    method: str
    path: str
    #: Names in lower case. Requests with equal heads may share them: they are not to be changed.
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Response:
    """The container's answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


#: Takes the answer to one request; called once, in the event loop.
Reply = Callable[[Response], None]


class Asker(Protocol):
    """Who sent requests, and knows each by its number."""

    def answer(self, number: int, response: Response) -> None:
        """Take the answer to one request."""
        ...

    def answer_alike(
        self, numbers: Sequence[int], headers: Mapping[str, str], bodies: Sequence[bytes]
    ) -> None:
        """Take good answers to several requests, all with the same headers."""
        ...


@dataclass(slots=True)
class Alike:
    """Invocations that came together with the same head, in the order they came: their numbers, and their bodies."""

    #: As a Request's.
    headers: Mapping[str, str]
    numbers: list[int]
    bodies: list[bytes]
    asker: Asker

    def parts(self, most: int) -> Generator[Alike]:
        """Cut into parts of at most `most` requests."""
        if len(self.numbers) <= most:
            yield self
            return
        for start in range(0, len(self.numbers), most):
            cut = slice(start, start + most)
            yield Alike(self.headers, self.numbers[cut], self.bodies[cut], self.asker)

    def each(self) -> list[tuple[Request, Reply]]:
        """Return them one by one."""
        return [
            (
                Request("POST", INVOCATIONS, self.headers, body),
                functools.partial(self.asker.answer, number),
            )
            for number, body in zip(self.numbers, self.bodies, strict=True)
        ]


class Handler(Protocol):
    """Who answers requests; its methods are called in the event loop and return at once."""

    def take(self, request: Request, reply: Reply) -> None:
        """Answer one request, now or later."""
        ...

    def take_alike(self, alike: Alike) -> None:
        """Answer invocations as `take` does each of them."""
        ...

    def settle(self) -> None:
        """Learn that all that had arrived has been taken."""
        ...


class Taker(Handler, Protocol):
    """Who answers requests and wants to know when one has had its answer."""

    def answered(self, count: int = 1) -> None:
        """Learn that so many requests less wait; called by whoever passes answers on."""
        ...


class BadRequest(Exception):  # noqa: N818 - an answer, not a fault
    """The bytes are no request we read; answered once, then the connection is closed."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


def refusal(refused: BadRequest) -> Response:
    """Return the answer to what cannot be read."""
    return Response(refused.status, {"content-type": "text/plain"}, refused.text.encode() + b"\n")


def too_large(size: int, limit: int) -> BadRequest:
    """Return the refusal of a body of `size` bytes."""
    return BadRequest(
        413, f"the body has {size:,} bytes; at most {limit:,} are taken (MAX_CONTENT_LENGTH)"
    )
