"""Makes metric values of the log events that match a metric filter. Pure.

A value is counted at the minute of its event's own time, as CloudWatch does.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.records.metrics import Datum, Metric
from farero.telemetry.filter_extract import as_text, compile_reference
from farero.telemetry.filter_patterns import compile_pattern
from farero.telemetry.filter_values import as_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.records.logs import MetricFilter, Transformation
    from farero.records.telemetry import NewLogEvent

MINUTE_MS = 60_000
#: Values that a metric takes: CloudWatch's API reference, MetricDatum.
_SMALLEST, _LARGEST = 2.0**-360, 2.0**360
_DIMENSION_CHARACTERS = 1024
_DIMENSIONS = 3
#: A filter that makes more metrics than this in an hour is no longer believed: its dimension is an id of something.
METRICS_PER_HOUR = 1000
_HOUR_MS = 3_600_000


class Transformer:
    """One filter, compiled. Raises Invalid for one that cannot be read."""

    def __init__(self, pattern: str, transformation: Transformation) -> None:
        self._transformation = transformation
        self._matches = compile_pattern(pattern)
        self._hour = 0
        #: The metrics of this hour.
        self._seen: set[Metric] = set()
        self._constant = as_number(transformation.value)
        if self._constant is None:
            self._value = compile_reference(transformation.value, pattern)
        self._dimensions = {
            name: compile_reference(reference, pattern)
            for name, reference in transformation.dimensions.items()
        }
        if len(self._dimensions) > _DIMENSIONS:
            raise Invalid("Invalid metric transformation: at most 3 dimensions are allowed.")
        if self._dimensions and transformation.default is not None:
            raise Invalid(
                "Invalid metric transformation: dimensions and default value are mutually exclusive properties."
            )

    @classmethod
    def of(cls, found: MetricFilter) -> Transformer:
        """Compile a stored filter."""
        return cls(found.pattern, found.transformation)

    def data(self, events: Sequence[NewLogEvent]) -> tuple[list[Datum], dict[int, bool]]:
        """Return the values of a batch, folded by metric and minute; and the batch's minutes: had one a match?"""
        folded: dict[tuple[Metric, int], Counter[float]] = {}
        minutes: dict[int, bool] = {}
        for event in events:
            minute = event.timestamp_ms // MINUTE_MS * MINUTE_MS
            found = self._believed(self._found(event.message), minute // _HOUR_MS)
            minutes[minute] = minutes.get(minute, False) or found is not None
            if found is not None:
                metric, value = found
                folded.setdefault((metric, minute), Counter())[value] += 1
        return [
            self._datum(metric, minute, values) for (metric, minute), values in folded.items()
        ], minutes

    def default(self, minute_ms: int) -> Datum | None:
        """Return the value of a minute without a match; None if the filter has no default."""
        if self._transformation.default is None:
            return None
        return self._datum(self._metric({}), minute_ms, Counter({self._transformation.default: 1}))

    def _found(self, message: str) -> tuple[Metric, float] | None:
        if not self._matches(message):
            return None
        value = self._constant if self._constant is not None else as_number(self._value(message))
        if value is None or not _is_storable(value):
            return None
        dimensions = {name: find(message) for name, find in self._dimensions.items()}
        texts = {name: as_text(part) for name, part in dimensions.items() if part is not None}
        if len(texts) < len(dimensions) or not all(texts.values()):
            return None
        return self._metric(texts), value

    def _believed(
        self, found: tuple[Metric, float] | None, hour: int
    ) -> tuple[Metric, float] | None:
        """Return what was found, unless it is a new metric of a filter that has made too many."""
        if found is None or not self._dimensions:
            return found
        if hour > self._hour:
            self._hour = hour
            self._seen.clear()
        metric = found[0]
        if metric not in self._seen:
            if len(self._seen) >= METRICS_PER_HOUR:
                return None
            self._seen.add(metric)
        return found

    def _metric(self, dimensions: dict[str, str]) -> Metric:
        found = self._transformation
        short = {name: text[:_DIMENSION_CHARACTERS] for name, text in dimensions.items()}
        return Metric.of(found.namespace, found.name, short)

    def _datum(self, metric: Metric, minute_ms: int, values: Counter[float]) -> Datum:
        return Datum(
            metric=metric,
            at=dt.datetime.fromtimestamp(minute_ms // 1000, tz=dt.UTC),
            values=tuple(values),
            counts=tuple(float(count) for count in values.values()),
            unit=self._transformation.unit,
        )


def _is_storable(value: float) -> bool:
    return math.isfinite(value) and (value == 0 or _SMALLEST <= abs(value) <= _LARGEST)
