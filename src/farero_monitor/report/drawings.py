"""Small drawings as SVG: baseline against current. Coordinates are whole numbers, so that a page stays small."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.profile.sketch import Floats, Steps

WIDTH, HEIGHT = 320, 110
BINS = 28
#: Points of a distribution function.
POINTS = 48
#: Categories shown as bars.
BARS = 10


def _svg(body: str, label: str, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'
    )


def histogram(current: Steps, reference: Steps) -> str:
    """Draw how values are spread: the baseline as an area, the window as a line; ends beyond 0.5 % are cut off."""
    low, high = _range(current, reference)
    edges = np.linspace(low, high, BINS + 1)
    ours, theirs = (np.diff(steps.cdf(edges)) for steps in (current, reference))
    top = max(float(ours.max()), float(theirs.max()), 1e-9)

    def outline(shares: Floats) -> str:
        xs = np.rint(np.linspace(0, WIDTH, BINS + 1)).astype(int)
        ys = np.rint(HEIGHT - 14 - shares / top * (HEIGHT - 20)).astype(int)
        return "".join(f"V{y}H{x}" for y, x in zip(ys, xs[1:], strict=True))

    base = HEIGHT - 14
    body = (
        f'<path class="b" d="M0 {base}{outline(theirs)}V{base}Z"/>'
        f'<path class="c" d="M0 {base}{outline(ours)}V{base}"/>'
        f'<text x="0" y="{HEIGHT - 2}">{short(low)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 2}" text-anchor="end">{short(high)}</text>'
    )
    return _svg(body, f"Histogram from {short(low)} to {short(high)}, baseline and window")


def ecdf(current: Steps, reference: Steps) -> str:
    """Draw both distribution functions and, where they are farthest apart, the gap."""
    low, high = _range(current, reference)
    at = np.linspace(low, high, POINTS)
    xs = np.rint(np.linspace(0, WIDTH, POINTS)).astype(int)

    def line(steps: Steps) -> str:
        ys = np.rint(HEIGHT - 6 - steps.cdf(at) * (HEIGHT - 12)).astype(int)
        return "M" + "L".join(f"{x} {y}" for x, y in zip(xs, ys, strict=True))

    apart = np.abs(current.cdf(at) - reference.cdf(at))
    worst = int(apart.argmax())
    ends = [
        round(HEIGHT - 6 - float(s.cdf(at[worst])) * (HEIGHT - 12)) for s in (current, reference)
    ]
    body = (
        f'<path class="bl" d="{line(reference)}"/><path class="c" d="{line(current)}"/>'
        f'<path class="g" d="M{xs[worst]} {ends[0]}V{ends[1]}"/>'
    )
    return _svg(
        body, f"Distribution functions, at most {apart[worst]:.3f} apart at {short(at[worst])}"
    )


def bars(
    current: Mapping[str, int], reference: Mapping[str, int], rows: int, rows_reference: int
) -> str:
    """Draw the most frequent values of both sides; a value that only one side has says so."""
    shares = {
        value: (
            current.get(value, 0) / max(1, rows),
            reference.get(value, 0) / max(1, rows_reference),
        )
        for value in {**reference, **current}
    }
    shown = sorted(shares, key=lambda value: -max(shares[value]))[:BARS]
    # what changed most is shown, however rare
    changed = sorted(shares, key=lambda value: -abs(shares[value][0] - shares[value][1]))[:3]
    shown = list(dict.fromkeys([*shown, *changed]))
    top = max((max(shares[value]) for value in shown), default=1.0) or 1.0
    body = ""
    for place, value in enumerate(shown):
        now, then = shares[value]
        y = place * 18
        mark = " (new)" if value not in reference else " (gone)" if value not in current else ""
        text = value if len(value) <= 18 else value[:17] + "…"
        body += (
            f'<text x="106" y="{y + 12}" text-anchor="end">{escape(text)}{mark}</text>'
            f'<rect class="b" x="112" y="{y + 2}" width="{round(then / top * 160)}" height="6"/>'
            f'<rect class="cf" x="112" y="{y + 9}" width="{round(now / top * 160)}" height="6"/>'
            f'<text x="{WIDTH}" y="{y + 12}" text-anchor="end">{now:.1%}</text>'
        )
    return _svg(body, "Shares of values, baseline and window", len(shown) * 18 + 4)


def short(value: float) -> str:
    """Write a number in few characters."""
    return f"{value:.4g}"


def _range(current: Steps, reference: Steps) -> tuple[float, float]:
    ends = [steps.quantile([0.005, 0.995]) for steps in (current, reference) if steps.count]
    low, high = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
