"""The metrics of labelled predictions, each with SageMaker's standard deviation and a confidence band of its own.

`standard_deviation` is SageMaker's: over five random samples of 80 % of the rows, from 200 rows on ("Model Quality
Metrics"). As such samples overlap it is about half of the true sampling error, so it is only reported. The band is the
percentile bootstrap's (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13), and it decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from farero_monitor.quality.metrics import different

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farero_monitor.quality.metrics import Floats
    from farero_monitor.quality.tallies import Tally

#: Rows from which on there is a standard deviation.
DEVIATION_ROWS = 200
DEVIATION_RUNS = 5
#: Samples of the bootstrap.
SAMPLES = 2_000
#: Level of the band that people see.
SHOWN = 0.95
#: Chance that any metric of a model that did not change is called worse or better: it is shared out among them.
FAMILY = 0.015
#: Fewer rows say nothing.
LEAST_ROWS = 50
#: How much worse matters: absolute, of a share; a part of the baseline's, of an error in the label's own unit.
LEAST_SHARE, LEAST_ERROR = 0.01, 0.05
SEED = 20_240

State = Literal["worse", "better", "same", "not enough data"]


@dataclass(frozen=True, slots=True)
class Band:
    """An interval that holds the true value with some certainty."""

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether it could be computed."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(slots=True)
class Measured:
    """One metric."""

    name: str
    value: float
    #: SageMaker's; NaN below 200 rows.
    deviation: float = math.nan
    #: At 95 % for people, at what `sure` says for the verdict.
    shown: Band = field(default_factory=lambda: Band(math.nan, math.nan))
    sure: Band = field(default_factory=lambda: Band(math.nan, math.nan))


def measure(tally: Tally, seed: int = SEED) -> dict[str, Measured]:
    """Return each metric of a tally's rows; the same rows in the same order give the same figures."""
    found = {name: Measured(name, float(value)) for name, value in tally.metrics().items()}
    if tally.rows < 2:
        return found
    rng = np.random.default_rng([seed, tally.rows])
    if tally.rows >= DEVIATION_ROWS:
        for name, values in tally.resample(rng, DEVIATION_RUNS, "part").items():
            found[name].deviation = float(np.std(values))
    supports, certain = tally.supports(), sure(found)
    for name, values in tally.resample(rng, SAMPLES, "bootstrap").items():
        one, rows = found[name], supports.get(name)
        one.shown, one.sure = (
            _at_the_end(one.value, _band(values, level), rows, level) for level in (SHOWN, certain)
        )
    return found


def sure(names: Iterable[str]) -> float:
    """Return the level of each metric's band at which together they are wrong as rarely as FAMILY says.

    99.5 % of the three different metrics of a regression, 99.7 % of five of several classes, 99.8 % of eight of two.
    Source: Bonferroni's inequality.
    """
    return 1 - FAMILY / max(3, different(names))


def _at_the_end(value: float, band: Band, rows: int | None, level: float) -> Band:
    """Widen the band of a share that is 0 or 1: samples of the same rows never show anything else.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934): of n rows without a
    hit the share is at most 1 - a^(1/n), a half of what the level leaves.
    """
    if rows == 0:
        return Band(math.nan, math.nan)  # precision, where nothing was predicted positive
    if rows is None or not band.known or value not in {0.0, 1.0}:
        return band
    reach = 1 - ((1 - level) / 2) ** (1 / rows)
    return (
        Band(band.low, max(band.high, reach))
        if value == 0
        else Band(min(band.low, 1 - reach), band.high)
    )


def _band(values: Floats, level: float) -> Band:
    known = values[np.isfinite(values)]
    # a label so rare that one sample in ten misses it: the others say too little
    if len(known) < 0.9 * len(values):
        return Band(math.nan, math.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Band(float(low), float(high))


def difference(value: float, band: Band, than: float, its: Band | None) -> Band:
    """Return the band of `value - than`, of two independent estimates.

    its: the band of `than`; None if that is known exactly.

    Source: Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27 (2008),
    their method of variance estimates recovery: L = d - √((v - l₁)² + (u₂ - t)²), U = d + √((u₁ - v)² + (t - l₂)²).
    """
    below, above = (0.0, 0.0) if its is None or not its.known else (than - its.low, its.high - than)
    moved = value - than
    return Band(
        moved - math.hypot(value - band.low, above), moved + math.hypot(band.high - value, below)
    )


def compare(
    found: Measured, rows: int, threshold: float, operator: str, its: Band | None = None
) -> tuple[State, Band]:
    """Tell whether a metric is worse than a threshold beyond chance and by enough to matter; and the difference's band.

    its: the band of the threshold, where that was measured on a baseline.
    """
    if rows < LEAST_ROWS or not found.sure.known:
        return "not enough data", Band(math.nan, math.nan)
    gap = difference(found.value, found.sure, threshold, its)
    less_is_better = operator == "GreaterThanThreshold"
    matters = least(found.name, threshold)
    moved = found.value - threshold
    worse, better = (gap.low > 0, gap.high < 0) if less_is_better else (gap.high < 0, gap.low > 0)
    if abs(moved) < matters:
        return "same", gap
    return ("worse" if worse else "better" if better else "same"), gap


def least(name: str, threshold: float) -> float:
    """Return from when on a change of a metric matters."""
    return LEAST_ERROR * abs(threshold) if name in {"mae", "mse", "rmse"} else LEAST_SHARE
