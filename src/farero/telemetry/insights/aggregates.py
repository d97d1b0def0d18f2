"""What `stats` folds many values into. Pure; exact, percentiles too."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from farero.telemetry.insights.values import Value, as_number, as_text, sort_key

if TYPE_CHECKING:
    from collections.abc import Callable

    #: What values are compared by: all keys of one fold are of one kind.
    Key = tuple[int, float | int | str]


class Fold(Protocol):
    """Takes the arguments of one row after the other; `at` is the row's time."""

    def add(self, at: int, values: tuple[Value, ...]) -> None:
        """Take one row."""
        ...

    def result(self) -> Value:
        """Return what has been folded; None if nothing was there to fold."""
        ...


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How many arguments it takes, and a fresh fold of it."""

    least: int
    most: int
    start: Callable[[], Fold]


class _Count:
    def __init__(self) -> None:
        self._count = 0

    def add(self, at: int, values: tuple[Value, ...]) -> None:
        _ = at
        self._count += not values or values[0] is not None

    def result(self) -> Value:
        return self._count


class _Distinct:
    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, at: int, values: tuple[Value, ...]) -> None:
        _ = at
        if values[0] is not None:
            self._seen.add(as_text(values[0]))

    def result(self) -> Value:
        return len(self._seen)


class _Moments:
    """Count, sum and spread of numbers, by Welford's method."""

    def __init__(self, pick: Callable[[_Moments], Value]) -> None:
        self._pick = pick
        self.count = 0
        self.total: float = 0
        self._mean = 0.0
        self._squares = 0.0

    def add(self, at: int, values: tuple[Value, ...]) -> None:
        _ = at
        number = as_number(values[0])
        if number is None:
            return
        self.count += 1
        self.total += number
        off = number - self._mean
        self._mean += off / self.count
        self._squares += off * (number - self._mean)

    @property
    def deviation(self) -> float:
        """Standard deviation of the sample."""
        return math.sqrt(max(0.0, self._squares) / (self.count - 1)) if self.count > 1 else 0.0

    def result(self) -> Value:
        value = self._pick(self) if self.count else None
        return value if isinstance(value, int | float) and math.isfinite(value) else None


class _Percentile:
    def __init__(self) -> None:
        self._numbers = array("d")
        self._percent = 50.0

    def add(self, at: int, values: tuple[Value, ...]) -> None:
        _ = at
        number = as_number(values[0])
        if number is not None:
            self._numbers.append(number)
        percent = as_number(values[1]) if len(values) > 1 else None
        if percent is not None:
            self._percent = min(100.0, max(0.0, float(percent)))

    def result(self) -> Value:
        """Return the value at that share of the ordered numbers, between two neighbours in proportion."""
        if not self._numbers:
            return None
        ordered = sorted(self._numbers)
        place = (len(ordered) - 1) * self._percent / 100
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class _Best:
    """Keeps the value whose key is the least, or the greatest."""

    def __init__(self, key: Callable[[int, Value], Key], *, greatest: bool) -> None:
        self._key = key
        self._is_greatest = greatest
        self._best: tuple[Key, Value] | None = None

    def add(self, at: int, values: tuple[Value, ...]) -> None:
        if values[0] is None:
            return
        key = self._key(at, values[0])
        if self._best is None or self._beats(key, self._best[0]):
            self._best = key, values[0]

    def _beats(self, key: Key, best: Key) -> bool:
        return key > best if self._is_greatest else key < best

    def result(self) -> Value:
        return None if self._best is None else self._best[1]


def _by_time(at: int, value: Value) -> Key:
    _ = value
    return (0, at)


def _by_value(at: int, value: Value) -> Key:
    _ = at
    return sort_key(value)


AGGREGATES: dict[str, Aggregate] = {
    "count": Aggregate(0, 1, _Count),
    "count_distinct": Aggregate(1, 1, _Distinct),
    "sum": Aggregate(1, 1, lambda: _Moments(lambda found: found.total)),
    "avg": Aggregate(1, 1, lambda: _Moments(lambda found: found.total / found.count)),
    "stddev": Aggregate(1, 1, lambda: _Moments(lambda found: found.deviation)),
    "min": Aggregate(1, 1, lambda: _Best(_by_value, greatest=False)),
    "max": Aggregate(1, 1, lambda: _Best(_by_value, greatest=True)),
    "pct": Aggregate(2, 2, _Percentile),
    "percentile": Aggregate(2, 2, _Percentile),
    "median": Aggregate(1, 1, _Percentile),
    "earliest": Aggregate(1, 1, lambda: _Best(_by_time, greatest=False)),
    "latest": Aggregate(1, 1, lambda: _Best(_by_time, greatest=True)),
    "sortsfirst": Aggregate(1, 1, lambda: _Best(_by_value, greatest=False)),
    "sortslast": Aggregate(1, 1, lambda: _Best(_by_value, greatest=True)),
}
