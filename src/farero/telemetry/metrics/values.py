"""What an expression of metric math works on: a number, a series, or several series. Pure."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Line:
    """One series: values by second since 1970, with a label and the period of its values."""

    points: dict[int, float]
    label: str = ""
    period_s: int = 60
    #: Facts for labels, as `PROP('Dim.EndpointName')` names them.
    facts: tuple[tuple[str, str], ...] = ()

    def with_points(self, points: dict[int, float]) -> Line:
        """Return the same series with other values."""
        return Line(points, self.label, self.period_s, self.facts)


Operand = float | Line | list[Line]

OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda a, b: a / b, "^": lambda a, b: a**b,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "AND": lambda a, b: float(bool(a) and bool(b)), "OR": lambda a, b: float(bool(a) or bool(b)),
}  # fmt: skip


def combine(name: str, left: Operand, right: Operand) -> Operand:
    """Apply an operator point by point; a point that has no partner or no finite result is left out."""
    if isinstance(left, list):
        return [_line(combine(name, one, _partner(right, i, left))) for i, one in enumerate(left)]
    if isinstance(right, list):
        return [_line(combine(name, left, one)) for one in right]
    function = OPERATORS[name]
    if isinstance(left, Line) and isinstance(right, Line):
        common = left.points.keys() & right.points.keys()
        pairs = {at: (left.points[at], right.points[at]) for at in sorted(common)}
        return left.with_points(_applied(function, pairs))
    if isinstance(left, Line):
        assert not isinstance(right, Line)
        return left.with_points(
            _applied(function, {at: (v, right) for at, v in left.points.items()})
        )
    if isinstance(right, Line):
        return right.with_points(
            _applied(function, {at: (left, v) for at, v in right.points.items()})
        )
    result = _one(function, left, right)
    return math.nan if result is None else result


def each(function: Callable[[float], float], value: Operand) -> Operand:
    """Apply a function to every value; what has no finite result is left out."""
    if isinstance(value, list):
        return [_line(each(function, one)) for one in value]
    if isinstance(value, Line):
        pairs = {at: (v, 0.0) for at, v in value.points.items()}
        return value.with_points(_applied(lambda a, _b: function(a), pairs))
    result = _one(lambda a, _b: function(a), value, 0.0)
    return math.nan if result is None else result


def fold(function: Callable[[Sequence[float]], float], value: Operand) -> Operand:
    """Return one number for a series, and one series, time by time, for several."""
    if isinstance(value, Line):
        return function(list(value.points.values())) if value.points else math.nan
    if not isinstance(value, list):
        raise Invalid("a number cannot be aggregated")
    columns: dict[int, list[float]] = {}
    for one in value:
        for at, number in one.points.items():
            columns.setdefault(at, []).append(number)
    points = {at: function(columns[at]) for at in sorted(columns)}
    return Line(points, period_s=value[0].period_s if value else 60)


def lines_of(value: Operand) -> list[Line]:
    """Return one or several series as a list. Raises Invalid for a number."""
    if isinstance(value, Line):
        return [value]
    if isinstance(value, list):
        return value
    raise Invalid("a number stands where a time series is needed")


def map_lines(function: Callable[[Line], Line], value: Operand) -> Operand:
    """Apply a function to a series, or to each of several."""
    if isinstance(value, list):
        return [function(one) for one in value]
    return function(lines_of(value)[0])


def _partner(right: Operand, index: int, left: list[Line]) -> Operand:
    if not isinstance(right, list):
        return right
    if len(right) != len(left):
        raise Invalid("arrays of time series have different lengths")
    return right[index]


def _line(value: Operand) -> Line:
    assert isinstance(value, Line)
    return value


def _applied(
    function: Callable[[float, float], float], pairs: dict[int, tuple[float, float]]
) -> dict[int, float]:
    found = {at: _one(function, a, b) for at, (a, b) in pairs.items()}
    return {at: value for at, value in found.items() if value is not None}


def _one(function: Callable[[float, float], float], a: float, b: float) -> float | None:
    try:
        result = function(a, b)
    except (ArithmeticError, ValueError):
        return None
    if isinstance(result, complex):  # a root of a negative number
        return None
    return float(result) if math.isfinite(result) else None
