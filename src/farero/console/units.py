"""Numbers and units as people read them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: How a unit of CloudWatch is shown: what one is worth, and the sign.
_UNITS = {
    "Seconds": (1000.0, "ms"), "Milliseconds": (1.0, "ms"), "Microseconds": (0.001, "ms"), "Percent": (1.0, "%"),
    "Bytes": (1.0, "B"), "Kilobytes": (1e3, "B"), "Megabytes": (1e6, "B"), "Gigabytes": (1e9, "B"),
    "Count": (1.0, ""), "None": (1.0, ""), "Bytes/Second": (1.0, "B/s"), "Count/Second": (1.0, "/s"),
}  # fmt: skip
_STEPS = {
    "B": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")),
    "ms": ((60_000.0, "min"), (1000.0, "s")),
}


def sign(unit: str) -> str:
    """Return how a unit is written behind a number."""
    return _UNITS.get(unit, (1.0, unit))[1]


def size(values: Iterable[float], unit: str) -> tuple[float, str]:
    """Return what to multiply values by so that they can be read, and the sign of their unit then."""
    worth, found = _UNITS.get(unit, (1.0, unit))
    largest = max(map(abs, values), default=0) * worth
    for step, name in _STEPS.get(found, ()):
        if largest >= 2 * step:
            return worth / step, name
    return worth, found


def rounded(value: float | None) -> float | None:
    """Return a value with five digits that matter."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def number(value: float | None) -> str:
    """Return a number as people read it; nothing is a dash."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 1e-3 or size == 0 else f"{value:.1e}"


def spaced(text: str) -> str:
    """Return a unit with the space before it, or nothing."""
    return f" {text}" if text else ""


def measured(value: float | None, unit: str) -> str:
    """Return a number with its unit."""
    if value is None:
        return number(None)
    factor, shown = size([value], unit)
    return number(value * factor) + spaced(shown)
