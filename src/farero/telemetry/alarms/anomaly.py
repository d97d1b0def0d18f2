"""Bands of what is expected of metrics, and the detectors that users ask for.

A model is learnt from two weeks that end at a round hour, and serves for three hours; learning it again gives the same.
So nothing but the configuration of a detector is stored: models live in memory, in whatever process needs them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import zoneinfo
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from farero.base.errors import Invalid, NotFound
from farero.records.alarms import AnomalyDetector
from farero.store import alarms as rows
from farero.telemetry.alarms import baseline
from farero.telemetry.metrics.values import Line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero.base.clock import Clock
    from farero.store.engine import Store
    from farero.telemetry.alarms.baseline import Baseline, Offset
    from farero.telemetry.metrics.queries import MetricQueries, Watched

    Json = dict[str, Any]

DetectorState = Literal["PENDING_TRAINING", "TRAINED_INSUFFICIENT_DATA", "TRAINED"]
#: Seconds of history that a model learns from, and that it serves for.
HISTORY, SERVES = 14 * baseline.DAY, 3 * baseline.HOUR
#: Models for one graph; a longer one is drawn with models that serve longer.
_MOST_AT_ONCE = 128
_KEPT = 1000
#: Seconds after which the last values before a model's origin have come.
_SETTLED = 60


class Bands:
    """What is expected of any series, moment by moment."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._models: OrderedDict[tuple[object, ...], Baseline] = OrderedDict()
        self._lock = threading.Lock()

    def band(self, watched: Watched, width: float) -> tuple[Line, Line]:
        """Return the upper and the lower end of what is expected; empty where too little is known."""
        period = watched.line.period_s
        found = self._find_config(watched)
        first = watched.start // period * period
        step = SERVES * max(1, -(-(watched.end - first) // (SERVES * _MOST_AT_ONCE)))
        upper: dict[int, float] = {}
        lower: dict[int, float] = {}
        history: list[tuple[int, float]] | None = None
        for origin in range(first // step * step, watched.end, step):
            key = (_key(watched), msgspec.json.encode(found), period, origin)
            model = self._known(key)
            if model is None:
                if history is None:
                    history = _history(watched, origin - HISTORY, found)
                model = _learn(history, origin, period, found)
                self._keep(key, model, origin)
            if model is not None:
                start = max(first, -(-origin // period) * period)
                for at in range(start, min(origin + step, watched.end), period):
                    upper[at], lower[at] = model.band(at, width)
        label = watched.line.label
        return (
            Line(upper, f"{label} upper".lstrip(), period),
            Line(lower, f"{label} lower".lstrip(), period),
        )

    def _find_config(self, watched: Watched) -> Json:
        """Return the configuration of the detector of this very series, {} if nobody asked for one."""
        wanted = _series_of(watched)
        with self._store.read() as db:
            for one in rows.list_detectors(db):
                if _series(one.config) == wanted:
                    return dict(one.config.get("Configuration", {}))
        return {}

    def _known(self, key: tuple[object, ...]) -> Baseline | None:
        with self._lock:
            found = self._models.get(key)
            if found is not None:
                self._models.move_to_end(key)
            return found

    def _keep(self, key: tuple[object, ...], model: Baseline | None, origin: int) -> None:
        if model is None or self._clock.now().timestamp() < origin + _SETTLED:
            return  # more may be known in a moment
        with self._lock:
            self._models[key] = model
            while len(self._models) > _KEPT:
                self._models.popitem(last=False)


class Detectors:
    """The anomaly detectors of the account."""

    def __init__(self, store: Store, clock: Clock, queries: MetricQueries) -> None:
        self._store = store
        self._clock = clock
        self._queries = queries

    def put(self, config: Mapping[str, Any]) -> None:
        """Add a detector, or give the one of the same series another configuration. Raises Invalid."""
        check(config, self._queries)
        made = AnomalyDetector(id=_id(config), config=config, created_at=self._clock.now())
        with self._store.begin() as db:
            rows.put_detector(db, made)

    def list(self) -> Sequence[AnomalyDetector]:
        """Return every detector."""
        with self._store.read() as db:
            return rows.list_detectors(db)

    def delete(self, detector_id: str) -> None:
        """Delete a detector. Raises NotFound."""
        with self._store.begin() as db:
            if not rows.delete_detector(db, detector_id):
                raise NotFound(
                    "anomaly detector", detector_id, "The anomaly detector does not exist"
                )

    def id_of(self, config: Mapping[str, Any]) -> str:
        """Return the id of the detector of a series, whether there is one or not."""
        return _id(config)

    def state(self, detector: AnomalyDetector) -> DetectorState:
        """Return whether what a model learns from now, the history before its origin, suffices for a band."""
        end = self._clock.now()
        start = end - dt.timedelta(seconds=HISTORY)
        [series, *_] = self._queries.evaluate(_queries_of(detector.config), start=start, end=end)
        if not series.points:
            return "PENDING_TRAINING"
        origin = int(end.timestamp()) // SERVES * SERVES
        learnt = [at for at, _ in series.points if at + series.period_s <= origin]
        span = learnt[-1] - learnt[0] + series.period_s if learnt else 0
        is_enough = len(learnt) >= baseline.LEAST_POINTS and span >= baseline.LEAST_SPAN
        return "TRAINED" if is_enough else "TRAINED_INSUFFICIENT_DATA"


def check(config: Mapping[str, Any], queries: MetricQueries) -> None:
    """Raise Invalid for a detector that can never know anything."""
    offset_of(config.get("Configuration", {}))
    for one in config.get("Configuration", {}).get("ExcludedTimeRanges", ()):
        if one["StartTime"] >= one["EndTime"]:
            raise Invalid("An excluded time range must end after it starts.")
    asked = _queries_of(config)
    queries.check(asked)
    if sum(one.get("ReturnData", True) for one in asked) != 1:
        raise Invalid("Exactly one element of the metrics list should return data.")


def _queries_of(config: Mapping[str, Any]) -> list[Json]:
    if math := config.get("MetricMathAnomalyDetector"):
        return list(math["MetricDataQueries"])
    single = config.get("SingleMetricAnomalyDetector") or config
    metric = {
        key: single[key] for key in ("Namespace", "MetricName", "Dimensions") if key in single
    }
    stat = {"Metric": metric, "Period": 300, "Stat": single["Stat"]}
    return [{"Id": "m1", "MetricStat": stat}]


def offset_of(configuration: Mapping[str, Any]) -> Offset:
    """Return how far the local clocks of a detector are ahead of UTC at a moment. Raises Invalid."""
    name = configuration.get("MetricTimezone") or "UTC"
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        if name == "UTC":
            return baseline.no_offset
        raise Invalid(f"{name} is not a known time zone.") from error
    known: dict[int, int] = {}

    def offset(at: int) -> int:
        hour = at // baseline.HOUR
        if hour not in known:
            moment = dt.datetime.fromtimestamp(hour * baseline.HOUR, tz=zone)
            known[hour] = int((moment.utcoffset() or dt.timedelta()).total_seconds())
        return known[hour]

    return baseline.no_offset if name == "UTC" else offset


def _history(watched: Watched, start: int, config: Json) -> list[tuple[int, float]]:
    """Return what was seen from a moment on, without the times that the detector is to forget."""
    excluded = [
        (_seconds(one["StartTime"]), _seconds(one["EndTime"]))
        for one in config.get("ExcludedTimeRanges", ())
    ]
    points = watched.between(start, watched.end).points
    return sorted(
        (at, value)
        for at, value in points.items()
        if not any(first <= at < last for first, last in excluded)
    )


def _learn(
    history: Sequence[tuple[int, float]], origin: int, period: int, config: Json
) -> Baseline | None:
    points = [(at, v) for at, v in history if origin - HISTORY <= at and at + period <= origin]
    return baseline.train(points, origin=origin, period_s=period, offset=offset_of(config))


def _seconds(given: str | float) -> float:
    if isinstance(given, str):
        return dt.datetime.fromisoformat(given).timestamp()
    return float(given)


def _key(watched: Watched) -> object:
    return msgspec.json.encode(_series_of(watched))


def _series_of(watched: Watched) -> object:
    """Return what identifies the series: its metric, or the queries and the expression over them."""
    for query in watched.queries:
        if query["Id"] == watched.text and "MetricStat" in query:
            stat = query["MetricStat"]
            return _metric(stat["Metric"], stat["Stat"])
    return {"text": watched.text, "queries": _canonical(watched.queries)}


def _series(config: Mapping[str, Any]) -> object:
    """Return the same of a detector."""
    if math := config.get("MetricMathAnomalyDetector"):
        queries = math["MetricDataQueries"]
        text = next((q["Id"] for q in queries if q.get("ReturnData", True)), "")
        return {"text": text, "queries": _canonical(queries)}
    single = config.get("SingleMetricAnomalyDetector") or config
    return _metric(single, single.get("Stat", ""))


def _metric(given: Mapping[str, Any], stat: str) -> object:
    dimensions = sorted((one["Name"], one["Value"]) for one in given.get("Dimensions", ()))
    return [
        given.get("Namespace", ""),
        given.get("MetricName", ""),
        [list(d) for d in dimensions],
        stat,
    ]


def _canonical(queries: Sequence[Mapping[str, Any]]) -> list[object]:
    """Return what the queries compute, without labels, and without bands."""
    found: dict[str, object] = {}
    for query in queries:
        expression: str = query.get("Expression", "")
        if "ANOMALY_DETECTION_BAND" not in expression.upper():
            stat = query.get("MetricStat")
            metric = [_metric(stat["Metric"], stat["Stat"]), stat["Period"]] if stat else []
            found[query["Id"]] = [query["Id"], expression, metric]
    return [found[name] for name in sorted(found)]


def _id(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(_series(config))).hexdigest()[:32]
