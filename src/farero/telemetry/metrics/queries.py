"""GetMetricData's queries: statistics of metrics and expressions over them. Used by graphs and by alarms alike."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero.base.errors import Invalid
from farero.records.metrics import Metric
from farero.telemetry.metrics.expressions import compile_expression
from farero.telemetry.metrics.search import MOST_FOUND, compile_search
from farero.telemetry.metrics.statistics import statistic
from farero.telemetry.metrics.values import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farero.telemetry.metrics.ingest import Metrics
    from farero.telemetry.metrics.values import Operand

    #: One of AWS's MetricDataQuery structures.
    Query = Mapping[str, Any]
    #: Takes what is asked and a width in standard deviations; returns the upper and the lower end of what is expected.
    Band = Callable[["Watched", float], Sequence[Line]]

_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")
_LABEL = re.compile(r"\$\{([A-Z]+)(?:\('([^')]*)'\))?\}")
_DEFAULT_PERIOD_S = 300
_SHORT_PERIODS = (1, 5, 10, 20, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One result."""

    id: str
    label: str
    period_s: int
    #: (seconds since 1970, value), oldest first.
    points: list[tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A series of which a band is asked."""

    line: Line
    #: Seconds since 1970; the end is exclusive.
    start: int
    end: int
    #: The series as the expression has it: the id of a query, or an expression.
    text: str
    #: The queries that it may refer to.
    queries: Sequence[Query]
    #: Returns the same series between two other moments.
    between: Callable[[int, int], Line]


class MetricQueries:
    """Evaluates queries against the stored metrics."""

    def __init__(self, metrics: Metrics, band: Band | None = None) -> None:
        """band: what is expected of a series; without it ANOMALY_DETECTION_BAND is refused."""
        self._metrics = metrics
        self._band = band

    def check(self, queries: Sequence[Query]) -> None:
        """Raise Invalid for queries that can never be evaluated."""
        seen: set[str] = set()
        for query in queries:
            name: str = query["Id"]
            if not _ID.fullmatch(name):
                raise Invalid(
                    f"The value {name} for parameter MetricDataQueries.Id is not matching the expected pattern "
                    "^[a-z][a-zA-Z0-9_]*$."
                )
            if name in seen:
                raise Invalid(
                    f"The values for parameter MetricDataQueries.Id must be unique: {name}."
                )
            seen.add(name)
            if ("MetricStat" in query) == ("Expression" in query):
                raise Invalid(
                    f"Exactly one of MetricStat and Expression must be specified for {name}."
                )
            if "Expression" in query:
                _compiled(query)
            else:
                statistic(query["MetricStat"]["Stat"])
                check_period(query["MetricStat"]["Period"])

    def evaluate(
        self, queries: Sequence[Query], *, start: dt.datetime, end: dt.datetime
    ) -> list[Series]:
        """Return the series of every query whose ReturnData is not false, in the order of the queries.

        Raises Invalid for a query that cannot be evaluated.
        """
        try:
            return self._evaluated(queries, start, end)
        except RecursionError as error:
            raise Invalid("The expressions refer to each other too deeply.") from error

    def _evaluated(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime
    ) -> list[Series]:
        self.check(queries)
        scope = _Scope(self._metrics, self._band, queries, start, end)
        found: list[Series] = []
        for query in queries:
            if query.get("ReturnData", True):
                found += _series(query, scope.find(query["Id"]), scope)
        return found


def check_period(period_s: int) -> None:
    """Raise Invalid for a period that no metric can be read by."""
    if period_s not in _SHORT_PERIODS and (period_s < 60 or period_s % 60):
        raise Invalid(
            f"Period must be 1, 5, 10, 20, 30 or a multiple of 60 seconds; it is {period_s}."
        )


class _Scope:
    """One evaluation: each query is computed once, when somebody asks for it."""

    def __init__(
        self,
        metrics: Metrics,
        band: Band | None,
        queries: Sequence[Query],
        start: dt.datetime,
        end: dt.datetime,
    ) -> None:
        self._metrics = metrics
        self._band = band
        self._from, self._to = start, end
        self.start, self.end = int(start.timestamp()), int(end.timestamp())
        self._queries = {query["Id"]: query for query in queries}
        self._done: dict[str, Operand] = {}
        self._running: set[str] = set()
        periods = [q["MetricStat"]["Period"] for q in queries if "MetricStat" in q]
        self.period_s = max(periods, default=_DEFAULT_PERIOD_S)

    def find(self, name: str) -> Operand:
        if name not in self._done:
            query = self._queries.get(name)
            if query is None:
                raise Invalid(f"Error in expression: unknown id '{name}'")
            if name in self._running:
                raise Invalid(f"Error in expression: '{name}' refers to itself")
            self._running.add(name)
            self._done[name] = (
                self._stat(query) if "MetricStat" in query else _compiled(query)(self)
            )
            self._running.discard(name)
        return self._done[name]

    def metrics(self, part: str = "") -> list[Line]:
        names = [n for n, q in self._queries.items() if "MetricStat" in q and part in n]
        lines = [self.find(name) for name in names]
        return [line for line in lines if isinstance(line, Line)]

    def search(self, expression: str, stat: str, period_s: int) -> list[Line]:
        check_period(period_s)
        test = compile_search(expression)
        found = [metric for metric in self._metrics.list() if test(metric)][:MOST_FOUND]
        return [line for metric in found if (line := self._line(metric, stat, period_s)).points]

    def band(self, text: str, series: Callable[[_Scope], Line], width: float) -> list[Line]:
        if self._band is None:
            raise Invalid("ANOMALY_DETECTION_BAND is not available")
        queries = tuple(self._queries.values())

        def between(start: int, end: int) -> Line:
            moments = (dt.datetime.fromtimestamp(at, tz=dt.UTC) for at in (start, end))
            return series(_Scope(self._metrics, None, queries, *moments))

        watched = Watched(
            line=series(self),
            start=self.start,
            end=self.end,
            text=text,
            queries=queries,
            between=between,
        )
        return list(self._band(watched, width))

    def _stat(self, query: Query) -> Line:
        given: Mapping[str, Any] = query["MetricStat"]
        metric = given["Metric"]
        dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
        wanted = Metric.of(metric.get("Namespace", ""), metric["MetricName"], dimensions)
        return self._line(wanted, given["Stat"], given["Period"], given.get("Unit"))

    def _line(self, metric: Metric, stat: str, period_s: int, unit: str | None = None) -> Line:
        function = statistic(stat)
        points: dict[int, float] = {}
        for at, summary in self._metrics.points(
            metric, start=self._from, end=self._to, period_s=period_s, unit=unit
        ):
            value = function(summary)
            if value is not None:
                points[at] = value
        facts = (
            ("MetricName", metric.name), ("Namespace", metric.namespace), ("Stat", stat), ("Period", str(period_s)),
            *((f"Dim.{name}", value) for name, value in metric.dimensions),
        )  # fmt: skip
        return Line(points, metric.name, period_s, facts)


def _compiled(query: Query) -> Callable[[_Scope], Operand]:
    try:
        return compile_expression(query["Expression"])
    except Invalid as error:
        raise Invalid(f"Error in expression '{query['Id']}': {error}") from error


def _series(query: Query, value: Operand, scope: _Scope) -> list[Series]:
    if isinstance(value, list):
        lines = value
    elif isinstance(value, Line):
        lines = [value]
    else:  # a number: drawn at every period; what cannot be computed is not drawn
        first = scope.start // scope.period_s * scope.period_s
        times = range(first, scope.end, scope.period_s) if math.isfinite(value) else ()
        lines = [Line(dict.fromkeys(times, value), period_s=scope.period_s)]
    default = "" if "MetricStat" in query else query["Id"]
    return [
        Series(
            id=query["Id"],
            label=_label(query.get("Label"), line, default),
            period_s=line.period_s,
            points=sorted((at, v) for at, v in line.points.items() if math.isfinite(v)),
        )
        for line in lines
    ]


def _label(given: str | None, line: Line, default: str) -> str:
    own = line.label or default
    if not given:
        return own
    facts = dict(line.facts)
    values = [line.points[at] for at in sorted(line.points)]

    def fill(match: re.Match[str]) -> str:
        word, argument = match[1], match[2]
        if word == "PROP":
            return facts.get(argument or "", "")
        if word == "LABEL":
            return own
        return _figure(word, values, match[0])

    return _LABEL.sub(fill, given)


def _figure(word: str, values: list[float], text: str) -> str:
    if not values:
        return "--"
    figures = {
        "AVG": sum(values) / len(values), "MAX": max(values), "MIN": min(values), "SUM": sum(values),
        "FIRST": values[0], "LAST": values[-1],
    }  # fmt: skip
    return f"{figures[word]:.6g}" if word in figures else text
