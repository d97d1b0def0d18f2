"""EventBridge's event patterns: which events a rule wants. Pure.

Follows "Creating Amazon EventBridge event patterns" and its page on comparison operators.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from farero.base.errors import Invalid
from farero.notify.conditions import (
    TEXT_MATCHES,
    check_choices,
    check_numeric,
    flat,
    is_choice,
    is_in_network,
    is_network,
    is_within,
    many,
    same,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 50
MAX_LENGTH = 4096
#: "Numeric matching": values lie within ±5e9.
MAX_NUMBER = 5_000_000_000
#: EventBridge refuses a rule whose `$or` would make more combinations than this.
MAX_COMBINATIONS = 1000


class InvalidPattern(Invalid):
    """A text is no event pattern."""


def parse(text: str) -> dict[str, Any]:
    """Read a pattern; raise InvalidPattern in EventBridge's words if it is none."""
    _need(len(text) <= MAX_LENGTH, "Event pattern is too long")
    try:
        pattern: Any = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidPattern(
            "Event pattern is not valid. Reason: Filter is not valid JSON"
        ) from error
    _need(isinstance(pattern, dict), "Filter is not an object")
    _need(pattern != {}, "Empty objects are not allowed")
    combinations = _check(pattern, 1)
    _need(combinations <= MAX_COMBINATIONS, "Rule is too complex - try using fewer $or")
    return pattern


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Say whether an event is wanted. pattern: as `parse` returned it."""
    return all(
        any(matches(choice, event) for choice in wanted)
        if is_choice(key, wanted)
        else _matches_key(wanted, key, event)
        for key, wanted in pattern.items()
    )


def _matches_key(wanted: Any, key: str, event: Mapping[str, Any]) -> bool:
    if key not in event and (other := _joined(wanted, key, event)) is not None:
        return matches(other, event)
    leaves = flat(event[key]) if key in event else []
    if isinstance(wanted, dict):
        inner = cast("dict[str, Any]", wanted)
        # One element of an array must satisfy all of the inner pattern.
        objects: list[Any] = [leaf for leaf in leaves if isinstance(leaf, dict)] or [{}]
        return any(matches(inner, found) for found in objects)
    # `exists` and the others see leaves only, never an object.
    values = [leaf for leaf in leaves if not isinstance(leaf, dict)]
    return any(_meets(condition, values) for condition in wanted)


def _joined(wanted: Any, key: str, event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a key that is not in the event means if names are joined by dots, or None.

    To EventBridge `{"a": {"b": …}}` and `{"a.b": …}` are the same, in patterns as in events.
    """
    head, dot, rest = key.partition(".")
    while dot:
        if head in event:
            return {head: {rest: wanted}}
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    if isinstance(wanted, dict) and any(name.startswith(f"{key}.") for name in event):
        inner = cast("dict[str, Any]", wanted)
        if not any(is_choice(name, value) for name, value in inner.items()):
            return {f"{key}.{name}": value for name, value in inner.items()}
    return None


def _meets(condition: Any, values: list[Any]) -> bool:
    if not isinstance(condition, dict):
        return any(same(value, condition) for value in values)
    ((kind, wanted),) = cast("dict[str, Any]", condition).items()
    if kind == "exists":
        return bool(values) is wanted
    return any(_meets_one(kind, wanted, value) for value in values)


def _meets_one(kind: str, wanted: Any, value: Any) -> bool:
    if kind == "numeric":
        return is_within(value, wanted)
    if kind == "anything-but":
        return _is_other(wanted, value)
    if not isinstance(value, str):
        return False
    if kind == "cidr":
        return is_in_network(value, wanted)
    if isinstance(wanted, dict):  # {"prefix": {"equals-ignore-case": "x"}}
        folded = cast("dict[str, str]", wanted)["equals-ignore-case"].casefold()
        return _TEXT_MATCHES[kind](value.casefold(), folded)
    return _TEXT_MATCHES[kind](value, wanted)


def _is_other(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, dict):
        ((kind, given),) = cast("dict[str, Any]", wanted).items()
        return not (
            isinstance(value, str) and any(_TEXT_MATCHES[kind](value, one) for one in many(given))
        )
    return not any(same(value, one) for one in many(wanted))


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


#: What may stand under `anything-but` takes one text or a list of them; alone, one text.
_TEXT_MATCHES = {**TEXT_MATCHES, "wildcard": _matches_wildcard}


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


def _check(pattern: dict[str, Any], depth: int) -> int:
    """Return how many combinations a pattern's `$or`s make."""
    _need(depth <= MAX_DEPTH, "Event pattern is nested too deeply")
    combinations = 1
    for key, wanted in pattern.items():
        if is_choice(key, wanted):
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
        check_numeric(wanted, most=MAX_NUMBER, need=_need)
    elif kind == "anything-but":
        _check_anything_but(wanted)
    elif kind == "cidr":
        _need(is_network(wanted), "Malformed CIDR, one '/' required")
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
        _need(bool(many(given)), "Empty arrays are not allowed")
        for one in many(given):
            _check_text(kind, one)
            _need(one != "" or kind not in ("prefix", "suffix"), "Null prefix/suffix not allowed")
        return
    check_choices(wanted, need=_need)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _need(claim: bool, words: str) -> None:  # noqa: FBT001 - reads as `need(claim, else say)`
    if not claim:
        raise InvalidPattern(f"Event pattern is not valid. Reason: {words}")
