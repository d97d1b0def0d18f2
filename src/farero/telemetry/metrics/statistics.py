"""CloudWatch's statistics of one period: from Average to p99.9, TM(10%:90%) and PR(:100). Pure.

Names and meaning: "CloudWatch statistics definitions" in Amazon's user guide.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from farero.base.errors import Invalid
from farero.telemetry.metrics.sketch import Sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SIMPLE = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_SHORT = re.compile(r"(p|tm|tc|ts|wm)(\d{1,2}(?:\.\d{1,10})?|100)", re.IGNORECASE)
_RANGE = re.compile(r"(TM|TC|TS|WM|PR)\(\s*([^:()]*?)\s*:\s*([^:()]*?)\s*\)", re.IGNORECASE)
_BOUND = re.compile(r"-?\d+(?:\.\d+)?%?")


class Maker(Protocol):
    """What is known of values that are still packed."""

    def __call__(self) -> Sketch:
        """Unpack them."""
        ...

    def percentile(self, share: float, /) -> float:
        """Return the smallest value that is not exceeded by that share of all, without unpacking."""
        ...


@dataclass(slots=True)
class Summary:
    """The values of one metric in one period."""

    count: float = 0.0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")
    #: The values by bucket, or who makes that sketch when somebody asks for it. None once a statistic set of different
    #: values has been added: percentiles are unknown then.
    known: Sketch | Maker | None = field(default_factory=Sketch)

    @property
    def sketch(self) -> Sketch | None:
        """The values by bucket, to read and to change."""
        if self.known is not None and not isinstance(self.known, Sketch):
            self.known = self.known()
        return self.known

    def add(self, value: float, count: float = 1) -> None:
        """Add a value `count` times."""
        self.count += count
        self.total += value * count
        self.least, self.most = min(self.least, value), max(self.most, value)
        if self.sketch is not None:
            self.sketch.add(value, count)

    def add_all(self, values: Sequence[float], counts: Sequence[float]) -> None:
        """Add one or more values, each as often as `counts` says."""
        self.count += sum(counts)
        self.total += sum(map(operator.mul, values, counts))
        self.least, self.most = min(self.least, *values), max(self.most, *values)
        if self.sketch is not None:
            self.sketch.add_all(values, counts)

    def add_set(self, count: float, total: float, least: float, most: float) -> None:
        """Add values that were folded before; percentiles stay known only if all of them were equal."""
        if least == most and self.sketch is not None:
            self.sketch.add(least, count)
        else:
            self.known = None
        self.count += count
        self.total += total
        self.least, self.most = min(self.least, least), max(self.most, most)

    def merge(self, other: Summary) -> None:
        """Add everything that the other holds."""
        self.count += other.count
        self.total += other.total
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        if self.known is None or other.known is None:
            self.known = None
        elif isinstance(self.known, Sketch) and isinstance(other.known, Sketch):
            self.known.merge(other.known)
        elif isinstance(self.known, _Together):
            self.known.parts.append(other.known)
        else:
            self.known = _Together([self.known, other.known])

    def percentile(self, share: float) -> float | None:
        """Return the smallest value that is not exceeded by that share of all: of few requests, p99 is the slowest."""
        if self.known is None or not self.count:
            return None
        if share in (0.0, 1.0):
            return self.least if share == 0.0 else self.most
        found = self.known.percentile(share)
        return min(max(found, self.least), self.most)

    def values(self) -> list[tuple[float, float]] | None:
        """Return (value, count), smallest first, within the true limits; None if they are unknown."""
        sketch = self.sketch
        if sketch is None:
            return None
        return [(min(max(v, self.least), self.most), n) for v, n in sketch.items() if n > 0]


class _Together:
    """Values of several periods that are added up when somebody asks for them."""

    def __init__(self, parts: list[Sketch | Maker]) -> None:
        self.parts = parts

    def __call__(self) -> Sketch:
        made = Sketch()
        for part in self.parts:
            made.merge(part if isinstance(part, Sketch) else part())
        return made

    def percentile(self, share: float) -> float:
        return self().percentile(share)


def statistic(name: str) -> Callable[[Summary], float | None]:
    """Return the function that computes a statistic; it answers None where that is unknown. Raises Invalid."""
    if name in _SIMPLE:
        return _simple(name)
    if name.upper() == "IQM":
        return lambda found: _trimmed(found, "tm", 0.25, 0.75)
    if short := _SHORT.fullmatch(name):
        kind, percent = short[1].lower(), float(short[2]) / 100
        if kind == "p":
            return lambda found: found.percentile(percent)
        return lambda found: _trimmed(found, kind, 0.0, percent)
    if spanned := _RANGE.fullmatch(name):
        return _ranged(name, spanned[1].lower(), spanned[2], spanned[3])
    raise Invalid(f"Invalid statistic: {name}")


def _simple(name: str) -> Callable[[Summary], float | None]:
    found: dict[str, Callable[[Summary], float | None]] = {
        "SampleCount": lambda one: one.count,
        "Average": lambda one: one.total / one.count if one.count else None,
        "Sum": lambda one: one.total,
        "Minimum": lambda one: one.least,
        "Maximum": lambda one: one.most,
    }
    return found[name]


def _ranged(name: str, kind: str, low: str, high: str) -> Callable[[Summary], float | None]:
    for bound in (low, high):
        if bound and not _BOUND.fullmatch(bound):
            raise Invalid(f"Invalid statistic: {name}")
    if kind == "pr" or not (low.endswith("%") or high.endswith("%")):
        least = float(low.rstrip("%")) if low else float("-inf")
        most = float(high.rstrip("%")) if high else float("inf")
        return lambda found: _between(found, kind, least, most)
    first = float(low.rstrip("%")) / 100 if low else 0.0
    last = float(high.rstrip("%")) / 100 if high else 1.0
    if not 0 <= first < last <= 1:
        raise Invalid(f"Invalid statistic: {name}")
    return lambda found: _trimmed(found, kind, first, last)


def _trimmed(found: Summary, kind: str, first: float, last: float) -> float | None:
    """Return a trimmed mean, count or sum, or a winsorized mean, of the values between two shares."""
    values = found.values()
    if not values:
        return None
    low, high, seen = first * found.count, last * found.count, 0.0
    inside: list[tuple[float, float]] = []
    for value, count in values:
        part = min(seen + count, high) - max(seen, low)
        seen += count
        if part > 0:
            inside.append((value, part))
    if not inside:
        return None
    if kind == "wm":
        total = sum(v * n for v, n in inside) + inside[0][0] * low
        return (total + inside[-1][0] * (found.count - high)) / found.count
    return _of_parts(kind, inside, found.count)


def _between(found: Summary, kind: str, least: float, most: float) -> float | None:
    values = found.values()
    if values is None:
        return None
    if kind == "wm":
        clamped = [(min(max(v, least), most), n) for v, n in values]
        return sum(v * n for v, n in clamped) / found.count if found.count else None
    return _of_parts(kind, [(v, n) for v, n in values if least < v <= most], found.count)


def _of_parts(kind: str, parts: list[tuple[float, float]], whole: float) -> float | None:
    count = sum(n for _, n in parts)
    total = sum(v * n for v, n in parts)
    if kind == "pr":
        return 100 * count / whole if whole else None
    return {"tm": total / count if count else None, "tc": count, "ts": total}[kind]
