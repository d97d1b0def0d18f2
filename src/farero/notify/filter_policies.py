"""SNS filter policies: which messages a subscription wants. Pure.

Follows "Amazon SNS subscription filter policies" and its pages on string, numeric, key and `$or` matching. A policy
looks at the message's attributes, or at its body when the scope is MessageBody.
"""

from __future__ import annotations

import ipaddress
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_KEYS = 5
MAX_COMBINATIONS = 150
MAX_DEPTH = 20
#: A number has up to 15 significant digits and lies within ±1e9 ("Numeric value matching").
MAX_NUMBER = 1_000_000_000

_OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_TEXT_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "prefix": lambda value, wanted: value.startswith(wanted),
    "suffix": lambda value, wanted: value.endswith(wanted),
    "equals-ignore-case": lambda value, wanted: value.casefold() == wanted.casefold(),
}


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
        if _is_choice(key, wanted)
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
    values = _flat(given[key]) if is_there else []
    return any(_matches(condition, values, is_there=is_there) for condition in wanted)


def _flat(value: Any) -> list[Any]:
    """Return the leaves of nested lists: SNS tries each element of an array."""
    if not isinstance(value, list):
        return [value]
    return [leaf for part in cast("list[Any]", value) for leaf in _flat(part)]


def _matches(condition: Any, values: list[Any], *, is_there: bool) -> bool:
    if isinstance(condition, dict):
        ((kind, wanted),) = cast("dict[str, Any]", condition).items()
        if kind == "exists":
            return is_there is wanted
        return any(_matches_one(kind, wanted, value) for value in values)
    return any(_same(value, condition) for value in values)


def _matches_one(kind: str, wanted: Any, value: Any) -> bool:
    if kind == "anything-but":
        return _is_other(wanted, value)
    if kind == "numeric":
        number = _number(value)
        return number is not None and all(
            _OPERATORS[sign](number, Decimal(str(limit))) for sign, limit in _pairs(wanted)
        )
    if kind == "cidr":
        return _in_network(wanted, value)
    return isinstance(value, str) and _TEXT_MATCHES[kind](value, wanted)


def _is_other(wanted: Any, value: Any) -> bool:
    if not isinstance(value, str | int | float | Decimal) and value is not None:
        return False
    if isinstance(wanted, dict):
        ((kind, texts),) = cast("dict[str, Any]", wanted).items()
        choices = cast("list[str]", texts if isinstance(texts, list) else [texts])
        return isinstance(value, str) and not any(
            _TEXT_MATCHES[kind](value, text) for text in choices
        )
    choices = cast("list[Any]", wanted if isinstance(wanted, list) else [wanted])
    return not any(_same(value, choice) for choice in choices)


def _same(value: Any, wanted: Any) -> bool:
    """Compare as JSON does: `true` is not 1, `5` is `5.0`."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    number, wanted_number = _number(value), _number(wanted)
    if number is not None and wanted_number is not None:
        return number == wanted_number
    return type(value) is type(wanted) and value == wanted


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _in_network(network: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _pairs(wanted: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(wanted[::2], wanted[1::2], strict=True))


def _is_choice(key: str, wanted: Any) -> bool:
    """Say whether `$or` is the operator: a list of two or more objects that are no conditions."""
    if key != "$or" or not isinstance(wanted, list):
        return False
    choices = cast("list[Any]", wanted)
    return len(choices) > 1 and all(choice and isinstance(choice, dict) for choice in choices)


def _check(policy: dict[str, Any], *, nested: bool, depth: int) -> tuple[int, int]:
    """Return how many keys and how many combinations of values a policy has."""
    if depth > MAX_DEPTH:
        raise Invalid("FilterPolicy: Filter policy is nested too deeply")
    if not policy and depth > 1:
        raise Invalid("FilterPolicy: Empty objects are not allowed")
    keys, combinations = 0, 1
    for key, wanted in policy.items():
        if _is_choice(key, wanted):
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
            _check_range(condition)


def _check_operator(condition: dict[str, Any]) -> None:
    if len(condition) != 1:
        raise Invalid("FilterPolicy: Only one key allowed in match expression")
    ((kind, wanted),) = condition.items()
    if kind == "exists":
        _need(isinstance(wanted, bool), "exists match pattern must be either true or false.")
    elif kind == "numeric":
        _check_numeric(wanted)
    elif kind == "anything-but":
        _check_anything_but(wanted)
    elif kind == "cidr":
        _need(_is_network(wanted), "Malformed CIDR, one '/' required")
    elif kind in _TEXT_MATCHES:
        _need(isinstance(wanted, str), f"{kind} match pattern must be a string")
    else:
        raise Invalid(f"FilterPolicy: Unrecognized match type {kind}")


def _check_anything_but(wanted: Any) -> None:
    if isinstance(wanted, dict):
        inner = cast("dict[str, Any]", wanted)
        _need(
            len(inner) == 1 and next(iter(inner)) in _TEXT_MATCHES,
            "Unsupported anything-but pattern",
        )
        texts = next(iter(inner.values()))
        choices = cast("list[Any]", texts if isinstance(texts, list) else [texts])
        _need(
            bool(choices) and all(isinstance(t, str) for t in choices),
            "anything-but pattern must be a string",
        )
        return
    choices = cast("list[Any]", wanted if isinstance(wanted, list) else [wanted])
    are_texts = all(isinstance(choice, str) for choice in choices)
    are_numbers = all(_number(choice) is not None for choice in choices)
    _need(
        bool(choices) and (are_texts or are_numbers),
        "Inside anything but list, start|null|boolean is not supported.",
    )


def _check_numeric(wanted: Any) -> None:
    if not isinstance(wanted, list) or not wanted:
        raise Invalid("FilterPolicy: Value of numeric must be an array.")
    parts = cast("list[Any]", wanted)
    _need(
        len(parts) in (2, 4), "Value of numeric must be a comparison, or a lower and an upper limit"
    )
    for sign, limit in _pairs(parts):
        _need(
            isinstance(sign, str) and sign in _OPERATORS,
            f"Unrecognized numeric range operator: {sign}",
        )
        _need(_number(limit) is not None, f"Value of {sign} must be numeric")
        _check_range(limit)
    if len(parts) == 4:
        lower, low, upper, high = parts
        _need(lower in (">", ">=") and upper in ("<", "<="), "Bad numeric range operator")
        _need(Decimal(str(low)) < Decimal(str(high)), "Bottom must be less than top")


def _check_range(condition: Any) -> None:
    if isinstance(condition, bool) or not isinstance(condition, int | float):
        return
    # NaN is within no range.
    _need(
        -MAX_NUMBER <= condition <= MAX_NUMBER,
        f"Value must be between -1.0E9 and 1.0E9, was {condition}",
    )


def _is_network(wanted: Any) -> bool:
    if not isinstance(wanted, str) or "/" not in wanted:
        return False
    try:
        ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False
    return True


def _need(claim: bool, words: str) -> None:  # noqa: FBT001 - reads as `need(claim, else say)`
    if not claim:
        raise Invalid(f"FilterPolicy: {words}")
