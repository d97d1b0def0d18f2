"""Small drawings of figures over windows: a line, what it may be, and from when on it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero_monitor.report import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

HEIGHT, BASE = 64, 50
#: Place for the newest value, right of the line.
ROOM = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure of several windows, the oldest first; None of a window that does not have it."""

    values: Sequence[float | None]
    #: From where to where the true value may lie, for each window; empty if nothing is known of it.
    bands: Sequence[tuple[float, float] | None] = ()
    #: Drawn as dashed lines.
    limits: Sequence[float] = ()
    #: Whether the line starts at 0, as shares and counts do; else at the least value.
    from_zero: bool = True
    #: How the newest value is written; a short number by default.
    form: str = ".4g"

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest of all that is drawn, never the same."""
        found = [value for value in self.values if value is not None]
        found += [edge for band in self.bands if band for edge in band]
        found += self.limits
        low, high = min(found, default=0.0), max(found, default=1.0)
        if self.from_zero:
            low = min(0.0, low)
        return (low, high) if high > low else (low, low + 1.0)


def draw(series: Series, label: str, ends: tuple[str, str] = ("", "")) -> str:
    """Draw a series, its newest value written beside it; empty if there is no value. ends: of the axis of windows."""
    known = [(i, value) for i, value in enumerate(series.values) if value is not None]
    if not known:
        return ""
    low, high = series.range
    step = (svg.WIDTH - ROOM - 4) / max(1, len(series.values) - 1)

    def x(place: int) -> int:
        return round(4 + place * step)

    def y(value: float) -> int:
        return round(BASE - (value - low) / (high - low) * (BASE - 6))

    body = _band([(x(i), y(band[0]), y(band[1])) for i, band in enumerate(series.bands) if band])
    for limit in series.limits:
        body += f'<path class="l" d="M0 {y(limit)}H{svg.WIDTH - ROOM}"/>'
    points = [(x(i), y(value)) for i, value in known]
    body += f'<path class="c" d="M{"L".join(f"{a} {b}" for a, b in points)}"/>'
    right, height = points[-1]
    newest = known[-1][1]
    body += (
        f'<circle class="cf" cx="{right}" cy="{height}" r="3"/>'
        f'<text x="{right + 6}" y="{height + 4}">{newest:{series.form}}</text>'
        f"{svg.ends(*ends, height=HEIGHT, right=svg.WIDTH - ROOM + 12)}"
    )
    return svg.whole(body, label, HEIGHT)


def _band(ends: Sequence[tuple[int, int, int]]) -> str:
    if not ends:
        return ""
    if len(ends) == 1:
        x, low, high = ends[0]
        return f'<path class="e" d="M{x} {low}V{high}"/>'
    there = "L".join(f"{x} {high}" for x, _, high in ends)
    back = "L".join(f"{x} {low}" for x, low, _ in reversed(ends))
    return f'<path class="f" d="M{there}L{back}Z"/>'
