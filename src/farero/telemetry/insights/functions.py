"""The functions of Logs Insights that make one value of one or a few. Pure.

Follows "Boolean, comparison, numeric, datetime, and other functions" of the CloudWatch Logs user guide.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from farero.telemetry.insights.values import (
    Timestamp,
    Value,
    as_number,
    as_text,
    cut,
    is_equal,
    is_less,
    sort_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Function:
    """How many arguments it takes, and what it does; a missing argument is None."""

    least: int
    most: int
    call: Callable[..., Value]


def _text(function: Callable[..., Value]) -> Callable[..., Value]:
    """Let a function of texts give None where its first argument is missing."""

    def call(first: Value, *rest: Value) -> Value:
        if first is None:
            return None
        found = function(as_text(first), *(as_text(value) for value in rest))
        return cut(found) if isinstance(found, str) else found

    return call


def _number(function: Callable[[float], float]) -> Callable[..., Value]:
    """Let a function of a number give None where its argument is none, or where it has no result."""

    def call(value: Value) -> Value:
        number = as_number(value)
        if number is None:
            return None
        try:
            result = function(number)
        except (ArithmeticError, ValueError):
            return None
        return result if math.isfinite(result) else None

    return call


def _floored(value: Value, span: Value) -> Value:
    number, step = as_number(value), as_number(span)
    if number is None or step is None or int(step) <= 0:
        return None
    return Timestamp(int(number) // int(step) * int(step))


def _ceiled(value: Value, span: Value) -> Value:
    number, step = as_number(value), as_number(span)
    if number is None or step is None or int(step) <= 0:
        return None
    return Timestamp(-(-int(number) // int(step)) * int(step))


def _round(value: Value, places: Value = 0) -> Value:
    number, digits = as_number(value), as_number(places)
    if number is None or digits is None:
        return None
    # Half away from zero, as Java rounds and Python does not.
    scale = 10 ** max(-15, min(15, int(digits)))
    result = math.copysign(math.floor(abs(number) * scale + 0.5) / scale, number)
    return int(result) if result.is_integer() else result


def _substr(text: str, start: str, length: str = "") -> Value:
    first = as_number(start)
    if first is None or first < 0:
        return None
    count = as_number(length) if length else len(text)
    return text[int(first) :][: max(0, int(count))] if count is not None else None


def _moment(value: Value) -> Value:
    number = as_number(value)
    return None if number is None else Timestamp(int(number))


def _millis(value: Value) -> Value:
    number = as_number(value)
    return None if number is None else int(number)


def _extreme(*, greatest: bool) -> Callable[..., Value]:
    def call(*values: Value) -> Value:
        known = [value for value in values if value is not None]
        if not known:
            return None
        return max(known, key=sort_key) if greatest else min(known, key=sort_key)

    return call


def _is_ip(*versions: int) -> Callable[..., Value]:
    def call(value: Value) -> Value:
        try:
            return ipaddress.ip_address(as_text(value)).version in versions
        except ValueError:
            return False

    return call


def _in_subnet(version: int) -> Callable[..., Value]:
    def call(value: Value, subnet: Value) -> Value:
        try:
            address = ipaddress.ip_address(as_text(value))
            network = ipaddress.ip_network(as_text(subnet), strict=False)
        except ValueError:
            return False
        return address.version == network.version == version and address in network

    return call


def _trim(text: str, characters: str | None = None) -> Value:
    return text.strip(characters)


def _trim_left(text: str, characters: str | None = None) -> Value:
    return text.lstrip(characters)


def _trim_right(text: str, characters: str | None = None) -> Value:
    return text.rstrip(characters)


def _contains(text: str, part: str) -> Value:
    return int(part in text)


def _replace(text: str, old: str, new: str) -> Value:
    return text.replace(old, new) if old else text


def _concat(*values: Value) -> Value:
    return cut("".join(as_text(value) for value in values))


def _is_present(value: Value) -> Value:
    return value is not None


def _is_empty(value: Value) -> Value:
    return not as_text(value)


def _is_blank(value: Value) -> Value:
    return not as_text(value).strip()


def _is_different(left: Value, right: Value) -> Value:
    return not is_equal(left, right)


def _is_greater(left: Value, right: Value) -> Value:
    return is_less(right, left)


def _is_at_most(left: Value, right: Value) -> Value:
    return is_less(left, right) or is_equal(left, right)


def _is_at_least(left: Value, right: Value) -> Value:
    return is_less(right, left) or is_equal(left, right)


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


def _like(value: Value, part: Value) -> Value:
    return value is not None and as_text(part) in as_text(value)


def _is_in(value: Value, *others: Value) -> Value:
    return any(is_equal(value, other) for other in others)


_MANY = 100
FUNCTIONS: dict[str, Function] = {
    "abs": Function(1, 1, _number(abs)),
    "ceil": Function(1, 1, _number(math.ceil)),
    "floor": Function(1, 1, _number(math.floor)),
    "sqrt": Function(1, 1, _number(math.sqrt)),
    "log": Function(1, 1, _number(math.log)),
    "round": Function(1, 2, _round),
    "greatest": Function(1, _MANY, _extreme(greatest=True)),
    "least": Function(1, _MANY, _extreme(greatest=False)),
    "strlen": Function(1, 1, _text(len)),
    "lower": Function(1, 1, _text(str.lower)),
    "tolower": Function(1, 1, _text(str.lower)),
    "upper": Function(1, 1, _text(str.upper)),
    "toupper": Function(1, 1, _text(str.upper)),
    "trim": Function(1, 2, _text(_trim)),
    "ltrim": Function(1, 2, _text(_trim_left)),
    "rtrim": Function(1, 2, _text(_trim_right)),
    "concat": Function(1, _MANY, _concat),
    "strcontains": Function(2, 2, _text(_contains)),
    "replace": Function(3, 3, _text(_replace)),
    "substr": Function(2, 3, _text(_substr)),
    "urldecode": Function(1, 1, _text(unquote)),
    "coalesce": Function(1, _MANY, _coalesce),
    "ispresent": Function(1, 1, _is_present),
    "isempty": Function(1, 1, _is_empty),
    "isblank": Function(1, 1, _is_blank),
    "isvalidip": Function(1, 1, _is_ip(4, 6)),
    "isvalidipv4": Function(1, 1, _is_ip(4)),
    "isvalidipv6": Function(1, 1, _is_ip(6)),
    "isipv4insubnet": Function(2, 2, _in_subnet(4)),
    "isipv6insubnet": Function(2, 2, _in_subnet(6)),
    "datefloor": Function(2, 2, _floored),
    "dateceil": Function(2, 2, _ceiled),
    "frommillis": Function(1, 1, _moment),
    "tomillis": Function(1, 1, _millis),
    # `bin(5m)` is datefloor(@timestamp, 5m); the evaluator gives it the time.
    "bin": Function(1, 1, _floored),
}
#: What the operators `like`, `in`, `=` … of the parser do; `and`, `or` and `not` are the evaluator's.
OPERATORS: dict[str, Callable[..., Value]] = {
    "like": _like,
    "in": _is_in,
    "=": is_equal,
    "!=": _is_different,
    "<": is_less,
    ">": _is_greater,
    "<=": _is_at_most,
    ">=": _is_at_least,
}
