"""A column's baseline against a window: as histograms of numbers, as bars of texts. Pure, but for drawing.

Numbers come as a sketch's values and weights; both sides get the same bins, over what lies between the 0.5 and 99.5 %
of either.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from farero.console.chart_parts import DIM, axis_look, base, legend, tooltip, value_axis
from farero.console.units import number, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]
#: (value, weight), in the values' order.
Weighted = Sequence[tuple[float, float]]

BINS = 28
BARS = 10
_END = 0.005
_THEN, _NOW = "var(--c7)", "var(--c2)"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares in percent, in bins between edges."""

    edges: list[float]
    then: list[float]
    now: list[float]


@dataclass(frozen=True, slots=True)
class Bar:
    """A text's share in percent on both sides."""

    text: str
    then: float
    now: float


def histogram(then: Weighted, now: Weighted, bins: int = BINS) -> Histogram | None:
    """Return both sides in common bins; None where a side has nothing. Values beyond the ends are left out."""
    if not then or not now:
        return None
    ends = [_ends(one) for one in (then, now)]
    low, high = min(one[0] for one in ends), max(one[1] for one in ends)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = [low + (high - low) * place / bins for place in range(bins + 1)]
    return Histogram(edges, _shares(then, edges), _shares(now, edges))


def most_different(
    then: Mapping[str, float], now: Mapping[str, float], most: int = BARS
) -> list[Bar]:
    """Return the texts that are most frequent on either side, the most frequent of the baseline first."""
    all_then, all_now = sum(then.values()) or 1.0, sum(now.values()) or 1.0
    found = [
        Bar(text, 100 * then.get(text, 0.0) / all_then, 100 * now.get(text, 0.0) / all_now)
        for text in {**then, **now}
    ]
    largest = sorted(found, key=lambda one: -max(one.then, one.now))[:most]
    return sorted(largest, key=lambda one: (-one.then, -one.now))


def draw_histogram(t: Mapping[str, str], found: Histogram) -> Json:
    """Return the chart: the baseline as an area, the window as a line."""

    def steps(shares: Sequence[float]) -> list[list[float | None]]:
        held = [*shares, shares[-1]]
        return [[rounded(at), rounded(share)] for at, share in zip(found.edges, held, strict=True)]

    def line(name: str, shares: Sequence[float], colour: str) -> Json:
        return {
            "type": "line", "name": name, "step": "end", "data": steps(shares), "showSymbol": False,
            "itemStyle": {"color": colour}, "lineStyle": {"color": colour, "width": 1.8},
            "emphasis": {"disabled": True},
        }  # fmt: skip

    baseline = line(t["baseline"], found.then, _THEN)
    baseline["areaStyle"] = {"color": _THEN, "opacity": 0.28}
    across = {**value_axis(""), "min": rounded(found.edges[0]), "max": rounded(found.edges[-1])}
    across["splitLine"] = {"show": False}
    across["axisLabel"] = {"color": DIM, "hideOverlap": True, "showMinLabel": False, "showMaxLabel": False}  # fmt: skip
    return {
        **base(),
        "grid": {"left": 4, "right": 20, "top": 40, "bottom": 4, "containLabel": True},
        "legend": {**legend(), "top": 0, "left": 0, "data": [t["baseline"], t["window"]]},
        "tooltip": tooltip("axis"),
        "xAxis": across,
        "yAxis": value_axis("%"),
        "series": [baseline, line(t["window"], found.now, _NOW)],
    }


def draw_bars(t: Mapping[str, str], found: Sequence[Bar]) -> Json:
    """Return the chart: two bars for each text; one that only one side has says so."""

    def name(one: Bar) -> str:
        text = one.text if len(one.text) <= 24 else f"{one.text[:23]}…"
        mark = t["is_new"] if not one.then else t["is_gone"] if not one.now else ""
        shown = text or "''"
        return f"{shown} ({mark})" if mark else shown

    def side(title: str, shares: Sequence[float], colour: str) -> Json:
        return {
            "type": "bar", "name": title, "data": [rounded(share) for share in shares], "barMaxWidth": 12,
            "itemStyle": {"color": colour}, "emphasis": {"disabled": True},
        }  # fmt: skip

    return {
        **base(),
        "grid": {"left": 14, "right": 24, "top": 36, "bottom": 4, "containLabel": True},
        "legend": {**legend(), "top": 0, "left": 0, "data": [t["baseline"], t["window"]]},
        "tooltip": tooltip("axis"),
        "xAxis": value_axis("%"),
        "yAxis": {"type": "category", "inverse": True, "data": [name(one) for one in found], **axis_look()},
        "series": [
            side(t["baseline"], [one.then for one in found], _THEN),
            side(t["window"], [one.now for one in found], _NOW),
        ],
    }  # fmt: skip


def told_histogram(t: Mapping[str, str], found: Histogram) -> str:
    """Return in words what a histogram shows."""
    middles = [_middle(found.edges, shares) for shares in (found.then, found.now)]
    return f"{t['baseline']}: ≈ {number(middles[0])}; {t['window']}: ≈ {number(middles[1])}"


def told_bars(found: Sequence[Bar]) -> str:
    """Return in words what bars show."""
    return "; ".join(f"{one.text}: {number(one.then)} % → {number(one.now)} %" for one in found)


def _ends(found: Weighted) -> tuple[float, float]:
    reached = list(accumulate(weight for _, weight in found))
    places = (bisect_left(reached, share * reached[-1]) for share in (_END, 1 - _END))
    low, high = (found[min(place, len(found) - 1)][0] for place in places)
    return low, high


def _shares(found: Weighted, edges: Sequence[float]) -> list[float]:
    """Return the percentage in each bin; the last one has its upper edge, too."""
    values = [value for value, _ in found]
    reached = [0.0, *accumulate(weight for _, weight in found)]
    places = [bisect_left(values, edge) for edge in edges[:-1]]
    places.append(bisect_right(values, edges[-1]))
    below = [reached[place] for place in places]
    return [100 * (more - less) / reached[-1] for less, more in pairwise(below)]


def _middle(edges: Sequence[float], shares: Sequence[float]) -> float:
    """Return where half of what is shown is reached."""
    reached = list(accumulate(shares))
    return edges[bisect_left(reached, reached[-1] / 2)]
