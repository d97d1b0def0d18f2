"""Whether the values of a text column still occur as often as in the baseline, and whether there are new ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from farero_monitor.drift.numeric import Found
from farero_monitor.drift.special import binomial_tail, cauchy_combination, chi_square_tail

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Fewer rows say nothing.
LEAST = 50
#: A cell of the test expects at least so many on both sides.
CELL = 5.0
MIN_EFFECT = {"share": 0.02, "new": 0.005}


def compare(
    current: Mapping[str, int], reference: Mapping[str, int],
    *, rows: int, rows_reference: int, complete: bool = True,
) -> Found:  # fmt: skip
    """Test a text column. rows: present values on each side; complete: `reference` lists every value there was."""
    if rows < LEAST or rows_reference < LEAST:
        return Found(1.0, enough=False)
    tests = {"shares": homogeneity(current, reference, rows, rows_reference)}
    effects = {"share": _largest_gap(current, reference, rows, rows_reference)}
    if complete:
        new = rows - sum(current.get(value, 0) for value in reference)
        tests["new"] = binomial_tail(new, rows, unseen_mass(reference, rows_reference))
        effects["new"] = new / rows
    return Found(cauchy_combination([*tests.values()]), tests, effects)


def homogeneity(
    current: Mapping[str, int], reference: Mapping[str, int], rows: int, rows_reference: int
) -> float:
    """Return the p of Pearson's chi-square test of homogeneity; values too rare for a cell of their own share one."""
    total = rows + rows_reference
    least = min(rows, rows_reference) / total
    statistic, cells, rest, rest_reference = 0.0, 0, float(rows), float(rows_reference)
    for value in {**reference, **current}:
        ours, theirs = current.get(value, 0), reference.get(value, 0)
        if (ours + theirs) * least < CELL:
            continue
        statistic += _cell(ours, theirs, rows, rows_reference)
        rest, rest_reference, cells = rest - ours, rest_reference - theirs, cells + 1
    if (rest + rest_reference) * least >= CELL:
        statistic += _cell(rest, rest_reference, rows, rows_reference)
        cells += 1
    return chi_square_tail(statistic, cells - 1) if cells > 1 else 1.0


def unseen_mass(reference: Mapping[str, int], rows: int) -> float:
    """Return an upper bound of the share that values not seen so far have: (f1 + 2 sqrt(f1) + 3) / N.

    f1 values occurred once (Good, "The population frequencies of species", 1953); the rest is about two standard
    errors and the rule of three, without which a baseline with few singletons would call rare values new.
    """
    once = sum(1 for count in reference.values() if count == 1)
    return min(1.0, (once + 2.0 * math.sqrt(once) + 3.0) / rows)


def _cell(ours: float, theirs: float, rows: int, rows_reference: int) -> float:
    """Return a cell's part of the statistic, both sides."""
    pooled = (ours + theirs) / (rows + rows_reference)
    expected, expected_reference = pooled * rows, pooled * rows_reference
    return (ours - expected) ** 2 / expected + (
        theirs - expected_reference
    ) ** 2 / expected_reference


def _largest_gap(
    current: Mapping[str, int], reference: Mapping[str, int], rows: int, rows_reference: int
) -> float:
    return max(
        abs(current.get(value, 0) / rows - reference.get(value, 0) / rows_reference)
        for value in {**reference, **current}
    )
