"""What the pattern languages share: right-hand values, comparisons, regular expressions. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from farero.base.errors import Invalid
from farero.telemetry.filter_regex import LinearRegex

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Tells whether a value found in an event passes; None stands for JSON's null.
    Test = Callable[[object], bool]

Operator = Literal["=", "!=", "<", "<=", ">", ">="]

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
#: "Supported regular expressions (regex) syntax": letters, digits, these symbols and operators; no groups.
_REGEX_TEXT = re.compile(r"[A-Za-z0-9:_#=@/;,\-\s^$?\[\]{}|\\*+.\"'<>&~!]+")


def invalid(pattern: str) -> Invalid:
    """Return the error AWS gives for a pattern it cannot read."""
    return Invalid(f"Invalid filter pattern: {pattern}")


def unquote(text: str) -> str:
    """Return what stands between double quotes, with backslash escapes undone."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def compile_regex(word: str, pattern: str) -> LinearRegex:
    """Return the expression between percent signs. Raises Invalid for what CloudWatch does not support."""
    text = word[1:-1]
    if not _REGEX_TEXT.fullmatch(text):
        raise invalid(pattern)
    try:
        return LinearRegex(text)
    except ValueError as error:
        raise invalid(pattern) from error


def compile_test(operator: Operator, word: str, pattern: str) -> Test:
    """Return the test `value operator word`. Raises Invalid for an order of what is no number.

    word: a number, a regular expression in percent signs, or a text (quoted or not) in which `*` stands for anything.
    """
    if operator in ("<", "<=", ">", ">="):
        if not NUMBER.fullmatch(word):
            raise invalid(pattern)
        return _order_test(operator, float(word))
    equal = _equality_test(word, pattern)
    return equal if operator == "=" else lambda value: not equal(value)


def _order_test(operator: Operator, limit: float) -> Test:
    def passes(value: object) -> bool:
        number = as_number(value)
        if number is None:
            return False
        return {
            "<": number < limit,
            "<=": number <= limit,
            ">": number > limit,
            ">=": number >= limit,
        }[operator]

    return passes


def _equality_test(word: str, pattern: str) -> Test:
    if word.startswith("%"):
        regex = compile_regex(word, pattern)
        return lambda value: isinstance(value, str) and regex.search(value)
    if NUMBER.fullmatch(word):
        number = float(word)
        return lambda value: as_number(value) == number
    text = unquote(word) if word.startswith('"') else word
    parts = text.split("*")
    return lambda value: isinstance(value, str) and _fits(parts, value)


def _fits(parts: list[str], text: str) -> bool:
    """Say whether a text is the parts in order with anything between them."""
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def as_number(value: object) -> float | None:
    """Return the number that a value is or spells; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e308 else None
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return None
