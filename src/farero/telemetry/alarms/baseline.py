"""What is usual for a metric: a level, a trend, a profile of the day or the week, and how far values stray. Pure.

Everything is a median, so that an outage in the history hardly moves it. docs/alarms.md has formula and sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: (seconds since 1970, value), in order of time.
    Points = Sequence[tuple[int, float]]
    #: Seconds since 1970 → seconds that local clocks are ahead of UTC.
    Offset = Callable[[int], int]

HOUR, DAY = 3600, 86_400
#: A model needs this many values, and this many seconds between the first and the last.
LEAST_POINTS, LEAST_SPAN = 24, 3 * HOUR
#: Hours in the profile: none, of the day, of the week.
FLAT, DAILY, WEEKLY = 1, 24, 168
#: Seconds of history that a profile of the day or the week needs.
_NEEDS = {DAILY: 2 * DAY, WEEKLY: 13 * DAY}
#: A longer profile must miss values it has not seen by less than this share of what the shorter one does.
_BETTER = {DAILY: 0.95, WEEKLY: 0.9}
#: A median absolute deviation times this is a standard deviation, if values are normal; so is a mean one times that.
_MAD, _MEAN_AD = 1.4826, 1.2533
#: The hours of a day share their spread as if each had this many values more.
_SHARED = 30
#: Days that may tell a trend from a weekend; the share of them that must agree on its direction.
_TREND_DAYS, _AGREE = 11, 0.85


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was learnt from a history that ended at `origin`."""

    origin: int
    period_s: int
    slope: float
    profile: tuple[float, ...]
    #: Standard deviations above and below, by hour of the day.
    above: tuple[float, ...]
    below: tuple[float, ...]
    #: Nothing less is expected, because nothing negative was ever seen.
    floor: float
    offset: Offset

    def band(self, at: int, width: float) -> tuple[float, float]:
        """Return the upper and the lower end of what is expected of the period that begins at `at`."""
        middle = self.slope * (at - self.origin) + _look_up(self.profile, self._hour(at), self)
        hour = int(self._hour(at)) % DAILY
        return (
            middle + width * self.above[hour],
            max(self.floor, middle - width * self.below[hour]),
        )

    def _hour(self, at: int) -> float:
        return _hour(at, self.period_s, self.offset)


def no_offset(_at: int) -> int:
    """Return how far UTC is ahead of itself."""
    return 0


def train(
    points: Points, *, origin: int, period_s: int, offset: Offset = no_offset
) -> Baseline | None:
    """Learn what is usual from values before `origin`; None if they are too few."""
    if len(points) < LEAST_POINTS or points[-1][0] - points[0][0] < LEAST_SPAN - period_s:
        return None
    slope = _slope(points, origin)
    hours = [_hour(at, period_s, offset) for at, _ in points]
    level = [value - slope * (at - origin) for at, value in points]
    times = [at for at, _ in points]
    size = _choose(times, hours, level, period_s)
    profile = _profile(times, hours, level, size)
    draft = _Shape(period_s)
    rest = [y - _look_up(profile, hour, draft) for hour, y in zip(hours, level, strict=True)]
    seen = min(value for _, value in points)
    inflation = math.sqrt(1 + math.pi * size / len(points))
    tiny = 1e-6 * max(abs(y) for y in level)
    above = _spreads(hours, rest, tiny, inflation)
    below = _spreads(hours, [-r for r in rest], tiny, inflation)
    floor = 0.0 if seen >= 0 else -math.inf
    return Baseline(origin, period_s, slope, profile, above, below, floor, offset)


@dataclass(frozen=True, slots=True)
class _Shape:
    period_s: int


def _hour(at: int, period_s: int, offset: Offset) -> float:
    """Return the hour of the week, from Monday on, of the middle of a period."""
    # 1970 began on a Thursday.
    return ((at + period_s / 2 + offset(at)) / HOUR + 72) % WEEKLY


def _look_up(profile: Sequence[float], hour: float, of: Baseline | _Shape) -> float:
    size = len(profile)
    if size == FLAT or of.period_s >= HOUR:
        return profile[int(hour) % size]
    place = hour - 0.5
    first = math.floor(place)
    share = place - first
    return profile[first % size] * (1 - share) + profile[(first + 1) % size] * share


def _slope(points: Points, origin: int) -> float:
    """Return the change per second: the median change from a day to the same day of the next week."""
    days: dict[int, list[float]] = {}
    for at, value in points:
        days.setdefault((origin - 1 - at) // DAY, []).append(value)
    usual = median(len(values) for values in days.values())
    level = {day: median(values) for day, values in days.items() if len(values) > usual / 2}
    if len(level) < _TREND_DAYS:
        return 0.0
    changes = [level[day] - level[day + 7] for day in level if day + 7 in level]
    if len(changes) < _TREND_DAYS - 7:
        return 0.0
    up = sum(change > 0 for change in changes) / len(changes)
    down = sum(change < 0 for change in changes) / len(changes)
    return median(changes) / (7 * DAY) if max(up, down) >= _AGREE else 0.0


def _choose(
    times: Sequence[int], hours: Sequence[float], level: Sequence[float], period_s: int
) -> int:
    """Return the length of the profile that foretells one half of the history from the other best."""
    span = times[-1] - times[0] + period_s
    middle = (times[0] + times[-1] + period_s) / 2
    halves = (
        [i for i, at in enumerate(times) if at < middle],
        [i for i, at in enumerate(times) if at >= middle],
    )
    best, least = FLAT, math.inf
    for size in (FLAT, DAILY, WEEKLY):
        if span < _NEEDS.get(size, 0) or not all(halves):
            continue
        miss = sum(
            _miss(known, asked, times, hours, level, size, period_s)
            for known, asked in (halves, halves[::-1])
        )
        if miss < least * _BETTER.get(size, 1.0):
            best, least = size, miss
    return best


def _miss(  # noqa: PLR0913, PLR0917 - the parts of a history
    known: Sequence[int],
    asked: Sequence[int],
    times: Sequence[int],
    hours: Sequence[float],
    level: Sequence[float],
    size: int,
    period_s: int,
) -> float:
    profile = _profile(
        [times[i] for i in known], [hours[i] for i in known], [level[i] for i in known], size
    )
    shape = _Shape(period_s)
    return median(abs(level[i] - _look_up(profile, hours[i], shape)) for i in asked)


def _profile(
    times: Sequence[int], hours: Sequence[float], level: Sequence[float], size: int
) -> tuple[float, ...]:
    """Return the median of each hour; hours that were never seen lie between their neighbours."""
    if size == FLAT:
        return (median(level),)
    if size == WEEKLY:
        return _weekly(times, hours, level)
    found: dict[int, list[float]] = {}
    for hour, value in zip(hours, level, strict=True):
        found.setdefault(int(hour) % size, []).append(value)
    return _filled({hour: median(values) for hour, values in found.items()}, size)


def _weekly(
    times: Sequence[int], hours: Sequence[float], level: Sequence[float]
) -> tuple[float, ...]:
    """Return the profile of a week; where two weeks differ much, the one that is nearer to other days counts."""
    daily = _profile(times, hours, level, DAILY)
    last = times[-1]
    found: dict[int, dict[int, list[float]]] = {}
    for at, hour, value in zip(times, hours, level, strict=True):
        weeks = found.setdefault(int(hour) % WEEKLY, {})
        weeks.setdefault((last - at) // (7 * DAY), []).append(value)
    each = {hour: [median(values) for values in weeks.values()] for hour, weeks in found.items()}
    differences = [abs(one[0] - one[1]) for one in each.values() if len(one) > 1]
    much = 3 * _MAD * median(differences) if differences else math.inf

    def settle(hour: int, values: list[float]) -> float:
        if max(values) - min(values) <= much:
            return sum(values) / len(values)
        return min(values, key=lambda value: abs(value - daily[hour % DAILY]))

    return _filled({hour: settle(hour, values) for hour, values in each.items()}, WEEKLY)


def _filled(known: dict[int, float], size: int) -> tuple[float, ...]:
    order = sorted(known)
    found: list[float] = []
    for hour in range(size):
        if hour in known:
            found.append(known[hour])
            continue
        before = max((h for h in order if h < hour), default=order[-1] - size)
        after = min((h for h in order if h > hour), default=order[0] + size)
        share = (hour - before) / (after - before)
        found.append(known[before % size] * (1 - share) + known[after % size] * share)
    return tuple(found)


def _spreads(
    hours: Sequence[float], rest: Sequence[float], tiny: float, inflation: float
) -> tuple[float, ...]:
    """Return the standard deviation on the positive side, hour by hour of the day."""
    by_hour: list[list[float]] = [[] for _ in range(DAILY)]
    for hour, value in zip(hours, rest, strict=True):
        if value >= 0:
            by_hour[int(hour) % DAILY].append(value)
    overall = _deviation([value for values in by_hour for value in values])
    found: list[float] = []
    for values in by_hour:
        own = _deviation(values)
        mixed = (len(values) * own**2 + _SHARED * overall**2) / (len(values) + _SHARED)
        found.append(max(tiny, math.sqrt(mixed)) * inflation)
    return tuple(found)


def _deviation(values: Sequence[float]) -> float:
    if not values:
        return 0.0
    middle = median(values)
    return _MAD * middle if middle > 0 else _MEAN_AD * sum(values) / len(values)
