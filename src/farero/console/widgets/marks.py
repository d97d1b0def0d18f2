"""Annotations of a graph: lines and bands across, moments and stretches of time. Whatever is odd is left out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

Json = dict[str, Any]

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One annotation: a line at `at`, or a band from `at` to `to`; None as an end is the edge of the graph."""

    at: float | None
    to: float | None = None
    is_band: bool = False
    label: str = ""
    colour: str = ""
    is_right: bool = False


def horizontal(properties: Json) -> list[Mark]:
    """Return the annotations at values."""
    return _marks(properties, "horizontal", number, before="below", after="above")


def vertical(properties: Json) -> list[Mark]:
    """Return the annotations at times, in milliseconds since 1970."""
    return _marks(properties, "vertical", moment, before="before", after="after")


def number(value: object) -> float | None:
    """Return a number that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def moment(value: object) -> float | None:
    """Return a time of ISO 8601 in milliseconds since 1970."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000
    except (ValueError, OverflowError):
        return None


def limits(properties: Json, side: str) -> Json:
    """Return min, max and name of an axis, as far as they are given and sane. side: left or right."""
    axes = properties.get("yAxis")
    given = axes.get(side) if _is_object(axes) else None
    if not _is_object(given):
        return {}
    found: Json = {
        name: limit for name in ("min", "max") if (limit := number(given.get(name))) is not None
    }
    if isinstance(label := given.get("label"), str):
        found["name"] = label[:80]
    return found


def _marks(properties: Json, kind: str, read: Any, *, before: str, after: str) -> list[Mark]:
    annotations = properties.get("annotations")
    given: object = annotations.get(kind) if _is_object(annotations) else None
    found: list[Mark] = []
    for one in given[:_MOST] if _is_array(given) else []:
        pair: list[Json] = [part for part in one if _is_object(part)] if _is_array(one) else []
        first: Any = pair[0] if pair else one
        if not _is_object(first) or first.get("visible") is False:
            continue
        at = read(first.get("value"))
        if at is None:
            continue
        to, is_band, fill = None, False, first.get("fill")
        if len(pair) == 2:
            to, is_band = read(pair[1].get("value")), True
        elif fill in (before, after):
            is_band = True
            at, to = (None, at) if fill == before else (at, None)
        if is_band and at is not None and to is not None and at > to:
            at, to = to, at
        label, colour = first.get("label"), first.get("color")
        found.append(
            Mark(
                at=at,
                to=to,
                is_band=is_band,
                label=label[:120] if isinstance(label, str) else "",
                colour=colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else "",
                is_right=first.get("yAxis") == "right",
            )
        )
    return found


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
