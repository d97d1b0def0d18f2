"""How far apart two distributions are. Every function takes steps or shares and is symmetric unless it says so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from farero_monitor.drift.special import chi_square_tail
from farero_monitor.profile.sketch import distinct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.profile.sketch import Floats, Steps

#: c(alpha) of Deequ's robust distance, for alpha 0.003.
ROBUST = 1.8


def ecdf_gap(one: Steps, other: Steps) -> float:
    """Return max |F1(x) - F2(x)|, the statistic of Kolmogorov and Smirnov; Deequ's `linf_simple` for numbers."""
    if not one.count or not other.count:
        return 0.0
    # at its own values each function is known
    gaps = (one.shares - other.cdf(one.values), other.shares - one.cdf(other.values))
    return max(float(np.abs(gap).max()) for gap in gaps)


def share_gap(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return max |p1(v) - p2(v)| over all values: Deequ's `linf_simple` for texts."""
    total, total_other = sum(one.values()), sum(other.values())
    if not total or not total_other:
        return 0.0
    return max(
        abs(one.get(value, 0) / total - other.get(value, 0) / total_other)
        for value in {*one, *other}
    )


def robust(gap: float, rows: int, rows_other: int) -> float:
    """Return max(0, gap - 1.8 sqrt((n + m) / (n m))): Deequ's `linf_robust`, 0 for small samples."""
    if not rows or not rows_other:
        return 0.0
    return max(0.0, gap - ROBUST * math.sqrt((rows + rows_other) / (rows * rows_other)))


def wasserstein(one: Steps, other: Steps) -> float:
    """Return the integral of |F1 - F2| in the column's own unit: how far the mass has to be moved."""
    if not one.count or not other.count:
        return 0.0
    at = distinct(np.concatenate((one.values, other.values)))
    return float((np.abs(one.cdf(at) - other.cdf(at))[:-1] * np.diff(at)).sum())


def jensen_shannon(one: Floats, other: Floats) -> float:
    """Return the Jensen-Shannon distance of two vectors of shares, base 2: 0 to 1 (Endres and Schindelin, 2003)."""
    middle = (one + other) / 2.0
    return math.sqrt(max(0.0, (_kl(one, middle) + _kl(other, middle)) / 2.0))


def _kl(one: Floats, other: Floats) -> float:
    there = one > 0
    return float((one[there] * np.log2(one[there] / other[there])).sum())


def stability_index(current: Floats, reference: Floats, least: float = 1e-4) -> float:
    """Return the population stability index: sum (p - q) ln(p / q), shares below `least` raised to it."""
    p, q = np.maximum(current, least), np.maximum(reference, least)
    return float(((p - q) * np.log(p / q)).sum())


def deequ_chi_square(
    current: Mapping[str, int], reference: Mapping[str, int]
) -> tuple[float, float] | None:
    """Return statistic and p of Deequ's test of category shares, None where it gives no result. Not symmetric.

    Values that the reference lacks are left out, as there. Cells are merged, the smallest into the next, until at most
    a fifth expects fewer than 5 (of two cells each expects at least 10).
    """
    known = sum(count for value, count in current.items() if value in reference)
    total = sum(reference.values())
    if not known or not total:
        return None
    cells = sorted(
        (count * known / total, float(current.get(value, 0))) for value, count in reference.items()
    )
    while len(cells) > 1 and not _large_enough(cells):
        joined = (cells[0][0] + cells[1][0], cells[0][1] + cells[1][1])
        cells = sorted([joined, *cells[2:]])
    if len(cells) < 2:
        return None
    statistic = sum((seen - expected) ** 2 / expected for expected, seen in cells)
    return statistic, chi_square_tail(statistic, len(cells) - 1)


def _large_enough(cells: list[tuple[float, float]]) -> bool:
    if len(cells) == 2:
        return all(expected >= 10 for expected, _ in cells)
    return sum(1 for expected, _ in cells if expected < 5) <= 0.2 * len(cells)
