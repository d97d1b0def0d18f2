"""A request and a response as plain values, between the HTTP server and the protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import Any

#: A value of the wire: what botocore's shapes turn into (dict, list, str, int, float, bool, bytes, datetime, None).
Value = Any


class Headers:
    """HTTP headers, in order, with names compared without case."""

    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, str]] | None = None) -> None:
        #: Pairs in the order received; names in lower case.
        self.items: list[tuple[str, str]] = [(n.lower(), v) for n, v in items or []]

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of `name`, or `default`."""
        wanted = name.lower()
        for key, value in self.items:
            if key == wanted:
                return value
        return default

    def has(self, name: str) -> bool:
        """Say whether `name` is there at all."""
        wanted = name.lower()
        return any(key == wanted for key, _ in self.items)

    def all(self, name: str) -> list[str]:
        """Return every value of `name`, in order."""
        wanted = name.lower()
        return [value for key, value in self.items if key == wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request as it came; nothing is decoded."""

    method: str
    #: Path before the question mark, percent-encoded as sent.
    path: str
    #: Query string after the question mark, as sent; "" when there is none.
    query: str
    headers: Headers
    #: The whole body; b"" when `stream` is given instead.
    body: bytes = b""
    #: The body in pieces, for operations with a streaming payload.
    stream: AsyncIterator[bytes] | None = None
    #: Scheme and authority the caller used, e.g. `http://127.0.0.1:4747`.
    base_url: str = ""


@dataclass(slots=True, kw_only=True)
class HttpResponse:
    """One answer; a streamed body wins over `body`."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


class AwsError(Exception):
    """An error in AWS's terms: a code, a message, an HTTP status, and members of the error shape."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        members: dict[str, Value] | None = None,
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        #: Further members of the modelled error, e.g. OriginalStatusCode of ModelError.
        self.members = members or {}
        #: Further response headers, e.g. Retry-After.
        self.headers = headers or []
        super().__init__(f"{code}: {message}")
