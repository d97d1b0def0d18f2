"""Log events in the order in which they arrived, from a place on: for who follows a group and wants each event once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from farero.store import log_arrivals
from farero.store import logs as rows

if TYPE_CHECKING:
    from farero.base.clock import Clock
    from farero.store.engine import Store

#: No transaction that stores events takes longer.
SETTLED_S = 10.0


class Arrivals:
    """Reads what has arrived; one for each follower."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._heads: deque[tuple[float, int]] = deque()

    def head(self) -> int:
        """Return the place behind everything that has arrived."""
        with self._store.read() as db:
            return rows.newest_event_id(db)

    def look(self) -> int:
        """Return the place that `read` may go on from when it has found nothing; call once a round.

        On SQLite writers take turns, so numbers grow with each commit. Elsewhere a transaction that has taken smaller
        numbers may still be at work; so the place is one that was passed a while ago.
        """
        head = self.head()
        if self._store.is_sqlite:
            return head
        now = self._clock.monotonic()
        self._heads.append((now, head))
        while len(self._heads) > 1 and self._heads[1][0] <= now - SETTLED_S:
            self._heads.popleft()
        at, settled = self._heads[0]
        return settled if at <= now - SETTLED_S else 0

    def read(
        self, group_id: int, *, after: int, settled: int, limit: int
    ) -> tuple[rows.Portion, int]:
        """Return the group's next events and the place to go on from.

        settled: what `look` said this round.
        """
        with self._store.read() as db:
            up_to = settled if self._store.is_sqlite else rows.newest_event_id(db)
            found = log_arrivals.arrived_events(
                db, group_id, after_id=after, up_to_id=up_to, limit=limit
            )
        last = found.events[-1].id if found.events else after
        return found, max(last, settled) if found.is_end else last
