"""Whether the numbers of a column still come from the baseline's distribution, and by how much they moved.

Five tests, since each is blind to something: Kolmogorov-Smirnov (anything in the middle), chi-square on the baseline's
quantile bins (several small changes), the means of clipped values and of their distances from the median (shift and
spread, at full power), and the share of values where the baseline had next to none (tails). All are computed from
distribution functions, so sketches serve as well as values; the error of a sketch's ranks is part of each variance.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from farero_monitor.drift import distances
from farero_monitor.drift.special import (
    binomial_tail,
    cauchy_combination,
    chi_square_tail,
    kolmogorov_tail,
    normal_tail,
)
from farero_monitor.profile.sketch import distinct

if TYPE_CHECKING:
    from farero_monitor.profile.sketch import Floats, Steps

#: Fewer values say nothing about a column of numbers.
LEAST = 200
#: Standard deviation of a rank in a sketch with k = 2048 that no longer keeps every value, as a share.
RANK_ERROR = 2.6e-4
#: A sketch of up to so many values keeps every one.
EXACT = 2048
#: Ends of the baseline's bins, as shares: sixteen equal ones and narrow ones in the tails.
EDGES = np.sort(np.concatenate(([0.005, 0.02, 0.05], np.arange(1, 16) / 16.0, [0.95, 0.98, 0.995])))
#: A bin expects at least so many values on both sides.
CELL = 10.0
#: What is large enough to matter; the smallest change is found in enough data, and is nobody's concern.
MIN_EFFECT = {"gap": 0.03, "shift": 0.05, "spread": 0.08, "outside": 1.5}


@dataclass(slots=True)
class Found:
    """What the tests of one column say."""

    #: One p of all tests; 1.0 where there was not enough data.
    p: float
    #: p of each test by its name.
    tests: dict[str, float] = field(default_factory=dict[str, float])
    #: How large the change is, by the names of MIN_EFFECT.
    effects: dict[str, float] = field(default_factory=dict[str, float])
    enough: bool = True

    def matters(self, least: dict[str, float]) -> list[str]:
        """Return the names of effects that reach their minimum."""
        return [name for name, value in self.effects.items() if abs(value) >= least[name]]


def compare(current: Steps, reference: Steps, *, exact: bool = False) -> Found:
    """Test a column of numbers. exact: neither side is a sketch."""
    if current.count < LEAST or reference.count < LEAST:
        return Found(1.0, enough=False)
    errors = [
        0.0 if exact or steps.count <= EXACT else RANK_ERROR for steps in (current, reference)
    ]
    noise = math.hypot(*errors)
    if len(reference.values) == 1:
        return _constant(current, reference)
    tests: dict[str, float] = {}
    effects: dict[str, float] = {}

    gap = distances.ecdf_gap(current, reference)
    tests["ks"] = ks_p(max(0.0, gap - 2.0 * noise), current.count, reference.count)
    effects["gap"] = gap
    tests["bins"] = bins_p(current, reference, noise)

    low, middle, high = reference.quantile([0.01, 0.5, 0.99])
    mean, mean_error = _clipped(current, low, high)
    mean_reference, error_reference = _clipped(reference, low, high)
    deviation = error_reference * math.sqrt(reference.count)
    apart, apart_error = _clipped(current, low, high, middle)
    apart_reference, apart_error_reference = _clipped(reference, low, high, middle)
    # a small window may lack the few large values that make the deviation of skewed columns: its own is too small then
    fewer = math.sqrt(reference.count / current.count)
    mean_error = max(mean_error, error_reference * fewer)
    apart_error = max(apart_error, apart_error_reference * fewer)
    tests["mean"] = _welch(
        mean - mean_reference, mean_error, error_reference, 2.0 * noise * deviation
    )
    tests["spread"] = _welch(
        apart - apart_reference, apart_error, apart_error_reference, 2.0 * noise * deviation
    )
    effects["shift"] = (mean - mean_reference) / deviation if deviation else 0.0
    effects["spread"] = apart / apart_reference - 1.0 if apart_reference else 0.0
    tests["tails"], effects["outside"] = _outside(current, reference, noise)
    return Found(cauchy_combination([*tests.values()]), tests, effects)


def ks_p(gap: float, count: int, count_reference: int) -> float:
    """Return the asymptotic p of the two-sample Kolmogorov-Smirnov test, with Stephens' correction (1970)."""
    root = math.sqrt(count * count_reference / (count + count_reference))
    return kolmogorov_tail(gap * (root + 0.12 + 0.11 / root))


def bins_p(current: Steps, reference: Steps, noise: float) -> float:
    """Return the p of a chi-square test of homogeneity on the reference's quantile bins.

    Each bin's difference is measured by its binomial variance plus that of two ranks in a sketch.
    """
    edges = distinct(reference.quantile(EDGES))
    ours, theirs = shares(current, edges), shares(reference, edges)
    n, m = current.count, reference.count
    pooled = (ours * n + theirs * m) / (n + m)
    # a bin that either side should see less often joins its neighbour; with the usual five, p below 1e-4 are too small
    keep = pooled * min(n, m) >= CELL
    if keep.sum() < 2:
        return 1.0
    groups = np.maximum(np.cumsum(keep) - 1, 0)
    ours, theirs, pooled = (np.bincount(groups, weights=part) for part in (ours, theirs, pooled))
    variance = pooled * (1.0 / n + 1.0 / m) + 2.0 * noise * noise
    return chi_square_tail(float(((ours - theirs) ** 2 / variance).sum()), len(pooled) - 1)


def shares(steps: Steps, edges: Floats) -> Floats:
    """Return the share of values in each bin that ends (inclusive) at an edge; the last bin is what is above."""
    return np.diff(np.concatenate(([0.0], steps.cdf(edges), [1.0])))


def detectable(count: int, count_reference: int, tests: int) -> float:
    """Return the shift of the mean, in standard deviations, that would be found 95 times of 100.

    With a normal mean and a level of 0.006 shared among `tests`: (z(1 - 0.003/tests) + 1.645) sqrt(1/n + 1/m).
    """
    return (_quantile(0.003 / max(1, tests)) + 1.645) * math.sqrt(
        1.0 / count + 1.0 / count_reference
    )


@functools.cache
def _quantile(tail: float) -> float:
    """Return z with P(Z > z) = tail, by bisection."""
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (middle, high) if normal_tail(middle) / 2.0 > tail else (low, middle)
    return low


def _clipped(
    steps: Steps, low: float, high: float, centre: float | None = None
) -> tuple[float, float]:
    """Return the mean of clipped values, or of their distances from a centre, and its standard error."""
    values = np.clip(steps.values, low, high)
    if centre is not None:
        values = np.abs(values - centre)
    weights = steps.weights
    mean = float((values * weights).sum())
    variance = float((weights * (values - mean) ** 2).sum())
    return mean, math.sqrt(variance / steps.count)


def _welch(difference: float, error: float, other: float, noise: float) -> float:
    spread = math.sqrt(error * error + other * other + noise * noise)
    if spread == 0.0:
        return 1.0 if difference == 0.0 else 0.0
    return normal_tail(difference / spread)


def _outside(current: Steps, reference: Steps, noise: float) -> tuple[float, float]:
    """Test whether more values than in the reference lie outside its 0.5 to 99.5 %; return p and how many times more.

    Of all values outside on both sides, ours are binomial with n / (n + m); what sketches may err is taken off first.
    """
    low, high = reference.quantile([0.005, 0.995])
    ours, theirs = (
        float(steps.below(low) + 1.0 - steps.cdf(high)) for steps in (current, reference)
    )
    n, m = current.count, reference.count
    if ours <= theirs:
        return 1.0, 0.0
    surely = round(max(0.0, ours - 2.0 * noise) * n)
    p = binomial_tail(surely, surely + round(theirs * m), n / (n + m))
    # the reference's own share is about 0.01; of columns with few values it can be 0
    return p, ours / max(theirs, 0.005)


def _constant(current: Steps, reference: Steps) -> Found:
    """Test a column that had one value: how much of it is something else now."""
    same = float(current.cdf(reference.values[0]) - current.below(reference.values[0]))
    # after m equal values at most about 3 / m of them are others (rule of three)
    p = binomial_tail(round((1.0 - same) * current.count), current.count, 3.0 / reference.count)
    return Found(p, {"constant": p}, {"gap": 1.0 - same})
