"""The keys that one gateway knows, in memory; a key it has not seen is looked up once, and misses are bounded.

A change to keys raises the routing version; a refresh then forgets everything that was remembered.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from farero.store import identity as rows
from farero.store import versions

if TYPE_CHECKING:
    from farero.base.clock import Clock
    from farero.records.identity import Credential
    from farero.store.engine import Store

MOST_KEYS = 10_000
#: Unknown ids are looked up this often a second at most; beyond it they are refused unseen.
MOST_MISSES_PER_S = 200


class Directory:
    """A `Finder` for `sigv4.Verifier`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, Credential] = {}
        self._version = -1
        self._misses = 0
        self._second = 0.0
        self._lock = threading.Lock()

    def find(self, access_key_id: str) -> Credential | None:
        """Return the key, from memory if it was seen before."""
        found = self._known.get(access_key_id)
        if found is not None:
            return found
        if not self._may_look():
            return None
        with self._store.read() as db:
            found = rows.find_credential(db, access_key_id)
        if found is not None:
            if len(self._known) >= MOST_KEYS:
                self._known.clear()
            self._known[access_key_id] = found
        return found

    def refresh(self) -> None:
        """Forget what is remembered if keys may have changed."""
        with self._store.read() as db:
            version = versions.get(db, versions.ROUTING)
        if version != self._version:
            self._version = version
            self._known.clear()

    def forget(self) -> None:
        """Forget everything; for the process that itself changed a key."""
        self._known.clear()

    def _may_look(self) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            if now - self._second >= 1:
                self._second, self._misses = now, 0
            self._misses += 1
            return self._misses <= MOST_MISSES_PER_S
