"""Requests whose replica died under them and that were then refused: if such a one comes again, it has killed once."""

from __future__ import annotations

from hashlib import blake2b

#: A program that tries again does so within this time.
REMEMBERED_S = 60.0
#: The oldest is forgotten for the next one.
MOST = 1000


class Suspects:
    """Digests of requests, each with the time until which it is remembered; kept by one gateway."""

    def __init__(self) -> None:
        self._until: dict[bytes, float] = {}

    def add(self, endpoint: str, body: bytes, now: float) -> None:
        """Remember a request; now: monotonic seconds."""
        digest = _digest(endpoint, body)
        self._until.pop(digest, None)
        self._until[digest] = now + REMEMBERED_S
        if len(self._until) > MOST:
            del self._until[next(iter(self._until))]

    def take(self, endpoint: str, body: bytes, now: float) -> bool:
        """Say whether a request is remembered, and forget it."""
        return self._until.pop(_digest(endpoint, body), 0.0) > now


def _digest(endpoint: str, body: bytes) -> bytes:
    found = blake2b(f"{endpoint}/".encode(), digest_size=16)
    found.update(body)
    return found.digest()
