"""Whether two columns still move together as they did, though each by itself looks the same.

On the bounded samples of both sides: Spearman's rank correlation of each pair of number columns, compared by Fisher's
transformation with the variance (1 + r^2 / 2) / (n - 3) of Bonett and Wright (Psychometrika 65, 2000). Ranks, because
the product-moment correlation of heavy tails has no such variance and raises false alarms.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from farero_monitor.drift.special import benjamini_hochberg, normal_tail
from farero_monitor.profile.rows import Numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.profile.rows import Rows, Texts
    from farero_monitor.profile.sketch import Floats

#: Columns looked at, so that the work stays bounded: 19,900 pairs.
MOST_COLUMNS = 200
LEAST = 200
#: A column that lacks more than this share of its values is left out.
MOST_MISSING = 0.2
#: A difference of correlations that matters.
MIN_EFFECT = 0.1


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns and their rank correlation then and now."""

    one: str
    other: str
    reference: float
    current: float
    #: Adjusted for the number of pairs.
    p: float


def compare(
    current: Rows, reference: Rows, names: Sequence[str], level: float = 0.01
) -> list[Pair]:
    """Return the pairs whose correlation changed, the largest change first."""
    both = {*current.columns} & {*reference.columns}
    filled = (
        name
        for name in names
        if name in both and _filled(current, name) and _filled(reference, name)
    )
    names = [*itertools.islice(filled, MOST_COLUMNS)]
    now, then = (numbers(table, names) for table in (current, reference))
    if min(len(now), len(then)) < LEAST or len(names) < 2:
        return []
    r_now, r_then = correlations(now), correlations(then)
    pairs: list[Pair] = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            a, b = float(r_now[i, j]), float(r_then[i, j])
            p = correlation_p(a, len(now), b, len(then))
            pairs.append(Pair(names[i], names[j], b, a, p))
    adjusted = benjamini_hochberg([pair.p for pair in pairs])
    found = [
        Pair(pair.one, pair.other, pair.reference, pair.current, p)
        for pair, p in zip(pairs, adjusted, strict=True)
        if p < level and abs(pair.current - pair.reference) >= MIN_EFFECT
    ]
    return sorted(found, key=lambda pair: -abs(pair.current - pair.reference))


def _filled(rows: Rows, name: str) -> bool:
    """Tell whether so much of a column is there that complete rows are left."""
    return rows.columns[name].missing <= MOST_MISSING * rows.count


def correlation_p(one: float, rows: int, other: float, rows_other: int) -> float:
    """Return the two-sided p for two rank correlations of so many rows being the same."""
    one, other = (min(0.999999, max(-0.999999, r)) for r in (one, other))
    variance = (1 + one * one / 2) / (rows - 3) + (1 + other * other / 2) / (rows_other - 3)
    return normal_tail((math.atanh(one) - math.atanh(other)) / math.sqrt(variance))


def numbers(sample: Rows, names: Sequence[str]) -> Floats:
    """Return the rows of a sample in which all these columns have a number, shape (rows, columns)."""
    if not sample.count or not names:
        return np.zeros((0, len(names)))
    columns = [_numbers(sample.columns[name]) for name in names]
    rows = np.column_stack(columns)
    return rows[np.isfinite(rows).all(axis=1)]


def _numbers(column: Numbers | Texts) -> Floats:
    if isinstance(column, Numbers):
        return column.values
    return np.array([*map(_number, column.texts), math.nan])[column.codes]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def correlations(rows: Floats) -> Floats:
    """Return the matrix of Spearman's correlations; 0 where a column is constant."""
    ranked = np.column_stack([ranks(column) for column in rows.T])
    ranked -= ranked.mean(axis=0)
    lengths = np.sqrt((ranked**2).sum(axis=0))
    ranked /= np.where(lengths > 0, lengths, 1.0)
    return ranked.T @ ranked


def ranks(values: Floats) -> Floats:
    """Return the ranks of values; equal ones share their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + 1 + last) / 2.0)[place]
