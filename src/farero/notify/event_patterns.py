"""EventBridge's event patterns: which events a rule wants. Pure.

Follows "Creating Amazon EventBridge event patterns" and its page on comparison operators.
"""

from __future__ import annotations

import ipaddress
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DEPTH = 50
MAX_LENGTH = 4096
#: "Numeric matching": values lie within ±5e9.
MAX_NUMBER = 5_000_000_000
#: EventBridge refuses a rule whose `$or` would make more combinations than this.
MAX_COMBINATIONS = 1000

_OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
#: What may stand under `anything-but` takes one text or a list of them; alone, one text.
_TEXT_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    "equals-ignore-case": lambda value, wanted: value.casefold() == wanted.casefold(),
}


def parse(text: str) -> dict[str, Any]:
    """Read a pattern; raise Invalid in EventBridge's words if it is none."""
    _need(len(text) <= MAX_LENGTH, "Event pattern is too long")
    try:
        pattern: Any = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid("Event pattern is not valid. Reason: Filter is not valid JSON") from error
    _need(isinstance(pattern, dict), "Filter is not an object")
    _need(pattern != {}, "Empty objects are not allowed")
    combinations = _check(pattern, 1)
    _need(combinations <= MAX_COMBINATIONS, "Rule is too complex - try using fewer $or")
    return pattern


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Say whether an event is wanted. pattern: as `parse` returned it."""
    return all(
        any(matches(choice, event) for choice in wanted)
        if _is_choice(key, wanted)
        else _matches_key(wanted, key, event)
        for key, wanted in pattern.items()
    )


def _matches_key(wanted: Any, key: str, event: Mapping[str, Any]) -> bool:
    leaves = _flat(event[key]) if key in event else []
    if isinstance(wanted, dict):
        inner = cast("dict[str, Any]", wanted)
        # One element of an array must satisfy all of the inner pattern.
        objects: list[Any] = [leaf for leaf in leaves if isinstance(leaf, dict)] or [{}]
        return any(matches(inner, found) for found in objects)
    # `exists` and the others see leaves only, never an object.
    values = [leaf for leaf in leaves if not isinstance(leaf, dict)]
    return any(_meets(condition, values) for condition in wanted)


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [leaf for part in cast("list[Any]", value) for leaf in _flat(part)]


def _meets(condition: Any, values: list[Any]) -> bool:
    if not isinstance(condition, dict):
        return any(_same(value, condition) for value in values)
    ((kind, wanted),) = cast("dict[str, Any]", condition).items()
    if kind == "exists":
        return bool(values) is wanted
    return any(_meets_one(kind, wanted, value) for value in values)


def _meets_one(kind: str, wanted: Any, value: Any) -> bool:
    if kind == "numeric":
        number = _number(value)
        return number is not None and all(
            _OPERATORS[sign](number, Decimal(str(limit)))
            for sign, limit in zip(wanted[::2], wanted[1::2], strict=True)
        )
    if kind == "anything-but":
        return _is_other(wanted, value)
    if not isinstance(value, str):
        return False
    if kind == "cidr":
        return _in_network(wanted, value)
    if isinstance(wanted, dict):  # {"prefix": {"equals-ignore-case": "x"}}
        folded = cast("dict[str, str]", wanted)["equals-ignore-case"].casefold()
        return _TEXT_MATCHES[kind](value.casefold(), folded)
    return _TEXT_MATCHES[kind](value, wanted)


def _is_other(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, dict):
        ((kind, given),) = cast("dict[str, Any]", wanted).items()
        return not (
            isinstance(value, str) and any(_TEXT_MATCHES[kind](value, one) for one in _many(given))
        )
    return not any(_same(value, one) for one in _many(wanted))


def _same(value: Any, wanted: Any) -> bool:
    """Compare as JSON does: `true` is not 1, `5` is `5.0`."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    number, other = _number(value), _number(wanted)
    if number is not None and other is not None:
        return number == other
    return isinstance(value, str | None) and value == wanted


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _in_network(network: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _matches_wildcard(value: str, wanted: str) -> bool:
    """Match `*` piece by piece from the left, which is never slow."""
    first, *rest = _pieces(wanted)
    if not rest:
        return value == first
    last = rest.pop()
    if not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in rest:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return at <= end


_TEXT_MATCHES["wildcard"] = _matches_wildcard


def _pieces(wanted: str) -> list[str]:
    r"""Split at `*`; `\*` and `\\` stand for themselves."""
    pieces, at = [""], 0
    while at < len(wanted):
        mark = wanted[at]
        if mark == "\\":
            following = wanted[at + 1 : at + 2]
            _need(following in ("*", "\\"), f"Invalid escape character at pos {at}")
            pieces[-1] += following
            at += 1
        elif mark == "*":
            _need(wanted[at + 1 : at + 2] != "*", f"Consecutive wildcard characters at pos {at}")
            pieces.append("")
        else:
            pieces[-1] += mark
        at += 1
    return pieces


def _is_choice(key: str, wanted: Any) -> bool:
    """Say whether `$or` is the operator: a list of two or more objects that are no conditions."""
    if key != "$or" or not isinstance(wanted, list):
        return False
    choices = cast("list[Any]", wanted)
    return len(choices) > 1 and all(choice and isinstance(choice, dict) for choice in choices)


def _check(pattern: dict[str, Any], depth: int) -> int:
    """Return how many combinations a pattern's `$or`s make."""
    _need(depth <= MAX_DEPTH, "Event pattern is nested too deeply")
    combinations = 1
    for key, wanted in pattern.items():
        if _is_choice(key, wanted):
            combinations *= sum(_check(choice, depth + 1) for choice in wanted)
        elif isinstance(wanted, dict):
            _need(wanted != {}, "Empty objects are not allowed")
            combinations *= _check(cast("dict[str, Any]", wanted), depth + 1)
        else:
            _need(isinstance(wanted, list), f'"{key}" must be an object or an array')
            _need(wanted != [], "Empty arrays are not allowed")
            for condition in cast("list[Any]", wanted):
                _check_condition(condition)
    return combinations


def _check_condition(condition: Any) -> None:
    _need(
        not isinstance(condition, list),
        "Match value must be String, number, true, false, or null",
    )
    if not isinstance(condition, dict):
        return
    members = cast("dict[str, Any]", condition)
    _need(len(members) == 1, "Only one key allowed in match expression")
    ((kind, wanted),) = members.items()
    if kind == "exists":
        _need(isinstance(wanted, bool), "exists match pattern must be either true or false.")
    elif kind == "numeric":
        _check_numeric(wanted)
    elif kind == "anything-but":
        _check_anything_but(wanted)
    elif kind == "cidr":
        _need(_is_network(wanted), "Malformed CIDR, one '/' required")
    else:
        _need(kind in _TEXT_MATCHES, f"Unrecognized match type {kind}")
        if kind in ("prefix", "suffix") and isinstance(wanted, dict):
            inner = cast("dict[str, Any]", wanted)
            _need(list(inner) == ["equals-ignore-case"], f"Unsupported {kind} pattern")
            wanted = inner["equals-ignore-case"]
        _check_text(kind, wanted)


def _check_text(kind: str, wanted: Any) -> None:
    _need(isinstance(wanted, str), f"{kind} match pattern must be a string")
    if kind == "wildcard":
        _pieces(wanted)


def _check_anything_but(wanted: Any) -> None:
    if isinstance(wanted, dict):
        inner = cast("dict[str, Any]", wanted)
        _need(len(inner) == 1, "Only one key allowed in match expression")
        ((kind, given),) = inner.items()
        _need(kind in _TEXT_MATCHES, f"Unsupported anything-but pattern: {kind}")
        _need(bool(_many(given)), "Empty arrays are not allowed")
        for one in _many(given):
            _check_text(kind, one)
        return
    choices = _many(wanted)
    are_texts = all(isinstance(choice, str) for choice in choices)
    are_numbers = all(_number(choice) is not None for choice in choices)
    _need(
        bool(choices) and (are_texts or are_numbers),
        "Inside anything but list, start|null|boolean is not supported.",
    )


def _check_numeric(wanted: Any) -> None:
    _need(isinstance(wanted, list) and wanted != [], "Value of numeric must be an array.")
    parts = cast("list[Any]", wanted)
    _need(len(parts) in (2, 4), "Bad numeric range operator")
    for sign, limit in zip(parts[::2], parts[1::2], strict=True):
        known = isinstance(sign, str) and sign in _OPERATORS
        _need(known, f"Unrecognized numeric range operator: {sign}")
        number = _number(limit)
        _need(number is not None and abs(number) <= MAX_NUMBER, f"Value of {sign} must be numeric")
    if len(parts) == 4:
        lower, low, upper, high = parts
        _need(lower in (">", ">=") and upper in ("<", "<="), "Bad numeric range operator")
        _need(low < high, "Bottom must be less than top")


def _is_network(wanted: Any) -> bool:
    if not isinstance(wanted, str) or "/" not in wanted:
        return False
    try:
        ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False
    return True


def _many(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _need(claim: bool, words: str) -> None:  # noqa: FBT001 - reads as `need(claim, else say)`
    if not claim:
        raise Invalid(f"Event pattern is not valid. Reason: {words}")
