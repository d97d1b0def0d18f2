"""The functions of metric math. Each takes its arguments as compiled and returns a function of the scope. Pure."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import statistics
from typing import TYPE_CHECKING, Any

from farero.base.errors import Invalid
from farero.telemetry.metrics.values import Line, each, fold, lines_of, map_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.telemetry.metrics.expressions import Scope
    from farero.telemetry.metrics.values import Operand

    Argument = Callable[[Scope], Operand] | str
    Made = Callable[[Scope], Operand]

BAND = "ANOMALY_DETECTION_BAND"
KEYWORDS = {"REPEAT", "LINEAR", "ASC", "DESC"}


def _value(arguments: Sequence[Argument], index: int, scope: Scope) -> Operand:
    if index >= len(arguments):
        raise Invalid("a function has too few arguments")
    found = arguments[index]
    if isinstance(found, str):
        raise Invalid(f"'{found}' may not stand here")
    return found(scope)


def _number(arguments: Sequence[Argument], index: int, scope: Scope) -> float:
    found = _value(arguments, index, scope)
    if isinstance(found, (Line, list)):
        raise Invalid("a time series stands where a number is needed")
    return found


def _text(arguments: Sequence[Argument], index: int, default: str | None = None) -> str:
    found = arguments[index] if index < len(arguments) else default
    if not isinstance(found, str):
        raise Invalid("a text is missing")
    return found


def _each(function: Callable[[float], float]) -> Callable[[Sequence[Argument]], Made]:
    return lambda arguments: lambda scope: each(function, _value(arguments, 0, scope))


def _fold(function: Callable[[Sequence[float]], float]) -> Callable[[Sequence[Argument]], Made]:
    def make(arguments: Sequence[Argument]) -> Made:
        if len(arguments) == 1:
            return lambda scope: fold(function, _value(arguments, 0, scope))
        return lambda scope: fold(function, _joined(arguments, scope))

    return make


def _lines(function: Callable[[Line], Line]) -> Callable[[Sequence[Argument]], Made]:
    return lambda arguments: lambda scope: map_lines(function, _value(arguments, 0, scope))


def _joined(arguments: Sequence[Argument], scope: Scope) -> list[Line]:
    values = [_value(arguments, i, scope) for i in range(len(arguments))]
    known = next((one for one in values if isinstance(one, Line)), None)
    found: list[Line] = []
    for value in values:
        if isinstance(value, (Line, list)):
            found += lines_of(value)
        else:
            found.append(_constant(value, known, scope))
    return found


def _constant(value: float, like: Line | None, scope: Scope) -> Line:
    period = like.period_s if like else scope.period_s
    times = like.points if like else range(scope.start // period * period, scope.end, period)
    return Line(dict.fromkeys(times, value), period_s=period)


def _array(arguments: Sequence[Argument]) -> Made:
    return lambda scope: _joined(arguments, scope)


def _metrics(arguments: Sequence[Argument]) -> Made:
    return lambda scope: scope.metrics(_text(arguments, 0, ""))


def _search(arguments: Sequence[Argument]) -> Made:
    def run(scope: Scope) -> Operand:
        given = _number(arguments, 2, scope) if len(arguments) > 2 else scope.period_s
        period = int(given) if math.isfinite(given) else 0
        return scope.search(_text(arguments, 0), _text(arguments, 1, "Average"), period)

    return run


def _band(arguments: Sequence[Argument]) -> Made:
    """Make the band; the last argument is the text of the others."""
    *others, text = arguments

    def series(scope: Scope) -> Line:
        found = lines_of(_value(others, 0, scope))
        if len(found) != 1:
            raise Invalid(f"{BAND} takes a single time series")
        return found[0]

    def run(scope: Scope) -> Operand:
        width = _number(others, 1, scope) if len(others) > 1 else 2.0
        if not width > 0:
            raise Invalid(f"the width of {BAND} must be more than 0")
        words = str(text).rpartition(" ,")[0] if len(others) > 1 else str(text)
        return list(scope.band(words, series, width))

    return run


def _if(arguments: Sequence[Argument]) -> Made:
    def run(scope: Scope) -> Operand:
        condition, then = _value(arguments, 0, scope), _value(arguments, 1, scope)
        other = _value(arguments, 2, scope) if len(arguments) > 2 else None
        if isinstance(condition, list) or isinstance(then, list) or isinstance(other, list):
            raise Invalid("IF takes single time series")
        if not isinstance(condition, Line):
            chosen = then if condition else other
            return Line({}) if chosen is None else chosen
        points: dict[int, float] = {}
        for at, flag in condition.points.items():
            chosen = then if flag else other
            value = chosen.points.get(at) if isinstance(chosen, Line) else chosen
            if value is not None:
                points[at] = value
        return condition.with_points(points)

    return run


def _fill(arguments: Sequence[Argument]) -> Made:
    def run(scope: Scope) -> Operand:
        how = arguments[1] if len(arguments) > 1 else "REPEAT"
        number = None if isinstance(how, str) else _number(arguments, 1, scope)

        def filled(line: Line) -> Line:
            times = range(scope.start // line.period_s * line.period_s, scope.end, line.period_s)
            if number is not None:
                return line.with_points({at: line.points.get(at, number) for at in times})
            return line.with_points(_between(line, times, is_linear=how == "LINEAR"))

        return map_lines(filled, _value(arguments, 0, scope))

    return run


def _between(line: Line, times: range, *, is_linear: bool) -> dict[int, float]:
    known = sorted(line.points)
    found: dict[int, float] = {}
    for at in times:
        before = max((k for k in known if k <= at), default=None)
        after = min((k for k in known if k >= at), default=None)
        if before is None or (is_linear and after is None):
            continue
        value = line.points[before]
        if is_linear and after is not None and after > before:
            value += (line.points[after] - value) * (at - before) / (after - before)
        found[at] = value
    return found


def _steps(
    function: Callable[[int, float, int, float], float],
) -> Callable[[Sequence[Argument]], Made]:
    """Make a function of neighbouring points: (time before, value before, time, value)."""

    def one(line: Line) -> Line:
        pairs = itertools.pairwise(sorted(line.points.items()))
        return line.with_points({at: function(before, a, at, b) for (before, a), (at, b) in pairs})

    return _lines(one)


def _running_sum(line: Line) -> Line:
    times = sorted(line.points)
    return line.with_points(
        dict(zip(times, itertools.accumulate(line.points[at] for at in times), strict=True))
    )


def _end_of(index: int) -> Callable[[Sequence[Argument]], Made]:
    def run(arguments: Sequence[Argument], scope: Scope) -> Operand:
        found = lines_of(_value(arguments, 0, scope))
        return found[index] if found else Line({})

    return lambda arguments: lambda scope: run(arguments, scope)


def _slice(arguments: Sequence[Argument]) -> Made:
    def run(scope: Scope) -> Operand:
        found = lines_of(_value(arguments, 0, scope))
        bounds = [int(_number(arguments, i, scope)) for i in range(1, len(arguments))]
        return found[slice(*bounds)] if len(bounds) > 1 else found[bounds[0] if bounds else 0 :]

    return run


#: What SORT compares series by.
SORT_BY: dict[str, Callable[[Sequence[float]], float]] = {
    "AVG": statistics.fmean, "MIN": min, "MAX": max, "SUM": math.fsum,
}  # fmt: skip


def _sort(arguments: Sequence[Argument]) -> Made:
    def run(scope: Scope) -> Operand:
        function = SORT_BY.get(_text(arguments, 1, "AVG").upper())
        if function is None:
            raise Invalid("SORT takes AVG, MIN, MAX or SUM")
        found = sorted(
            (one for one in lines_of(_value(arguments, 0, scope)) if one.points),
            key=lambda one: function(list(one.points.values())),
            reverse=_text(arguments, 2, "ASC") == "DESC",
        )
        return found[: int(_number(arguments, 3, scope))] if len(arguments) > 3 else found

    return run


def _calendar(function: Callable[[dt.datetime], float]) -> Callable[[Sequence[Argument]], Made]:
    def one(line: Line) -> Line:
        return line.with_points(
            {at: float(function(dt.datetime.fromtimestamp(at, tz=dt.UTC))) for at in line.points}
        )

    return _lines(one)


def _time_series(arguments: Sequence[Argument]) -> Made:
    return lambda scope: _constant(_number(arguments, 0, scope), None, scope)


def _count_metrics(arguments: Sequence[Argument]) -> Made:
    return lambda scope: float(len(lines_of(_value(arguments, 0, scope))))


def _period(arguments: Sequence[Argument]) -> Made:
    return lambda scope: float(lines_of(_value(arguments, 0, scope))[0].period_s)


def _remove_empty(arguments: Sequence[Argument]) -> Made:
    return lambda scope: [one for one in lines_of(_value(arguments, 0, scope)) if one.points]


FUNCTIONS: dict[str, Callable[[Sequence[Any]], Made]] = {
    "ARRAY": _array,
    "ABS": _each(abs), "CEIL": _each(math.ceil), "FLOOR": _each(math.floor),
    "LOG": _each(math.log), "LOG10": _each(math.log10),
    "AVG": _fold(statistics.fmean), "MIN": _fold(min), "MAX": _fold(max), "SUM": _fold(math.fsum),
    "STDDEV": _fold(statistics.pstdev), "DATAPOINT_COUNT": _fold(len), "METRIC_COUNT": _count_metrics,
    "METRICS": _metrics, "SEARCH": _search, BAND: _band,
    "IF": _if, "FILL": _fill, "REMOVE_EMPTY": _remove_empty, "TIME_SERIES": _time_series,
    "RATE": _steps(lambda before, a, at, b: (b - a) / (at - before)),
    "DIFF": _steps(lambda _before, a, _at, b: b - a),
    "DIFF_TIME": _steps(lambda before, _a, at, _b: at - before),
    "RUNNING_SUM": _lines(_running_sum), "PERIOD": _period,
    "FIRST": _end_of(0), "LAST": _end_of(-1), "SLICE": _slice, "SORT": _sort,
    "MINUTE": _calendar(lambda t: t.minute), "HOUR": _calendar(lambda t: t.hour),
    "DAY": _calendar(lambda t: t.isoweekday()),
    "DATE": _calendar(lambda t: t.day), "MONTH": _calendar(lambda t: t.month), "YEAR": _calendar(lambda t: t.year),
    "EPOCH": _calendar(lambda t: t.timestamp()),
}  # fmt: skip
