"""A gateway's side of serverless endpoints: wake who sleeps, ask for more where requests wait, share the limit.

A variant needs another replica for each request under way once requests take longer than a look's span: the look
counts how many are under way and how many have ended since the last one (Little's law). Quick models, whose replicas
take many requests at once, so never get more than one.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from farero.endpoints.serverless import WAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from farero.base.clock import Clock
    from farero.endpoints.serverless import Used

#: Between two looks at what is under way.
LOOK_EVERY_S = 0.1
#: Between two notes that a variant is in use, and between two wishes for as many replicas.
TELL_EVERY_S = 1.0
#: Between two calls to wake a variant: the worker may have been down when the last one came.
CALL_EVERY_S = 0.5

#: Endpoint and variant.
Key = tuple[str, str]


class Waker:
    """Tells the worker what serverless variants need."""

    def __init__(self, used: Used, clock: Clock, tell: Callable[[str], None]) -> None:
        """tell: sends the worker a line, without waiting."""
        self._used = used
        self._clock = clock
        self._tell = tell
        self._called: dict[Key, float] = {}
        self._noted: dict[Key, float] = {}
        self._wished: dict[Key, tuple[int, float]] = {}

    def wake(self, endpoint: str, variant: str) -> None:
        """Have a variant get a replica; to be called for as long as a request waits for it."""
        key, now = (endpoint, variant), self._clock.monotonic()
        if now - self._called.get(key, -CALL_EVERY_S) >= CALL_EVERY_S:
            self._called[key] = now
            self._note(key, now)
            self._tell(f"{WAKE} {endpoint}/{variant}/1")

    def look(self, load: Mapping[Key, tuple[int, int]]) -> None:
        """Note who is in use, and ask for replicas where requests wait for one another.

        load: by endpoint and variant, how many requests are under way and how many have ended since the last look.
        """
        now = self._clock.monotonic()
        for key, (under_way, ended) in load.items():
            self._note(key, now)
            if under_way > max(1, ended):
                self._wish(key, under_way, now)

    def forget_others(self, keys: AbstractSet[Key]) -> None:
        """Forget variants that are not among `keys`."""
        for known in (self._called, self._noted, self._wished):
            for key in known.keys() - keys:
                del known[key]

    def _note(self, key: Key, now: float) -> None:
        if now - self._noted.get(key, -TELL_EVERY_S) >= TELL_EVERY_S:
            self._noted[key] = now
            self._used.touch(*key, self._clock.now())

    def _wish(self, key: Key, replicas: int, now: float) -> None:
        last, at = self._wished.get(key, (0, -TELL_EVERY_S))
        if replicas > last or now - at >= TELL_EVERY_S:
            self._wished[key] = replicas, now
            self._tell(f"{WAKE} {key[0]}/{key[1]}/{replicas}")


class Slots:
    """Places for requests, shared by all gateways of one platform: a locked byte of a file each.

    A gateway that dies leaves none behind, for the kernel lets go of its locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Key, int] = {}
        self._held: dict[Key, set[int]] = {}
        self._first = os.getpid()

    def take(self, endpoint: str, variant: str, limit: int) -> bool:
        """Take one of `limit` places; False if all are taken."""
        key = (endpoint, variant)
        held = self._held.setdefault(key, set())
        file = self._open(key)
        for index in range(limit):
            place = (self._first + index) % limit
            if place in held:
                continue
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError:
                continue
            held.add(place)
            return True
        return False

    def release(self, endpoint: str, variant: str) -> None:
        """Give one place back."""
        key = (endpoint, variant)
        if key in self._files:  # else all were given back
            fcntl.lockf(self._files[key], fcntl.LOCK_UN, 1, self._held[key].pop())

    def forget_others(self, keys: AbstractSet[Key]) -> None:
        """Close the files of variants that are not among `keys`, but for those with requests under way."""
        for key in self._files.keys() - keys:
            if not self._held[key]:
                os.close(self._files.pop(key))
                del self._held[key]

    def close(self) -> None:
        """Give all places back."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()
        self._held.clear()

    def _open(self, key: Key) -> int:
        if key not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._folder / f"{key[0]}.{key[1]}.slots"
            self._files[key] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._files[key]
