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
        self._first, self._next, self._end = "", 0, 0

    def __call__(self) -> str:
        """Return one, in lower case."""
        number = self._next
        if number == self._end:
            self._first = new_uuid()[:-12]
            number = int.from_bytes(
                os.urandom(5), "big"
            )  # 12 digits have 6 bytes, so counting on never overflows
            self._end = number + _IN_A_ROW
        self._next = number + 1
        return f"{self._first}{number:012x}"


_IN_A_ROW = 4096


def unique_id(prefix: str) -> str:
    """Return an IAM-style id: a 4-letter prefix (`AKIA`, `ASIA`, `AROA`, `AIDA`) and 16 letters."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(16))


def secret_key() -> str:
    """Return a 40-character secret access key holding 240 bits."""
    return "".join(secrets.choice(_SECRET) for _ in range(40))
