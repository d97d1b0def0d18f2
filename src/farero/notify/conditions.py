"""What the conditions of SNS's filter policies and EventBridge's patterns have in common. Pure.

Both languages are JSON with the same operators; they differ in their limits and in the words of a refusal, which their
own modules know: a check takes `need(claim, words)`, which raises unless the claim is true.
"""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    Need = Callable[[bool, str], None]

OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
TEXT_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    "equals-ignore-case": lambda value, wanted: value.casefold() == wanted.casefold(),
}


def flat(value: Any) -> list[Any]:
    """Return the leaves of nested lists: each element of an array is tried."""
    if not isinstance(value, list):
        return [value]
    return [leaf for part in cast("list[Any]", value) for leaf in flat(part)]


def many(value: Any) -> list[Any]:
    """Return what may be one or a list of them as a list."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def same(value: Any, wanted: Any) -> bool:
    """Compare as JSON does: `true` is not 1, `5` is `5.0`."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    given, other = number(value), number(wanted)
    if given is not None and other is not None:
        return given == other
    return isinstance(value, str | None) and value == wanted


def number(value: Any) -> Decimal | None:
    """Return a number as it was written, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    found = Decimal(str(value))
    return found if found.is_finite() else None


def is_within(value: Any, wanted: list[Any]) -> bool:
    """Say whether a number meets `[">", 0, "<=", 5]`."""
    given = number(value)
    return given is not None and all(
        OPERATORS[sign](given, Decimal(str(limit))) for sign, limit in pairs(wanted)
    )


def is_in_network(value: Any, network: str) -> bool:
    """Say whether a text is an address within `10.0.0.0/24`."""
    if not isinstance(value, str):
        return False
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def is_network(wanted: Any) -> bool:
    """Say whether this is what `cidr` takes."""
    if not isinstance(wanted, str) or "/" not in wanted:
        return False
    try:
        ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False
    return True


def is_choice(key: str, wanted: Any) -> bool:
    """Say whether `$or` is the operator: a list of two or more objects that are no conditions."""
    if key != "$or" or not isinstance(wanted, list):
        return False
    choices = cast("list[Any]", wanted)
    return len(choices) > 1 and all(choice and isinstance(choice, dict) for choice in choices)


def pairs(wanted: list[Any]) -> list[tuple[Any, Any]]:
    """Return the signs and limits of `numeric`."""
    return list(zip(wanted[::2], wanted[1::2], strict=True))


def check_numeric(wanted: Any, *, most: int, need: Need) -> None:
    """Refuse what `numeric` does not take. most: the largest number, either way."""
    need(isinstance(wanted, list) and wanted != [], "Value of numeric must be an array.")
    parts = cast("list[Any]", wanted)
    need(
        len(parts) in (2, 4), "Value of numeric must be a comparison, or a lower and an upper limit"
    )
    for sign, limit in pairs(parts):
        is_known = isinstance(sign, str) and sign in OPERATORS
        need(is_known, f"Unrecognized numeric range operator: {sign}")
        need(number(limit) is not None, f"Value of {sign} must be numeric")
        check_range(limit, most=most, need=need)
    if len(parts) == 4:
        lower, low, upper, high = parts
        need(lower in (">", ">=") and upper in ("<", "<="), "Bad numeric range operator")
        need(Decimal(str(low)) < Decimal(str(high)), "Bottom must be less than top")


def check_range(value: Any, *, most: int, need: Need) -> None:
    """Refuse a number that the language does not compare; what is no number passes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    billions = f"{most / 1e9:.1f}E9"
    # NaN is within no range.
    need(-most <= value <= most, f"Value must be between -{billions} and {billions}, was {value}")


def check_choices(wanted: Any, *, need: Need) -> None:
    """Refuse what `anything-but` does not take when it is no operator: texts, or numbers."""
    choices = many(wanted)
    are_texts = all(isinstance(choice, str) for choice in choices)
    are_numbers = all(number(choice) is not None for choice in choices)
    need(
        bool(choices) and (are_texts or are_numbers),
        "Inside anything but list, start|null|boolean is not supported.",
    )
