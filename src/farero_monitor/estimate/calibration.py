"""Probabilities that mean what they say: of the rows with 0.8, eight of ten are of the class.

Three ways are tried on rows that were held out and the one with the smallest loss is kept: as they are, Platt's two
numbers ("Probabilistic outputs for support vector machines", 1999), and isotonic regression by pooling adjacent
violators (Ayer et al., 1955; Zadrozny and Elkan, KDD 2002). The simpler one wins unless the other is surely better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farero_monitor.profile.sketch import Floats

    Folds = NDArray[np.int64]

Way = Literal["as is", "platt", "isotonic"]
WAYS: tuple[Way, ...] = ("as is", "platt", "isotonic")
#: No estimate is surer than this.
LEAST = 1e-5
#: Standard errors by which a less simple way must be better.
SURELY = 1.0
FOLDS = 10
_BINS = 2000


@dataclass(slots=True)
class Calibrator:
    """A rising function from scores to probabilities."""

    way: Way
    #: Platt: log odds = slope * log odds of the score + shift.
    slope: float = 1.0
    shift: float = 0.0
    #: Isotonic: probabilities at these scores, straight lines between.
    scores: list[float] = field(default_factory=list[float])
    shares: list[float] = field(default_factory=list[float])

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities of scores from 0 to 1."""
        if self.way == "platt":
            return expit(self.slope * logit(scores) + self.shift)
        made = np.interp(scores, self.scores, self.shares) if self.scores else scores
        return np.clip(made, LEAST, 1 - LEAST)

    def to_state(self) -> list[Any]:
        """Return what `Calibrator(*state)` takes."""
        return [self.way, self.slope, self.shift, self.scores, self.shares]


def fit(way: Way, scores: Floats, labels: Floats) -> Calibrator:
    """Learn a calibrator from scores (0 to 1) and labels (0 or 1), each of shape (rows,)."""
    if way == "platt":
        return _platt(scores, labels)
    return _isotonic(scores, labels) if way == "isotonic" else Calibrator(way)


def choose(scores: Floats, labels: Floats, folds: Folds) -> Way:
    """Return the way with the smallest loss on held-out rows; folds: the number of each row's part, shape (rows,)."""
    best, best_losses = WAYS[0], log_loss(np.clip(scores, LEAST, 1 - LEAST), labels)
    for way in WAYS[1:]:
        losses = log_loss(held_out(way, scores, labels, folds), labels)
        gain = best_losses - losses
        if gain.mean() > SURELY * gain.std() / math.sqrt(len(gain)):
            best, best_losses = way, losses
    return best


def held_out(way: Way, scores: Floats, labels: Floats, folds: Folds) -> Floats:
    """Return the probability of each row by a calibrator that has not seen its part."""
    made = np.empty(len(scores))
    for fold in np.unique(folds):
        out = folds == fold
        made[out] = fit(way, scores[~out], labels[~out])(scores[out])
    return made


def log_loss(p: Floats, labels: Floats) -> Floats:
    """Return -log of the probability that each row's label had."""
    return -np.log(np.where(labels > 0, p, 1 - p))


def logit(p: Floats) -> Floats:
    """Return the log odds; of 0 and 1 those of one in a hundred thousand."""
    p = np.clip(p, LEAST, 1 - LEAST)
    return np.log(p / (1 - p))


def expit(x: Floats) -> Floats:
    """Return the probability of log odds."""
    return np.clip(1.0 / (1.0 + np.exp(-np.clip(x, -30, 30))), LEAST, 1 - LEAST)


def _platt(scores: Floats, labels: Floats) -> Calibrator:
    """Newton's method on two numbers; labels are smoothed as Platt does, so that perfect ones do not run away."""
    ones = float(labels.sum())
    high, low = (ones + 1) / (ones + 2), 1 / (len(labels) - ones + 2)
    wanted: Floats = np.where(labels > 0, high, low)
    rows, w = np.column_stack([logit(scores), np.ones(len(scores))]), np.array([1.0, 0.0])
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-np.clip(rows @ w, -30, 30)))
        curve = rows.T @ (rows * np.maximum(p * (1 - p), 1e-9)[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, rows.T @ (wanted - p))
        w = w + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return Calibrator("platt", max(float(w[0]), 1e-3), float(w[1]))


def _isotonic(scores: Floats, labels: Floats) -> Calibrator:
    order = np.argsort(scores, kind="stable")
    # neighbours share a bin first: the work of pooling stays bounded, and less is noise
    starts = np.unique(np.arange(_BINS) * len(order) // _BINS)
    sizes = np.diff(np.append(starts, len(order))).astype(np.float64)
    sums = np.add.reduceat(scores[order], starts)
    shares, weights = pool(np.add.reduceat(labels[order], starts) / sizes, sizes)
    ends = np.searchsorted(np.cumsum(sizes), np.cumsum(weights) - 0.5)
    totals = np.add.reduceat(sums, np.concatenate(([0], ends[:-1] + 1)))
    return Calibrator("isotonic", scores=(totals / weights).tolist(), shares=shares.tolist())


def pool(means: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Pool adjacent violators: return the rising block means closest to `means` in squares, and their weights."""
    values: list[float] = []
    sizes: list[float] = []
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        values.append(mean)
        sizes.append(weight)
        while len(values) > 1 and values[-2] >= values[-1]:
            value, size = values.pop(), sizes.pop()
            total = sizes[-1] + size
            values[-1] = (values[-1] * sizes[-1] + value * size) / total
            sizes[-1] = total
    return np.array(values), np.array(sizes)
