"""Values of Logs Insights: what a field holds, how it is compared, ordered and shown. Pure.

Fields have no declared type: a text that looks like a number is one where a number is needed.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timestamp(int):
    """Milliseconds since 1970 that are shown as a date."""


#: None stands for a field that is not there.
Value = str | float | int | bool | Timestamp | None

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NUMBER_CHARACTERS = 40
#: Longer texts are cut: `concat` of itself, again and again, must end somewhere.
TEXT_CHARACTERS = 1_000_000
#: The last moment that a date can show.
_LAST_MS = 253_402_300_799_999


def as_number(value: Value) -> float | int | None:
    """Return the number that a value is or spells; None for anything else, NaN and infinity too."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _NUMBER_CHARACTERS or not _NUMBER.fullmatch(text):
            return None
        value = int(text) if text.lstrip("+-").isdecimal() else float(text)
    if value is None or isinstance(value, bool):
        return None if value is None else int(value)
    return value if math.isfinite(value) else None


def as_text(value: Value) -> str:
    """Return how a value is shown; a missing one is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Timestamp):
        return _date(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def cut(text: str) -> str:
    """Return the text, shortened if it is far too long."""
    return text if len(text) <= TEXT_CHARACTERS else text[:TEXT_CHARACTERS]


def is_true(value: Value) -> bool:
    """Say whether a condition holds; a missing value does not, nor does the number 0."""
    if isinstance(value, str):
        return value.lower() == "true"
    return bool(value)


def is_equal(left: Value, right: Value) -> bool:
    """Compare as numbers where both are, else as texts; a missing field equals nothing."""
    if left is None or right is None:
        return False
    if isinstance(left, bool) or isinstance(right, bool):
        return _claim(left) == _claim(right)
    numbers = as_number(left), as_number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] == numbers[1]
    return as_text(left) == as_text(right)


def is_less(left: Value, right: Value) -> bool:
    """Order numbers as numbers, and texts as texts; a missing field is in no order."""
    if left is None or right is None:
        return False
    numbers = as_number(left), as_number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] < numbers[1]
    return as_text(left) < as_text(right)


def sort_key(value: Value) -> tuple[int, float | int | str]:
    """Return what to order by: missing values, then texts, then numbers ("Query syntax": sort)."""
    if value is None:
        return (0, 0)
    number = as_number(value)
    return (1, as_text(value)) if number is None else (2, number)


def calculate(operator: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Return the result of arithmetic; None where an operand is no number or there is no result."""
    numbers = as_number(left), as_number(right)
    if numbers[0] is None or numbers[1] is None:
        return None
    try:
        # As floats: an integer's power could fill the memory.
        found: object = operator(float(numbers[0]), float(numbers[1]))
    except (ArithmeticError, ValueError):
        return None
    # A negative number to a broken power is a complex one.
    if not isinstance(found, float) or not math.isfinite(found):
        return None
    is_whole = isinstance(numbers[0], int) and isinstance(numbers[1], int) and found.is_integer()
    return int(found) if is_whole and abs(found) < 2**53 else found


def of_json(value: object) -> Value:
    """Return a member of a JSON event as a field's value: objects and lists as their text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _claim(value: Value) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    text = as_text(value).lower()
    return {"true": "1", "false": "0"}.get(text, text)


def _date(value: int) -> str:
    if not 0 <= value <= _LAST_MS:
        return str(int(value))
    moment = dt.datetime.fromtimestamp(value // 1000, tz=dt.UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{value % 1000:03d}"
