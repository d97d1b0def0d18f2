"""Records of metrics: what was measured, on its way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Metric:
    """A namespace, a name and an exact set of dimensions: what CloudWatch calls one metric."""

    namespace: str
    name: str
    #: Pairs of name and value, ordered by name.
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        """Return the metric whatever the order in which its dimensions were given."""
        return cls(namespace=namespace, name=name, dimensions=tuple(sorted(dimensions.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticSet:
    """Values that were folded before they came; percentiles are lost but where all values are equal."""

    count: float
    total: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Datum:
    """Values of one metric at one moment."""

    metric: Metric
    at: dt.datetime
    #: Either values with how often each came (empty: once each), or a set.
    values: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    statistics: StatisticSet | None = None
    unit: str = "None"
    #: Seconds: 1 keeps each second for three hours, 60 keeps minutes.
    resolution: int = 60
