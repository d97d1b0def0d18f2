"""Small drawings of one column: the window against the baseline. Whole coordinates keep a page small.

Words come with the arguments, already in the page's language; all of them are escaped here.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from farero_monitor.report import svg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.profile.sketch import Floats, Steps

BINS = 28
#: Points of a distribution function.
POINTS = 48
#: Categories shown as bars.
BARS, OTHERS = 10, 3


def histogram(current: Steps, reference: Steps, label: str) -> str:
    """Draw how values are spread: the baseline as an area, the window as a line; ends beyond 0.5 % are cut off."""
    low, high = _range(current, reference)
    edges = _edges(current, reference, low, high)
    ours, theirs = (np.diff(steps.below(edges)) for steps in (current, reference))
    top = max(float(ours.max()), float(theirs.max()), 1e-9)
    base = svg.HEIGHT - 14

    def outline(shares: Floats) -> str:
        xs = np.rint(np.linspace(0, svg.WIDTH, len(edges))).astype(int)
        ys = np.rint(base - shares / top * (svg.HEIGHT - 20)).astype(int)
        return "".join(f"V{y}H{x}" for y, x in zip(ys, xs[1:], strict=True))

    body = (
        f'<path class="b" d="M0 {base}{outline(theirs)}V{base}Z"/>'
        f'<path class="c" d="M0 {base}{outline(ours)}V{base}"/>{svg.ends(svg.short(low), svg.short(high))}'
    )
    return svg.whole(body, label)


def ecdf(current: Steps, reference: Steps, label: str) -> str:
    """Draw both distribution functions and, where they are farthest apart, the gap; `{gap}` and `{at}` stand for it."""
    low, high = _range(current, reference)
    at = np.linspace(low, high, POINTS)
    xs = np.rint(np.linspace(0, svg.WIDTH, POINTS)).astype(int)
    height = svg.HEIGHT - 20

    def line(steps: Steps) -> str:
        ys = np.rint(height - 6 - steps.cdf(at) * (height - 12)).astype(int)
        return "M" + "L".join(f"{x} {y}" for x, y in zip(xs, ys, strict=True))

    # where they are farthest apart among all values, not among the drawn points alone
    values = np.concatenate((current.values, reference.values))
    apart = np.abs(current.cdf(values) - reference.cdf(values))
    worst = int(apart.argmax())
    where = float(values[worst])
    x = round(min(1.0, max(0.0, (where - low) / (high - low))) * svg.WIDTH)
    ends = [round(height - 6 - float(s.cdf(where)) * (height - 12)) for s in (current, reference)]
    said = label.format(gap=f"{apart[worst]:.3f}", at=svg.short(where))
    left = x > svg.WIDTH // 2
    body = (
        f'<path class="bl" d="{line(reference)}"/><path class="c" d="{line(current)}"/>'
        f'<path class="g" d="M{x} {ends[0]}V{ends[1]}"/>'
        f'<text x="{0 if left else svg.WIDTH}" y="{12 if left else height - 10}"'
        f"{'' if left else svg.RIGHT}>{escape(said)}</text>"
    )
    return svg.whole(body, said, height)


def bars(  # noqa: PLR0913 - both sides have counts and rows
    current: Mapping[str, int], reference: Mapping[str, int], rows: int, rows_reference: int,
    *, label: str, new: str, gone: str,
) -> str:  # fmt: skip
    """Draw the most frequent values of both sides; a value that only one side has says so."""
    shares = {
        value: (
            current.get(value, 0) / max(1, rows),
            reference.get(value, 0) / max(1, rows_reference),
        )
        for value in {**reference, **current}
    }
    shown = sorted(shares, key=lambda value: -max(shares[value]))[:BARS]
    # what changed most, is new or is gone is shown, however rare
    changed = sorted(shares, key=lambda value: -abs(shares[value][0] - shares[value][1]))[:OTHERS]
    added = sorted(current.keys() - reference.keys(), key=lambda value: (-current[value], value))
    lost = sorted(reference.keys() - current.keys(), key=lambda value: (-reference[value], value))
    shown = list(dict.fromkeys([*shown, *changed, *added[:OTHERS], *lost[:OTHERS]]))
    top = max((max(shares[value]) for value in shown), default=1.0) or 1.0
    body = ""
    for place, value in enumerate(shown):
        now, then = shares[value]
        y = place * 20
        mark = (
            f" ({new})" if value not in reference else f" ({gone})" if value not in current else ""
        )
        text = svg.cut(value, 18 - len(mark)) + mark
        body += (
            f'<text x="112" y="{y + 13}"{svg.RIGHT}>{escape(text)}</text>'
            f'<rect class="b" x="118" y="{y + 3}" width="{round(then / top * 110)}" height="6"/>'
            f'<rect class="cf" x="118" y="{y + 10}" width="{round(now / top * 110)}" height="6"/>'
            f'<text x="{svg.WIDTH}" y="{y + 13}"{svg.RIGHT}>{then:.1%} → {now:.1%}</text>'
        )
    return svg.whole(body, label, len(shown) * 20 + 4)


def _edges(current: Steps, reference: Steps, low: float, high: float) -> Floats:
    """Return the bins' edges: around each number where there are few different whole ones."""
    values = np.concatenate((current.values, reference.values))
    if high - low <= BINS and bool((values == np.rint(values)).all()):
        return np.arange(low - 0.5, high + 1.0)
    edges = np.linspace(low, high, BINS + 1)
    edges[-1] = np.nextafter(high, np.inf)  # the last bin has its upper end, too
    return edges


def _range(current: Steps, reference: Steps) -> tuple[float, float]:
    ends = [steps.quantile([0.005, 0.995]) for steps in (current, reference) if steps.count]
    low, high = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
