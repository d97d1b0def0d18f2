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
    """A source of random UUID4s for one thread that needs many: it asks the machine for a thousand at a time."""

    def __init__(self) -> None:
        self._hex = ""
        self._at = 0

    def __call__(self) -> str:
        """Return one, in lower case."""
        at = self._at
        if at >= len(self._hex):
            self._hex = os.urandom(16_000).hex()
            at = 0
        self._at = at + 32
        text = self._hex[at : at + 32]
        # version 4 and the variant of RFC 9562, section 4.1
        return (
            f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:]}"
        )


_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def unique_id(prefix: str) -> str:
    """Return an IAM-style id: a 4-letter prefix (`AKIA`, `ASIA`, `AROA`, `AIDA`) and 16 letters."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(16))


def secret_key() -> str:
    """Return a 40-character secret access key holding 240 bits."""
    return "".join(secrets.choice(_SECRET) for _ in range(40))
