"""Figures as a reader takes them in: short numbers, the last value, a row of a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farero.console.widgets.metrics import Line

#: Stands where nothing is known.
NOTHING = "—"
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k"))


def short(value: float | None) -> str:
    """Return a number with four digits that matter: 12, 0.0312, 12.3k, 4.5M; NOTHING for none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    for step, sign in _STEPS:
        if size >= step:
            return f"{value / (1e3 if sign == 'k' else step):.4g}{sign}"
    return f"{value:.4g}" if size >= 1e-4 or size == 0 else f"{value:.2e}"


def last(line: Line) -> float | None:
    """Return the newest value of a line."""
    return line.points[-1][1] if line.points else None


def summary(line: Line) -> list[str]:
    """Return the last, least, mean, most and sum of a line, short."""
    values = [value for _, value in line.points]
    if not values:
        return [NOTHING] * 5
    figures = (values[-1], min(values), sum(values) / len(values), max(values), sum(values))
    return [short(one) for one in figures]
