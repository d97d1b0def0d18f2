"""Random identifiers in AWS's shapes."""

from __future__ import annotations

import os
import secrets
import string
import uuid

_BASE32 = string.ascii_uppercase + "234567"
_SECRET = string.ascii_letters + string.digits + "+/"


def request_id() -> str:
    """Return a fresh request id, a lower-case UUID4."""
    return new_uuid()


def new_uuid() -> str:
    """Return a random UUID4; faster than `str(uuid.uuid4())` on the hot path."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


class Uuids:
    """A source of UUID4s for one thread that needs many: random ones with some thousand that count on after each.

    They are as unique as others, and nothing secret may depend on them.
    """

    def __init__(self) -> None:
        self._first, self._next, self._end = b"", 0, 0

    def __call__(self) -> str:
        """Return one, in lower case."""
        return self.several(1)[0].decode()

    def several(self, count: int) -> list[bytes]:
        """Return so many, in lower case, as ASCII."""
        if self._end - self._next < count:
            self._first = new_uuid()[:-12].encode()
            # Twelve decimal digits, which are written sooner than hexadecimal ones, and stay twelve counting on.
            self._next = 10**11 + int.from_bytes(os.urandom(5), "big") % (8 * 10**11)
            self._end = self._next + max(_IN_A_ROW, count)
        first, start = self._first, self._next
        self._next = start + count
        return [b"%b%d" % (first, number) for number in range(start, start + count)]


_IN_A_ROW = 4096


def unique_id(prefix: str) -> str:
    """Return an IAM-style id: a 4-letter prefix (`AKIA`, `ASIA`, `AROA`, `AIDA`) and 16 letters."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(16))


def secret_key() -> str:
    """Return a 40-character secret access key holding 240 bits."""
    return "".join(secrets.choice(_SECRET) for _ in range(40))
