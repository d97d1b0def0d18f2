"""Metrics on their way in, growing old, and on their way out.

Values are folded into buckets: of one second (kept 3 hours), one minute (15 days), five minutes (63 days) and one hour
(455 days), as CloudWatch keeps them. Young buckets are rows that are only ever appended, so that any process may write
at any time. Once a span of buckets is over they become one packed chunk, and in the same transaction parts of the next
longer buckets; so every value is in exactly one place of each length, whoever is killed when.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from farero.store import metrics as rows
from farero.store.metrics import Part
from farero.telemetry.metrics.chunks import Equal, Point, pack, unpack
from farero.telemetry.metrics.sketch import Sketch
from farero.telemetry.metrics.statistics import Summary

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.records.metrics import Datum, Metric
    from farero.store.engine import Store

log = logging.getLogger(__name__)

SECOND, MINUTE, FIVE, HOUR = 1, 60, 300, 3600
_DAY = 86_400
#: How long buckets of each length are kept, in seconds (CloudWatch, "Metrics retention").
KEPT = {SECOND: 3 * HOUR, MINUTE: 15 * _DAY, FIVE: 63 * _DAY, HOUR: 455 * _DAY}
#: Seconds that one chunk of buckets of each length spans.
SPAN = {MINUTE: 6 * HOUR, FIVE: _DAY, HOUR: 14 * _DAY}
#: Until a span's last values have come.
SETTLED = 600
#: Seconds after which the parts of a minute become one, and for how long those that come later do.
GATHERED_AFTER, GATHERED_FOR = 120, 600
#: "Metrics that have not had any new data points in the last two weeks do not appear" (ListMetrics).
LISTED = 14 * _DAY
#: Packed in one transaction: a tenth of a second or so, in which nobody else can write.
_SERIES_A_TURN = 4


class _Stored(NamedTuple):
    """A sketch as its row holds it."""

    data: bytes

    def __call__(self) -> Sketch:
        return Sketch.from_bytes(self.data)

    def percentile(self, share: float) -> float:
        return self().percentile(share)


class Metrics:
    """Every metric of the platform and of its users."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def put(self, data: Sequence[Datum]) -> None:
        """Store values in a transaction of their own."""
        if data:
            with self._store.begin() as db:
                self.put_within(db, data)

    def put_within(self, db: Connection, data: Sequence[Datum]) -> None:
        """Store values in the caller's transaction."""
        ids = rows.ensure_series(db, {(datum.metric, datum.unit) for datum in data})
        folded: dict[tuple[int, int, int], Summary] = {}
        newest: dict[int, int] = {}
        made: dict[tuple[int, int, int], Summary] = {}
        for datum in data:
            series_id = ids[datum.metric, datum.unit]
            tier = SECOND if datum.resolution == 1 else MINUTE
            at = int(datum.at.timestamp()) // tier * tier
            newest[series_id] = max(newest.get(series_id, 0), at)
            bucket = folded.setdefault((series_id, tier, at), Summary())
            # The same values come under several dimensions: one summary serves them all.
            same = (id(datum.values), id(datum.counts), id(datum.statistics))
            if same not in made:
                made[same] = _folded(datum)
            bucket.merge(made[same])
        rows.add_parts(
            db, ((one, tier, _part(at, found)) for (one, tier, at), found in folded.items())
        )
        rows.touch(db, newest)

    def list(self, *, namespace: str = "", name: str = "", recent_s: int = LISTED) -> list[Metric]:
        """Return each metric that had a value in the last `recent_s` seconds once, in order."""
        since = int(self._clock.now().timestamp()) - recent_s
        with self._store.read() as db:
            found = rows.find_series(db, namespace=namespace, name=name, since=since)
        return list(dict.fromkeys(series.metric for series in found))

    def units(self, metric: Metric) -> list[str]:
        """Return the units in which a metric has values."""
        with self._store.read() as db:
            return [series.unit for series in rows.series_of(db, metric, None)]

    def points(
        self,
        metric: Metric,
        *,
        start: dt.datetime,
        end: dt.datetime,
        period_s: int,
        unit: str | None = None,
    ) -> list[Point]:
        """Return the periods of [start, end) that have values, oldest first; periods begin at multiples of period_s."""
        first, last = int(start.timestamp()), int(end.timestamp())
        with self._store.read() as db:
            series = rows.series_of(db, metric, unit)
            found = _read(db, [one.id for one in series], period_s, first, last)
        return _by_period(found, period_s)

    def compact(self) -> int:
        """Pack what is old enough, and drop what is too old; return how many chunks were made."""
        now = int(self._clock.now().timestamp())
        made = 0
        self._gather(now - GATHERED_AFTER)
        while self._roll_seconds(now - KEPT[SECOND]):
            pass
        for tier, span in SPAN.items():
            before = (now - SETTLED) // span * span
            while packed := self._pack(tier, before):
                made += packed
            with self._store.begin() as db:
                rows.drop_old(db, tier, now - KEPT[tier] - span)
        with self._store.begin() as db:
            rows.drop_silent(db, now - KEPT[HOUR])
        return made

    def _gather(self, before: int) -> None:
        """Join the parts in which minutes that are over came, one a second."""
        before = before // MINUTE * MINUTE
        since = before - GATHERED_FOR
        with self._store.read() as db:
            found = rows.scattered_series(db, MINUTE, since, before)
        for start in range(0, len(found), _SERIES_A_TURN):
            with self._store.begin() as db:
                for series_id in found[start : start + _SERIES_A_TURN]:
                    points = _young(rows.take_points(db, series_id, MINUTE, before, since=since))
                    _add(db, series_id, MINUTE, _by_period(points, MINUTE))

    def _roll_seconds(self, before: int) -> bool:
        """Turn seconds that are over into minutes; say whether there were any."""
        before = before // MINUTE * MINUTE
        with self._store.begin() as db:
            found = rows.old_series(db, SECOND, before, limit=_SERIES_A_TURN)
            for series_id in found:
                points = _young(rows.take_points(db, series_id, SECOND, before))
                _add(db, series_id, MINUTE, _by_period(points, MINUTE))
        return bool(found)

    def _pack(self, tier: int, before: int) -> int:
        made = 0
        with self._store.begin() as db:
            for series_id in rows.old_series(db, tier, before, limit=_SERIES_A_TURN):
                points = _by_period(_young(rows.take_points(db, series_id, tier, before)), tier)
                spans: dict[int, list[Point]] = {}
                for point in points:
                    spans.setdefault(point.at // SPAN[tier] * SPAN[tier], []).append(point)
                for start, some in spans.items():
                    rows.add_chunk(db, series_id, tier, start, pack(some))
                    made += 1
                if tier == MINUTE:
                    five = _by_period(points, FIVE)
                    _add(db, series_id, FIVE, five)
                    _add(db, series_id, HOUR, _by_period(five, HOUR))
        return made


def _folded(datum: Datum) -> Summary:
    summary = Summary()
    if datum.statistics is not None:
        found = datum.statistics
        summary.add_set(found.count, found.total, found.least, found.most)
    if datum.values:
        summary.add_all(datum.values, datum.counts or (1.0,) * len(datum.values))
    return summary


def _read(db: Connection, ids: list[int], period_s: int, start: int, end: int) -> list[Point]:
    """Return every value of [start, end) once, in buckets no longer than the period."""
    if not ids:
        return []
    found = _young(rows.points(db, ids, SECOND, start, end))
    if period_s < MINUTE:
        return found
    tier = next(one for one in (HOUR, FIVE, MINUTE) if period_s % one == 0)
    found += _young(rows.points(db, ids, MINUTE, start, end))
    if tier != MINUTE:
        found += _young(rows.points(db, ids, tier, start, end))
    first = start // SPAN[tier] * SPAN[tier]
    for chunk in rows.chunks(db, ids, tier, first, end):
        found += [point for point in _unpacked(chunk) if start <= point.at < end]
    return found


def _unpacked(chunk: bytes) -> list[Point]:
    """Return a chunk's points; one that cannot be read costs its own hours, not the whole answer."""
    try:
        return unpack(chunk)
    except ValueError as error:  # msgspec's errors are ValueErrors
        log.warning("a packed span of metrics cannot be read: %s", error)
        return []


def _young(parts: Iterable[Part]) -> list[Point]:
    return [Point(part.at, _summary(part)) for part in parts]


def _by_period(points: Iterable[Point], period_s: int) -> list[Point]:
    """Return the sum of each period, oldest first; the points given stay as they are."""
    found: dict[int, Summary] = {}
    is_mine: set[int] = set()
    for at, summary in points:
        start = at // period_s * period_s
        if start not in found:
            found[start] = summary
            continue
        if start not in is_mine:
            is_mine.add(start)
            found[start], first = Summary(), found[start]
            found[start].merge(first)
        found[start].merge(summary)
    return [Point(at, found[at]) for at in sorted(found)]


def _add(db: Connection, series_id: int, tier: int, points: Iterable[Point]) -> None:
    rows.add_parts(db, ((series_id, tier, _part(at, summary)) for at, summary in points))


def _part(at: int, found: Summary) -> Part:
    sketch = None
    if found.known is not None and found.least < found.most:
        assert found.sketch is not None
        sketch = found.sketch.to_bytes()
    return Part(at, found.count, found.total, found.least, found.most, sketch)


def _summary(part: Part) -> Summary:
    known = None
    if part.sketch is not None:
        known = _Stored(part.sketch)
    elif part.least == part.most:
        known = Equal(part.least, part.samples)
    return Summary(part.samples, part.total, part.least, part.most, known)
