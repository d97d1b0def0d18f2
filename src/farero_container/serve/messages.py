"""A request to the container and its answer, whatever form they came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


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


class Handler(Protocol):
    """Who answers requests; its methods are called in the event loop and return at once."""

    def take(self, request: Request, reply: Reply) -> None:
        """Answer one request, now or later."""
        ...

    def settle(self) -> None:
        """Learn that all that had arrived has been taken."""
        ...


class Taker(Handler, Protocol):
    """Who answers requests and wants to know when one has had its answer."""

    def answered(self) -> None:
        """Learn that one request less waits; called by whoever passes an answer on."""
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
