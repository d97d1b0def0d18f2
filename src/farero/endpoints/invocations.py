"""Counts invocations: the hot path appends two numbers, a tick folds them once a second and stores the metrics.

What is counted follows CloudWatch's "Endpoint invocation metrics": one sample a request for each metric, 0 where an
error did not happen, so that the average of an error metric is its rate and no traffic means no data. A request that
never got as far as a variant (our own validation, an unknown endpoint) is no invocation, nor is a throttled one.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from farero.endpoints import serverless_metrics
from farero.endpoints.durations import NO_ANSWER, Durations
from farero.records.metrics import Datum, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from farero.base.clock import Clock
    from farero.endpoints.durations import Taken
    from farero.endpoints.router import VariantRoute
    from farero.endpoints.serverless_metrics import Use
    from farero.telemetry.totals import Totals

log = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
#: Statuses that no container gave: none came in time, none came at all, the request was refused as one too many.
TIMED_OUT, DIED, THROTTLED = -1, -2, -3
#: Minutes of variants that wait for a database that cannot be written; the oldest are given up first.
MOST_PENDING = 2_000
#: A wall clock that has moved further against the monotonic one begins another minute.
CLOCK_MOVED_S = 0.5
#: Seconds after which the totals of deleted endpoints are let go.
FORGET_EVERY_S = 60
#: Different times of one minute that are kept as they are while they wait for a database; beyond them three digits are
#: (an error of at most 0.5 %).
MOST_EXACT = 1_000


#: What requests of one minute have in common: endpoint, identity of the variant's route (to hash all of it would take
#: long), the container's status or one of the negative ones above (503: no replica could be reached).
_Alike = tuple[str, int, int]


class _Key(NamedTuple):
    endpoint: str
    variant: str
    config: str
    #: Minutes since 1970.
    minute: int


@dataclass(slots=True)
class _Minute:
    """Requests that ended in one minute and wait to be folded."""

    #: Minutes since 1970.
    number: int
    durations: dict[_Alike, Durations] = field(default_factory=dict[_Alike, Durations])
    variants: dict[_Alike, VariantRoute] = field(default_factory=dict[_Alike, "VariantRoute"])


@dataclass(slots=True)
class _Sums:
    """One variant's minute."""

    count: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    errors: int = 0
    per_instance: Counter[float] = field(default_factory=Counter[float])
    model_us: Counter[int] = field(default_factory=Counter[int])
    overhead_us: Counter[int] = field(default_factory=Counter[int])

    def add(self, other: _Sums) -> None:
        self.count += other.count
        self.errors_4xx += other.errors_4xx
        self.errors_5xx += other.errors_5xx
        self.errors += other.errors
        self.per_instance.update(other.per_instance)
        self.model_us.update(other.model_us)
        self.overhead_us.update(other.overhead_us)

    def shrink(self) -> None:
        self.model_us = _shrunk(self.model_us)
        self.overhead_us = _shrunk(self.overhead_us)


class Invocations:
    """What one gateway has seen and not stored yet.

    put: stores values in one transaction; it may fail or take long, which delays metrics and nothing else.
    peaks: returns the most requests at a time since it was last asked, by endpoint and variant.
    uses: returns the same of serverless variants, with what is measured of them alone.
    """

    def __init__(
        self,
        clock: Clock,
        totals: Totals,
        *,
        put: Callable[[Sequence[Datum]], object],
        peaks: Callable[[], dict[tuple[str, str], int]] = dict,
        uses: Callable[[], dict[tuple[str, str], Use]] = dict,
    ) -> None:
        self._clock = clock
        self._monotonic = clock.monotonic
        self._totals = totals
        self._put = put
        self._peaks = peaks
        self._uses = uses
        self._offset = self._read_offset()
        self._minute, self._closed = _Minute(0), list[_Minute]()
        #: The monotonic time at which the minute ends.
        self._minute_ends = float("-inf")
        self._pending: dict[_Key, _Sums] = {}
        self._levels: list[Datum] = []
        self._configs: dict[tuple[str, str], str] = {}
        self._folding, self._storing = threading.Lock(), threading.Lock()
        self._forget_at = clock.monotonic() + FORGET_EVERY_S
        self._is_failing = False
        self.lost = 0

    def note(
        self,
        endpoint: str,
        variant: VariantRoute,
        status: int,
        model_s: float | None,
        received: float,
    ) -> None:
        """Remember one request that has ended now; received: the monotonic time at which it came. For one thread."""
        ended = self._monotonic()
        answer_s = NO_ANSWER if model_s is None else model_s
        self.note_alike(endpoint, variant, status, (answer_s, ended - received), ended)

    def note_alike(
        self,
        endpoint: str,
        variant: VariantRoute,
        status: int,
        seconds: Sequence[float],
        ended: float,
    ) -> None:
        """Remember requests that have ended at `ended`; of each the seconds of its model and those in all, in turn."""
        if ended >= self._minute_ends:
            self._begin_minute(ended)
        alike = (endpoint, id(variant), status)
        durations = self._minute.durations.get(alike)
        if durations is None:
            self._minute.variants[alike] = variant
            durations = self._minute.durations[alike] = Durations()
        durations.add(seconds)

    def _begin_minute(self, ended: float) -> None:
        """Put the minute that is over aside."""
        offset = self._offset
        number = int((ended + offset) // 60)
        self._closed.append(self._minute)
        self._minute = _Minute(number)
        self._minute_ends = (number + 1) * 60 - offset

    def _read_offset(self) -> float:
        """Return the seconds from the monotonic clock's zero to 1970."""
        return self._clock.now().timestamp() - self._clock.monotonic()

    def fold(self) -> None:
        """Add what was noted to the sums and to the totals."""
        with self._folding:
            offset = self._read_offset()
            if abs(offset - self._offset) > CLOCK_MOVED_S:
                self._offset, self._minute_ends = offset, float("-inf")
            while len(self._closed) > 0:
                self._fold_minute(self._closed.pop(0))
            self._fold_minute(self._minute)
            now = self._clock.now()
            self._fold_levels(now)
            self._totals.save()

    def flush(self) -> None:
        """Fold, and store what is folded; what cannot be stored waits for the next time. Blocks on SQL."""
        with self._storing:
            self.fold()
            self._forget_others()
            with self._folding:
                taken, self._pending = self._pending, {}
                levels, self._levels = self._levels, []
            data = [*_data(taken), *levels]
            if not data:
                return
            try:
                self._put(data)
            except Exception as error:  # noqa: BLE001 - whatever the database says; metrics must not fail a request
                self._keep(taken, levels, error)
                return
            if self._is_failing:
                self._is_failing = False
                log.info("metrics are stored again")

    def _fold_minute(self, minute: _Minute) -> None:
        """Take what waits of a minute; the hot path may go on appending meanwhile."""
        for alike, durations in minute.durations.copy().items():
            taken = durations.take()
            if taken.requests:
                self._fold_group(minute, alike, taken)

    def _fold_group(self, minute: _Minute, alike: _Alike, taken: Taken) -> None:
        endpoint, _, status = alike
        variant = minute.variants[alike]
        count, model_us, overhead_us = taken
        labels = (("endpoint", endpoint), ("variant", variant.name))
        totals = self._totals
        if status == THROTTLED:
            totals.add("farero_invocations_throttled_total", labels, count)
            return
        self._configs[endpoint, variant.name] = variant.config_name
        key = _Key(endpoint, variant.name, variant.config_name, minute.number)
        sums = self._pending.get(key)
        if sums is None:
            sums = self._pending[key] = _Sums()
        errors_4xx = count if 400 <= status < 500 else 0
        # A request that found no answer is a "server error (0)" in AWS's words.
        errors_5xx = count if status >= 500 or status < 0 else 0
        errors = 0 if 200 <= status < 300 else count
        sums.count += count
        sums.errors_4xx += errors_4xx
        sums.errors_5xx += errors_5xx
        sums.errors += errors
        sums.per_instance[1 / max(1, len(variant.replicas))] += count
        sums.overhead_us.update(overhead_us)
        sums.model_us.update(model_us)
        totals.add("farero_invocations_total", labels, count)
        totals.add("farero_invocation_4xx_errors_total", labels, errors_4xx)
        totals.add("farero_invocation_5xx_errors_total", labels, errors_5xx)
        totals.add("farero_invocation_model_errors_total", labels, errors)
        totals.observe("farero_overhead_latency_seconds", labels, overhead_us)
        if model_us:
            totals.observe("farero_model_latency_seconds", labels, model_us)

    def _fold_levels(self, now: dt.datetime) -> None:
        """Note the most requests at a time of the span that ends now; kept by the second."""
        at = now.replace(microsecond=0)
        now_at_a_time = self._totals.levels_at_rest()
        for (endpoint, variant), peak in self._peaks().items():
            labels = (("endpoint", endpoint), ("variant", variant))
            now_at_a_time["farero_concurrent_requests", labels] = peak
            config = self._configs.get((endpoint, variant), "")
            for dimensions in _dimensions(endpoint, variant, config):
                metric = Metric.of(NAMESPACE, "ConcurrentRequestsPerModel", dimensions)
                datum = Datum(metric=metric, at=at, values=(float(peak),), resolution=1)
                self._levels.append(datum)
        self._totals.set_levels(now_at_a_time)
        self._levels += serverless_metrics.data(self._uses(), at)

    def _forget_others(self) -> None:
        if self._clock.monotonic() < self._forget_at:
            return
        self._forget_at = self._clock.monotonic() + FORGET_EVERY_S
        try:
            self._totals.forget_others()
        except Exception:
            log.exception("totals of deleted endpoints stay until the next try")

    def _keep(self, taken: dict[_Key, _Sums], levels: list[Datum], error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            log.warning("metrics cannot be stored; they wait", extra={"error": error})
        with self._folding:
            for key, sums in self._pending.items():
                taken.setdefault(key, _Sums()).add(sums)
            for sums in taken.values():  # only what waits for long could grow without an end
                sums.shrink()
            while len(taken) > MOST_PENDING:
                self._lose(taken.pop(min(taken, key=lambda one: one.minute)).count)
            self._pending = taken
            # A level counts for its second; after so many it says nothing that the newer ones do not.
            self._levels = [*levels, *self._levels][-MOST_PENDING:]

    def _lose(self, count: int) -> None:
        if not self.lost:
            log.error("metrics of requests are lost: too many wait to be stored")
        self.lost += count
        self._totals.add("farero_metrics_lost_total", (), count)


def _data(pending: dict[_Key, _Sums]) -> Iterator[Datum]:
    for key, sums in pending.items():
        at = dt.datetime.fromtimestamp(key.minute * 60, dt.UTC)
        both = _dimensions(key.endpoint, key.variant, key.config)
        for name, unit, found in _metrics(sums):
            values = tuple(map(float, found))
            counts = tuple(map(float, found.values()))
            for dimensions in both:
                metric = Metric.of(NAMESPACE, name, dimensions)
                yield Datum(metric=metric, at=at, values=values, counts=counts, unit=unit)


def _metrics(sums: _Sums) -> Iterator[tuple[str, str, dict[int, int] | dict[float, int]]]:
    yield "Invocations", "None", {1: sums.count}
    yield "InvocationsPerInstance", "None", sums.per_instance
    yield "Invocation4XXErrors", "None", _claims(sums.errors_4xx, sums.count)
    yield "Invocation5XXErrors", "None", _claims(sums.errors_5xx, sums.count)
    yield "InvocationModelErrors", "None", _claims(sums.errors, sums.count)
    yield "OverheadLatency", "Microseconds", sums.overhead_us
    if sums.model_us:
        yield "ModelLatency", "Microseconds", sums.model_us


def _claims(true: int, count: int) -> dict[int, int]:
    """Return how often it was 0 and 1; what never was is left out."""
    return {value: times for value, times in ((0, count - true), (1, true)) if times}


def _dimensions(endpoint: str, variant: str, config: str) -> list[dict[str, str]]:
    both = {"EndpointName": endpoint, "VariantName": variant}
    return [both, {**both, "EndpointConfigName": config}] if config else [both]


def _shrunk(values: Counter[int]) -> Counter[int]:
    if len(values) <= MOST_EXACT:
        return values
    rounded: Counter[int] = Counter()
    for value, count in values.items():
        rounded[round(value, 3 - len(str(value)))] += count
    return rounded
