"""Whether a captured record fits a baseline's columns, and if not, which mistake is likely. Pure.

Values of CSV go by position, the answer's first; those of JSON by name, or where the baseline has none of an answer's
names by position, too. Records that cannot be told apart into columns
(BASE64, nested JSON) are not compared.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Shape:
    """What a captured record looks like: values of the answer and of the request, and their names if they have any."""

    answer: int
    request: int
    names: tuple[str, ...] = ()


def of_record(line: bytes) -> Shape | None:
    """Return the shape of a line of a capture file; None for one that tells none."""
    try:
        halves: Any = msgspec.json.decode(line)["captureData"]
        answer = _values(halves.get("endpointOutput"))
        request = _values(halves["endpointInput"])
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        return None
    if answer is None or request is None:
        return None
    if isinstance(request, int):
        return Shape(_count(answer), request)
    return Shape(
        _count(answer), len(request), (*(answer if isinstance(answer, list) else ()), *request)
    )


def mismatch(baseline: Sequence[str], shape: Shape) -> str | None:
    """Say how a baseline's columns differ from a record's, and the likely mistake; None if they go together."""
    if shape.names:
        return _by_name(baseline, shape)
    known, width = len(baseline), shape.answer + shape.request
    if known == width:
        return None
    counts = (
        f"A captured record has {width} columns ({shape.answer} of the answer, then {shape.request} of the request), "
        f"the baseline {known}"
    )
    if known == shape.request:
        return (
            f"{counts}: the baseline lacks the model's answer, which comes first in a record. Its other columns are "
            "compared; put the target first in the baseline's data to have the answer compared, too."
        )
    if known == width + 1:
        return f"{counts}: it may hold a row number or an id that is not sent, or target and prediction both."
    return f"{counts}: it may be the baseline of another model."


def _by_name(baseline: Sequence[str], shape: Shape) -> str | None:
    names = shape.names
    missing = [name for name in baseline if name not in names]
    answers = names[: len(names) - shape.request]
    # an answer of which the baseline has no name goes by position
    if not missing or (len(missing) == shape.answer and {*answers}.isdisjoint(baseline)):
        return None
    if len(missing) == len(baseline):
        return (
            f"None of the baseline's columns ({_some(baseline)}) is among those captured ({_some(names)}): it may be "
            "the baseline of another model."
        )
    return (
        f"Of the baseline's columns, {_some(missing)} is not among those captured ({_some(names)})."
    )


def _values(half: dict[str, Any] | None) -> int | list[str] | None:
    """Return the number of values of one half, or their names; None if they cannot be told."""
    if half is None:
        return 0
    data = half["data"]
    if half["encoding"] == "CSV":
        return len(next(csv.reader(io.StringIO(data)), ()))
    if half["encoding"] != "JSON":
        return None
    document: object = msgspec.json.decode(data)
    if isinstance(document, (int, float, str)):
        return 1
    if not isinstance(document, dict):
        return None
    flat = cast("dict[str, object]", document)
    return None if any(isinstance(one, (dict, list)) for one in flat.values()) else [*flat]


def _count(values: int | list[str]) -> int:
    return values if isinstance(values, int) else len(values)


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more
