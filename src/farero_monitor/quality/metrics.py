"""SageMaker's model quality metrics from counts and sums, for one data set or for many resampled ones at a time.

Names as in "Model Quality Metrics" of SageMaker's Developer Guide. Every function takes arrays with any number of
leading axes (one entry a resample) and returns arrays of that shape. What cannot be computed is NaN, not 0: a window
without a single positive label has no recall, and a zero there would be an alarm about nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Metrics = Mapping[str, Floats]

#: Name → β of the F measures.
BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
#: Metrics of which less is better; of all others more is.
ERRORS = frozenset({"mae", "mse", "rmse", "false_positive_rate", "false_negative_rate"})
#: Metrics that say what another one says.
TWINS = {
    "true_positive_rate": "recall", "false_negative_rate": "recall",
    "true_negative_rate": "false_positive_rate", "mse": "rmse", "weighted_recall": "accuracy",
}  # fmt: skip
#: Metrics that a baseline promises, by problem type, in AWS's order.
PROMISED = {
    "Regression": ("mae", "mse", "rmse", "r2"),
    "BinaryClassification": (
        "recall", "precision", "accuracy", "true_positive_rate", "true_negative_rate",
        "false_positive_rate", "false_negative_rate", "auc", "f0_5", "f1", "f2",
    ),
    "MulticlassClassification": (
        "accuracy", "weighted_recall", "weighted_precision", "weighted_f0_5", "weighted_f1", "weighted_f2",
    ),
}  # fmt: skip


def different(names: Iterable[str]) -> int:
    """Return how many of some metrics are promised by baselines and say something of their own."""
    promised = {name for group in PROMISED.values() for name in group}
    return len({TWINS.get(name, name) for name in names if name in promised})


def regression(sums: Floats) -> Metrics:
    """Return mae, mse, rmse and r2.

    sums: (…, 5): rows, Σ|ŷ - y|, Σ(ŷ - y)², Σ(y - c), Σ(y - c)² for any constant c.

    r2 = 1 - Σ(ŷ - y)² / Σ(y - ȳ)²; of fewer than two rows, or labels that are all the same, it is NaN.
    """
    rows, absolute, square, shifted, shifted2 = np.moveaxis(sums, -1, 0)
    spread = shifted2 - _share(shifted * shifted, rows)
    # what rounding leaves of labels that are all the same
    spread = np.where(spread > 1e-12 * np.maximum(shifted2, 1e-300), spread, 0.0)
    mse = _share(square, rows)
    return {
        "mae": _share(absolute, rows), "mse": mse, "rmse": np.sqrt(mse),
        "r2": 1.0 - _share(square, spread),
    }  # fmt: skip


def binary(cells: Floats) -> Metrics:
    """Return the metrics of a confusion matrix.

    cells: (…, 4): counts of (label, prediction) = (0, 0), (0, 1), (1, 0), (1, 1).

    Precision without a positive prediction is 0 while there are positive labels (scikit-learn's zero_division=0).
    The best constant classifier always says 1, as AWS's example shows (its accuracy is the share of positives).
    """
    tn, fp, fn, tp = np.moveaxis(np.asarray(cells, np.float64), -1, 0)
    positives, negatives = tp + fn, tn + fp
    recall, fallout = _share(tp, positives), _share(fp, negatives)
    precision = _share(tp, tp + fp)
    precision = np.where((tp + fp == 0) & (positives > 0), 0.0, precision)
    prevalence = _share(positives, positives + negatives)
    found = {
        "recall": recall, "precision": precision,
        "accuracy": _share(tp + tn, positives + negatives),
        "recall_best_constant_classifier": np.where(positives > 0, 1.0, np.nan),
        "precision_best_constant_classifier": prevalence,
        "accuracy_best_constant_classifier": prevalence,
        "true_positive_rate": recall, "true_negative_rate": 1.0 - fallout,
        "false_positive_rate": fallout, "false_negative_rate": 1.0 - recall,
    }  # fmt: skip
    for name, beta in BETAS.items():
        both = (1 + beta**2) * tp
        found[name] = _share(both, both + beta**2 * fn + fp)
    return found | {
        f"{name}_best_constant_classifier": _f_of_constant(prevalence, beta)
        for name, beta in BETAS.items()
    }


def ranking(counts: Floats) -> Metrics:
    """Return auc and au_prc of scores.

    counts: (…, scores, 2): labels 0 and 1 at each score, scores ascending.

    auc: chance that a positive row scores above a negative one, ties half (Mann and Whitney 1947). au_prc: average
    precision Σ (Rₖ - Rₖ₋₁) Pₖ from the highest score down, which does not interpolate between points (Davis and
    Goadrich 2006). NaN if one of the labels is absent.
    """
    negative, positive = counts[..., 0], counts[..., 1]
    below = np.cumsum(negative, -1) - negative / 2
    all_negative, all_positive = negative.sum(-1), positive.sum(-1)
    pairs = all_negative * all_positive
    auc = _share((positive * below).sum(-1), pairs)
    hits = np.cumsum(positive[..., ::-1], -1)
    rows = np.cumsum((positive + negative)[..., ::-1], -1)
    precision = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    average = _share((positive[..., ::-1] * precision).sum(-1), all_positive)
    return {"auc": auc, "au_prc": np.where(all_negative > 0, average, np.nan)}


def multiclass(right: Floats, labelled: Floats, predicted: Floats, constant: int) -> Metrics:
    """Return accuracy and the metrics weighted by how often each label is.

    right, labelled, predicted: (…, labels): rows where both agree, rows with the label, rows predicted so. constant:
    the label that the best constant classifier says, which is the most frequent one.

    Precision of a label that is never predicted is 0. (AWS's example takes the rarer of two labels as the constant.)
    """
    rows = labelled.sum(-1)
    weight = _share(labelled, rows[..., None])
    recall = _share(right, labelled)
    precision = np.where(predicted == 0, 0.0, _share(right, predicted))
    found: dict[str, Any] = {
        "accuracy": _share(right.sum(-1), rows),
        "weighted_recall": _weighted(weight, recall),
        "weighted_precision": _weighted(weight, precision),
    }
    for name, beta in BETAS.items():
        f = _share((1 + beta**2) * right, beta**2 * labelled + predicted)
        found[f"weighted_{name}"] = _weighted(weight, f)
    p = weight[..., constant]
    found |= {
        "accuracy_best_constant_classifier": p,
        "weighted_recall_best_constant_classifier": p,
        "weighted_precision_best_constant_classifier": p * p,
    }
    for name, beta in BETAS.items():
        found[f"weighted_{name}_best_constant_classifier"] = p * _f_of_constant(p, beta)
    return found


def curves(counts: Floats, most: int = 1000) -> dict[str, Any]:
    """Return the ROC and the precision-recall curve as `statistics.json` has them; nothing without both labels.

    counts: (scores, 2), scores ascending; most: points of a curve (as Spark's `numBins`).
    """
    hits, alarms = np.cumsum(counts[::-1, 1]), np.cumsum(counts[::-1, 0])
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return {}
    if len(hits) > most:
        kept = np.unique(np.linspace(0, len(hits) - 1, most).round().astype(int))
        hits, alarms = hits[kept], alarms[kept]
    precisions = hits / (hits + alarms)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": [0.0, *(alarms / alarms[-1]).tolist()],
            "true_positive_rates": [0.0, *(hits / hits[-1]).tolist()],
        },
        "precision_recall_curve": {
            "precisions": [float(precisions[0]), *precisions.tolist()],
            "recalls": [0.0, *(hits / hits[-1]).tolist()],
        },
    }


def _share(part: Any, whole: Any) -> Any:
    """Return part / whole; NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    empty: Any = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=empty, where=whole != 0)


def _weighted(weight: Floats, values: Floats) -> Any:
    """Return the mean over labels; one that no row has does not count, whatever its value."""
    return np.where(weight > 0, weight * np.nan_to_num(values), 0.0 * weight).sum(-1)


def _f_of_constant(share: Any, beta: float) -> Any:
    """Return F_β of a classifier that always says one label: precision is the label's share, recall 1."""
    return _share((1 + beta**2) * share, beta**2 * np.asarray(share) + 1.0)
