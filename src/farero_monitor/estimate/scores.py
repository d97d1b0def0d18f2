"""Metrics of answers, of labels that are known and of labels of which only the probabilities are.

The same formulas serve both: y is 0 or 1, or the probability of 1. Expected true positives are the sum of y over the
rows that were told positive, and so on; for ROC AUC the expected number of concordant pairs by the number of pairs.
Source: Kivimaki, Bialek, Nurminen, Kuberski, "Confidence-based Estimators for Predictive Performance in Model
Monitoring", JAIR 82, 2025 (CBPE); the AUC is Mann and Whitney's U with mid-ranks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farero_monitor.drift.pairs import ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from farero_monitor.profile.sketch import Floats

    Rows = NDArray[np.int64]

#: Groups of a jackknife for the variance that rows bring.
GROUPS = 50

NAMES = ("roc_auc", "accuracy", "precision", "recall", "f1")


class Answers:
    """What a model answered, of one class or of several: scores and told classes."""

    def __init__(self, scores: Floats, told: Floats) -> None:
        """Take scores and told (0 or 1), each of shape (rows, classes); one class means the positive one of two."""
        self.scores, self.told = scores, told
        self.rows, self.classes = scores.shape
        self._ranks = np.column_stack([ranks(column) for column in scores.T]) - 0.5

    def measure(self, y: Floats) -> dict[str, Floats]:
        """Return each metric for one or many labellings; y: (labellings, rows, classes) -> (labellings,).

        Several classes: the mean of what each has against the rest. NaN where a metric has no meaning.
        """
        each: dict[str, list[Floats]] = {name: [] for name in NAMES}
        right = np.zeros(len(y))
        for k in range(self.classes):
            mine = y[:, :, k]
            ones = mine.sum(axis=1)
            hits, told = mine @ self.told[:, k], float(self.told[:, k].sum())
            right += hits if self.classes > 1 else self.rows - told - ones + 2 * hits
            each["roc_auc"].append(area(mine, self._ranks[:, k]))
            each["precision"].append(_part(hits, np.full(len(y), told)))
            each["recall"].append(_part(hits, ones))
            each["f1"].append(_part(2 * hits, told + ones))
        each["accuracy"].append(right / self.rows)
        return {name: np.mean(found, axis=0) for name, found in each.items()}

    def confusion(self, y: Floats) -> list[list[float]]:
        """Return the share of rows by true class (outer) and told class; y: (rows, classes)."""
        told = self.told
        if self.classes == 1:
            y, told = np.hstack([1 - y, y]), np.hstack([1 - told, told])
        return (y.T @ told / self.rows).tolist()

    def part(self, rows: Rows) -> Answers:
        """Return the answers of some rows."""
        return Answers(self.scores[rows], self.told[rows])


def area(y: Floats, middles: Floats) -> Floats:
    """Return the ROC AUC of each labelling: concordant pairs of different rows by all such pairs.

    y: (labellings, rows); middles: mid-ranks less a half, (rows,). sum_ij y_i (1 - y_j) T_ij with T = 1, 1/2, 0 for a
    score above, equal, below is y.middles - Y^2 / 2; a row with itself, y (1 - y) / 2, is no pair.
    """
    ones = y.sum(axis=1)
    itself = ones - (y * y).sum(axis=1)
    return _part(y @ middles - ones**2 / 2 - itself / 2, ones * (y.shape[1] - ones) - itself)


def jackknife(rows: int, measure: Callable[[Rows], dict[str, float]]) -> dict[str, float]:
    """Return the variance of metrics over rows, each group left out once: (g - 1) / g sum (t - mean t)^2.

    measure: from the numbers of rows to the metrics. Source: Shao and Wu, "A general theory for jackknife variance
    estimation", Annals of Statistics 17, 1989.
    """
    group = np.random.default_rng(0).permutation(rows) % GROUPS
    found = [measure(np.flatnonzero(group != left)) for left in range(min(GROUPS, rows))]
    return {
        name: spread(np.array([one[name] for one in found])) for name in (found[0] if found else {})
    }


def spread(values: Floats) -> float:
    """Return the jackknife's variance of values that each lack one group."""
    return float((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum())


def _part(number: Floats, of: Floats) -> Floats:
    return np.divide(number, of, out=np.full(len(number), np.nan), where=of > 0)
