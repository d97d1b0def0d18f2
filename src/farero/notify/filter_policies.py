"""SNS filter policies: which messages a subscription wants. Pure.

Follows "Amazon SNS subscription filter policies" and its pages on string, numeric, key and `$or` matching. A policy
looks at the message's attributes, or at its body when the scope is MessageBody.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

from farero.base.errors import Invalid
from farero.notify.conditions import (
    TEXT_MATCHES,
    check_choices,
    check_numeric,
    check_range,
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

MAX_KEYS = 5
MAX_COMBINATIONS = 150
MAX_DEPTH = 20
#: A number has up to 15 significant digits and lies within ±1e9 ("Numeric value matching").
MAX_NUMBER = 1_000_000_000


def parse(text: str, *, nested: bool) -> dict[str, Any]:
    """Read a policy; raise Invalid in SNS's words if it is none.

    nested: whether the scope is MessageBody, where a key may hold further keys.
    """
    try:
        policy: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid("FilterPolicy: failed to deserialize JSON") from error
    if not isinstance(policy, dict):
        raise Invalid("FilterPolicy: failed to deserialize JSON")
    found = cast("dict[str, Any]", policy)
    keys, combinations = _check(found, nested=nested, depth=1)
    if keys > MAX_KEYS:
        raise Invalid(f"FilterPolicy: Filter policy can not have more than {MAX_KEYS} keys")
    if combinations > MAX_COMBINATIONS:
        raise Invalid("FilterPolicy: Filter policy is too complex")
    return found


def accepts_attributes(
    policy: Mapping[str, Any], attributes: Mapping[str, Mapping[str, str]]
) -> bool:
    """Say whether a message with these attributes (`{name: {"Type": …, "Value": …}}`) is wanted."""
    return _accepts(policy, {name: _values(given) for name, given in attributes.items()})


def accepts_body(policy: Mapping[str, Any], message: str) -> bool:
    """Say whether a message with this text is wanted; one that is no JSON object never is."""
    try:
        body: Any = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and _accepts(policy, cast("dict[str, Any]", body))


def _values(attribute: Mapping[str, str]) -> Any:
    kind, value = attribute["Type"].partition(".")[0], attribute["Value"]
    if kind == "Binary":
        return None
    try:
        if kind == "Number":
            return Decimal(value)
        if attribute["Type"] == "String.Array":
            return json.loads(value)
    except (ValueError, InvalidOperation, RecursionError):
        return value
    return value


def _accepts(policy: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    return all(
        any(_accepts(choice, given) for choice in wanted)
        if is_choice(key, wanted)
        else _accepts_key(wanted, given, key)
        for key, wanted in policy.items()
    )


def _accepts_key(wanted: Any, given: Mapping[str, Any], key: str) -> bool:
    if isinstance(wanted, dict):
        inner = cast("dict[str, Any]", wanted)
        value: Any = given.get(key)
        if isinstance(value, list):
            parts = cast("list[Any]", value)
            return any(
                _accepts(inner, cast("dict[str, Any]", part))
                for part in parts
                if isinstance(part, dict)
            )
        return _accepts(inner, cast("dict[str, Any]", value) if isinstance(value, dict) else {})
    is_there = key in given
    values = flat(given[key]) if is_there else []
    return any(_matches(condition, values, is_there=is_there) for condition in wanted)


def _matches(condition: Any, values: list[Any], *, is_there: bool) -> bool:
    if isinstance(condition, dict):
        ((kind, wanted),) = cast("dict[str, Any]", condition).items()
        if kind == "exists":
            return is_there is wanted
        return any(_matches_one(kind, wanted, value) for value in values)
    return any(same(value, condition) for value in values)


def _matches_one(kind: str, wanted: Any, value: Any) -> bool:
    if kind == "anything-but":
        return _is_other(wanted, value)
    if kind == "numeric":
        return is_within(value, wanted)
    if kind == "cidr":
        return is_in_network(value, wanted)
    return isinstance(value, str) and TEXT_MATCHES[kind](value, wanted)


def _is_other(wanted: Any, value: Any) -> bool:
    if not isinstance(value, str | int | float | Decimal) and value is not None:
        return False
    if isinstance(wanted, dict):
        ((kind, texts),) = cast("dict[str, Any]", wanted).items()
        return isinstance(value, str) and not any(
            TEXT_MATCHES[kind](value, text) for text in many(texts)
        )
    return not any(same(value, choice) for choice in many(wanted))


def _check(policy: dict[str, Any], *, nested: bool, depth: int) -> tuple[int, int]:
    """Return how many keys and how many combinations of values a policy has."""
    if depth > MAX_DEPTH:
        raise Invalid("FilterPolicy: Filter policy is nested too deeply")
    if not policy and depth > 1:
        raise Invalid("FilterPolicy: Empty objects are not allowed")
    keys, combinations = 0, 1
    for key, wanted in policy.items():
        if is_choice(key, wanted):
            parts = [_check(choice, nested=nested, depth=depth + 1) for choice in wanted]
            keys += max(count for count, _ in parts)
            combinations *= sum(count for _, count in parts)
        elif isinstance(wanted, list):
            _check_conditions(cast("list[Any]", wanted))
            keys += 1
            combinations *= len(cast("list[Any]", wanted)) * (depth if nested else 1)
        elif isinstance(wanted, dict) and nested:
            inner = _check(cast("dict[str, Any]", wanted), nested=True, depth=depth + 1)
            keys += inner[0]
            combinations *= inner[1]
        elif isinstance(wanted, dict):
            raise Invalid(
                "FilterPolicy: Filter policy scope MessageAttributes does not support nested filter policy"
            )
        else:
            raise Invalid(f'FilterPolicy: "{key}" must be an object or an array')
    return keys, combinations


def _check_conditions(conditions: list[Any]) -> None:
    if not conditions:
        raise Invalid("FilterPolicy: Empty arrays are not allowed")
    for condition in conditions:
        if isinstance(condition, dict):
            _check_operator(cast("dict[str, Any]", condition))
        elif isinstance(condition, list):
            raise Invalid("FilterPolicy: Match value must be String, number, true, false, or null")
        else:
            check_range(condition, most=MAX_NUMBER, need=_need)


def _check_operator(condition: dict[str, Any]) -> None:
    if len(condition) != 1:
        raise Invalid("FilterPolicy: Only one key allowed in match expression")
    ((kind, wanted),) = condition.items()
    if kind == "exists":
        _need(isinstance(wanted, bool), "exists match pattern must be either true or false.")
    elif kind == "numeric":
        check_numeric(wanted, most=MAX_NUMBER, need=_need)
    elif kind == "anything-but":
        _check_anything_but(wanted)
    elif kind == "cidr":
        _need(is_network(wanted), "Malformed CIDR, one '/' required")
    elif kind in TEXT_MATCHES:
        _need(isinstance(wanted, str), f"{kind} match pattern must be a string")
    else:
        raise Invalid(f"FilterPolicy: Unrecognized match type {kind}")


def _check_anything_but(wanted: Any) -> None:
    if isinstance(wanted, dict):
        inner = cast("dict[str, Any]", wanted)
        _need(
            len(inner) == 1 and next(iter(inner)) in TEXT_MATCHES,
            "Unsupported anything-but pattern",
        )
        texts = next(iter(inner.values()))
        choices = many(texts)
        _need(
            bool(choices) and all(isinstance(text, str) for text in choices),
            "anything-but pattern must be a string",
        )
        return
    check_choices(wanted, need=_need)


def _need(claim: bool, words: str) -> None:  # noqa: FBT001 - reads as `need(claim, else say)`
    if not claim:
        raise Invalid(f"FilterPolicy: {words}")
