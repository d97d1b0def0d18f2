"""What an alarm watches, at its moment: the datapoints of its evaluation range, and the verdict they give."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from farero.records.alarms import Point
from farero.records.metrics import Metric
from farero.telemetry.alarms.evaluate import EXTRA, evaluate
from farero.telemetry.alarms.texts import period_of
from farero.telemetry.metrics.statistics import Summary, statistic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.records.alarms import Alarm, Verdict
    from farero.telemetry.metrics.ingest import Metrics
    from farero.telemetry.metrics.queries import MetricQueries

#: Seconds after a period's end until its last values have come.
SETTLED_S = 4
_MINUTE = 60
#: Steps of alarms with periods below a minute.
_SHORT_STEP = 10


class Watch:
    """Reads metrics for alarms."""

    def __init__(self, metrics: Metrics, queries: MetricQueries) -> None:
        self._metrics = metrics
        self._queries = queries

    def verdict(self, alarm: Alarm, now: dt.datetime) -> Verdict | None:
        """Return the state that the metric gives at this moment; None: it stays as it is."""
        config = alarm.config
        period = period_of(config)
        step = step_of(alarm)
        count = int(config["EvaluationPeriods"]) + EXTRA
        end = (int(now.timestamp()) - SETTLED_S) // step * step
        if "Metrics" in config:
            end = end // period * period
        start = end - count * period
        if "Metrics" not in config:
            points = self._of_metric(config, start, end, min(step, period))
        elif "ThresholdMetricId" in config:
            points = self._of_band(config, start, end)
            if not any(point.upper is not None for point in points.values()):
                # The model knows nothing yet, so nothing is bad and nothing is missing.
                config, points = {**config, "TreatMissingData": "missing"}, {}
        else:
            points = self._of_queries(config["Metrics"], start, end)
        window = [points.get(index) for index in range(count)]
        return evaluate(config, window, now=now, start=moment(start), current=alarm.state)

    def _of_metric(
        self, config: Mapping[str, Any], start: int, end: int, step: int
    ) -> dict[int, Point]:
        """Return the periods that have values, by their place; they may begin at any minute."""
        period = period_of(config)
        names = {one["Name"]: one["Value"] for one in config.get("Dimensions", ())}
        metric = Metric.of(config["Namespace"], config["MetricName"], names)
        merged: dict[int, Summary] = {}
        for at, summary in self._metrics.points(
            metric, start=moment(start), end=moment(end), period_s=step, unit=config.get("Unit")
        ):
            merged.setdefault((at - start) // period, Summary()).merge(summary)
        function = statistic(config.get("Statistic") or config["ExtendedStatistic"])
        found: dict[int, Point] = {}
        for index, summary in merged.items():
            value = function(summary)
            if value is not None:
                at = moment(start + index * period)
                found[index] = Point(at=at, value=value, samples=summary.count)
        return found

    def _of_queries(self, queries: Any, start: int, end: int) -> dict[int, Point]:
        found = self._queries.evaluate(queries, start=moment(start), end=moment(end))
        # an expression may have none, or several, of those that have values just now
        if len(found) != 1:
            return {}
        [series] = found
        return {
            (at - start) // series.period_s: Point(at=moment(at), value=value)
            for at, value in series.points
        }

    def _of_band(self, config: Mapping[str, Any], start: int, end: int) -> dict[int, Point]:
        """Return the periods in which both a value and what was expected are known."""
        band_id = config["ThresholdMetricId"]
        found = self._queries.evaluate(config["Metrics"], start=moment(start), end=moment(end))
        upper, lower = (dict(one.points) for one in found if one.id == band_id)
        others = [one for one in found if one.id != band_id]
        if len(others) != 1:
            return {}
        [series] = others
        return {
            (at - start) // series.period_s: Point(
                at=moment(at), value=value, lower=lower[at], upper=upper[at]
            )
            for at, value in series.points
            if at in upper and at in lower
        }


def step_of(alarm: Alarm) -> int:
    """Return the seconds between an alarm's turns."""
    return _MINUTE if period_of(alarm.config) >= _MINUTE else _SHORT_STEP


def next_turn(step: int, now: dt.datetime) -> dt.datetime:
    """Return the moment at which the next period has ended and its values have come."""
    return moment(((int(now.timestamp()) - SETTLED_S) // step + 1) * step + SETTLED_S)


def is_minute_turn(alarm: Alarm, now: dt.datetime) -> bool:
    """Say whether this turn of an alarm is the first of its minute."""
    step = step_of(alarm)
    return (int(now.timestamp()) - SETTLED_S) // step * step % _MINUTE == 0


def moment(seconds: int) -> dt.datetime:
    """Return the time that is so many seconds after 1970."""
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
