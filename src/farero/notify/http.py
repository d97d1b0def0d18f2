"""One POST to one checked address: no redirects, no second look-up, an end after 15 seconds whatever the other does."""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.base.clock import Clock
    from farero.notify.guard import Guard, Place

CONNECT_S = 5.0
TOTAL_S = 15.0
#: What is read of an answer; only its status and the start of a refusal's text matter.
MAX_BODY = 2048
_SECONDS = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver said."""

    status: int
    #: The first bytes of the body, as text.
    text: str
    #: Seconds of a Retry-After header, or None.
    retry_after_s: int | None

    @property
    def is_good(self) -> bool:
        """Say whether the message was taken."""
        return 200 <= self.status < 300


class Poster:
    """Posts to receivers."""

    def __init__(self, guard: Guard, clock: Clock, *, total_s: float = TOTAL_S) -> None:
        self._guard = guard
        self._clock = clock
        self._total_s = total_s

    def post(self, place: Place, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send `body` and return the answer; blocks for 15 seconds at most, looking up the name aside.

        Raises Refused if the guard closes the host, and OSError or HTTPException if there is no answer.
        """
        addresses = self._guard.find_addresses(place.host, place.port)
        deadline = _Deadline(self._clock, self._total_s)
        with _connect(addresses, deadline) as plain:
            if place.scheme == "http":
                return _talk(plain, place, headers, body, deadline)
            plain.settimeout(deadline.left())
            context = ssl.create_default_context()
            with context.wrap_socket(plain, server_hostname=place.host) as wrapped:
                return _talk(wrapped, place, headers, body, deadline)


class _Deadline:
    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; raise TimeoutError if there are none."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the receiver took too long")
        return left


class _Stream(io.RawIOBase):
    """A socket to read from that never blocks past the deadline, however slowly bytes drip in."""

    def __init__(self, source: socket.socket, deadline: _Deadline) -> None:
        self._source = source
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._source.settimeout(self._deadline.left())
        return self._source.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `HTTPResponse` asks of a socket."""
        return io.BufferedReader(self)


def _connect(addresses: list[tuple[Any, ...]], deadline: _Deadline) -> socket.socket:
    error: OSError = OSError("no address")
    for family, where in addresses:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.settimeout(min(CONNECT_S, deadline.left()))
        try:
            made.connect(where)
        except OSError as failed:
            made.close()
            error = failed
        else:
            return made
    raise error


def _talk(
    channel: socket.socket,
    place: Place,
    headers: Mapping[str, str],
    body: bytes,
    deadline: _Deadline,
) -> Answer:
    channel.settimeout(deadline.left())
    channel.sendall(_head(place, headers, len(body)) + body)
    stream = cast("socket.socket", _Stream(channel, deadline))
    with http.client.HTTPResponse(stream, method="POST") as response:
        response.begin()
        text = "" if 200 <= response.status < 300 else _text(response)
        wait = response.headers.get("Retry-After", "")
        return Answer(
            status=response.status,
            text=text,
            retry_after_s=int(wait) if _SECONDS.fullmatch(wait) else None,
        )


def _text(response: http.client.HTTPResponse) -> str:
    try:
        return response.read(MAX_BODY).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""


def _head(place: Place, headers: Mapping[str, str], size: int) -> bytes:
    lines = {"Host": place.authority, "Connection": "close", "Content-Length": str(size), **headers}
    if place.login:
        lines["Authorization"] = f"Basic {b64encode(place.login.encode()).decode()}"
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {place.target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")
