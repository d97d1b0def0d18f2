"""Metric filters: kept by group and name, applied to every event in the transaction that stores it.

So an event is counted exactly once, whoever is killed when: event, metric and a followed file's place move together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.base.errors import LimitExceeded
from farero.store import log_filters as rows
from farero.store import logs as log_rows
from farero.telemetry.filter_metrics import MINUTE_MS, Transformer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.records.logs import MetricFilter, Transformation
    from farero.records.metrics import Datum
    from farero.records.telemetry import LogGroup, NewLogEvent
    from farero.store.engine import Store

    #: Writes values of metrics in the caller's transaction.
    Put = Callable[[Connection, Sequence[Datum]], object]

#: "Metric filters per log group: 100" (CloudWatch Logs quotas).
FILTERS_PER_GROUP = 100
#: How long after its last event a minute without a match waits to be told.
SETTLED_MS = 60_000
_CACHED = 1000


class MetricFilters:
    """Keeps and applies the filters of all groups."""

    def __init__(self, store: Store, clock: Clock, put: Put | None = None) -> None:
        """put: writes values of metrics; without it filters are kept and nothing is counted."""
        self._store = store
        self._clock = clock
        self._put = put
        self._compiled: dict[int, tuple[MetricFilter, Transformer]] = {}

    def put(self, group_name: str, name: str, pattern: str, transformation: Transformation) -> None:
        """Add or replace a filter; it sees only what comes from now on.

        Raises NotFound for the group, Invalid for what cannot be read, LimitExceeded beyond 100 filters a group.
        """
        Transformer(pattern, transformation)
        with self._store.begin() as db:
            group = log_rows.get_group(db, group_name)
            names = {found.name for found in rows.list_filters(db, group)}
            if name not in names and len(names) >= FILTERS_PER_GROUP:
                raise LimitExceeded("Resource limit exceeded.")
            rows.put_filter(
                db,
                group,
                name,
                pattern=pattern,
                transformation=transformation,
                now=self._clock.now(),
            )

    def delete(self, group_name: str, name: str) -> None:
        """Remove a filter; what it has counted stays. Raises NotFound."""
        with self._store.begin() as db:
            rows.delete_filter(db, log_rows.get_group(db, group_name), name)

    def list(self, group_name: str | None = None) -> list[MetricFilter]:
        """Return the filters of a group, or of all. Raises NotFound for the group."""
        with self._store.read() as db:
            group = None if group_name is None else log_rows.get_group(db, group_name)
            return rows.list_filters(db, group)

    def counts(self, groups: Sequence[LogGroup]) -> dict[int, int]:
        """Return how many filters the groups have, by the group's id; those without any are left out."""
        with self._store.read() as db:
            return rows.count_filters(db, [group.id for group in groups])

    def apply(self, db: Connection, group: LogGroup, events: Sequence[NewLogEvent]) -> None:
        """Count a batch of new events, in the transaction that stores them."""
        if not events or self._put is None:
            return
        now_ms = self._now_ms()
        for found in rows.list_filters(db, group):
            data, minutes = self._transformer(found).data(events)
            if data:
                self._put(db, data)
            if found.transformation.default is not None:
                due = max(now_ms, max(minutes) + MINUTE_MS) + SETTLED_MS
                rows.mark_minutes(db, found.id, minutes, due_ms=due)

    def tell_defaults(self) -> int:
        """Report the default value of each minute that had events and no match; return how many minutes."""
        now_ms = self._now_ms()
        with self._store.read() as db:
            if self._put is None or not rows.has_due_minutes(db, now_ms):
                return 0
        with self._store.begin() as db:
            filters = {found.id: found for found in rows.list_filters(db)}
            found = [
                self._transformer(filters[filter_id]).default(minute)
                for filter_id, minute in rows.take_minutes(db, now_ms)
                if filter_id in filters
            ]
            data = [datum for datum in found if datum is not None]
            self._put(db, data)
        return len(data)

    def _transformer(self, found: MetricFilter) -> Transformer:
        known = self._compiled.get(found.id)
        if known is None or known[0] != found:
            if len(self._compiled) >= _CACHED:
                self._compiled.clear()
            known = self._compiled[found.id] = found, Transformer.of(found)
        return known[1]

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
