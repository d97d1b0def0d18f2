"""The keys that one gateway knows, in memory: most requests find theirs here without touching SQL.

A key is read again when it is older than a second, so a key that is switched off or deleted, here or in another
process, stops working within a second. Keys nobody has ever seen are looked up a bounded number of times a second.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from farero.store import identity as rows

if TYPE_CHECKING:
    from farero.base.clock import Clock
    from farero.records.identity import Credential
    from farero.store.engine import Store

MOST_KEYS = 10_000
#: How long a key is believed without another look.
FRESH_S = 1.0
#: Unknown ids are looked up this often a second at most; beyond it they are refused unseen.
MOST_MISSES_PER_S = 200


class Directory:
    """A `Finder` for `sigv4.Verifier`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        #: Key id → (when it was read, the key).
        self._known: dict[str, tuple[float, Credential]] = {}
        self._misses = 0
        self._second = 0.0
        self._lock = threading.Lock()

    def find(self, access_key_id: str) -> Credential | None:
        """Return the key, from memory if it was read within the last second."""
        now = self._clock.monotonic()
        known = self._known.get(access_key_id)
        if known is not None and now - known[0] < FRESH_S:
            return known[1]
        if known is None and not self._may_look(now):
            return None
        with self._store.read() as db:
            found = rows.find_credential(db, access_key_id)
        if found is None:
            self._known.pop(access_key_id, None)
            return None
        if len(self._known) >= MOST_KEYS:
            self._known.clear()
        self._known[access_key_id] = (now, found)
        return found

    def _may_look(self, now: float) -> bool:
        with self._lock:
            if now - self._second >= 1:
                self._second, self._misses = now, 0
            self._misses += 1
            return self._misses <= MOST_MISSES_PER_S
