"""The evaluation metrics that SageMaker adds to XGBoost's own, in NumPy.

Facts: sagemaker-xgboost-container's `metrics/custom_metrics.py`, which calls scikit-learn; definitions as there,
averages over the classes that occur in labels or predictions, 0 where a ratio has no denominator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]


def custom(
    names: list[str], objective: str
) -> Callable[[Array, Any], list[tuple[str, float]]] | None:
    """Return XGBoost's custom metric that computes `names`, None if there are none to compute."""
    wanted = [name for name in names if name in METRICS]
    if not wanted:
        return None

    def compute(scores: Array, matrix: Any) -> list[tuple[str, float]]:
        labels = matrix.get_label()
        return [(name, METRICS[name](labels, _shaped(name, scores, objective))) for name in wanted]

    return compute


def _shaped(name: str, scores: Array, objective: str) -> Array:
    if name in ("mse", "r2"):
        return scores
    if scores.ndim == 2:
        return scores.argmax(axis=1)
    if objective.startswith("multi:"):
        return scores
    threshold = 0.0 if objective == "binary:logitraw" else 0.5
    return (scores > threshold).astype(np.float64)


def accuracy(labels: Array, classes: Array) -> float:
    """Share of rows whose class is right."""
    return float((labels == classes).mean())


def balanced_accuracy(labels: Array, classes: Array) -> float:
    """Mean recall of the classes that occur in the labels."""
    right, _, actual = _counts(labels, classes)
    return float((right[actual > 0] / actual[actual > 0]).mean())


def mse(labels: Array, scores: Array) -> float:
    """Mean squared error."""
    return float(np.mean((labels.astype(np.float64) - scores) ** 2))


def r2(labels: Array, scores: Array) -> float:
    """Coefficient of determination; 0 for constant labels that were not met, 1 if they were."""
    wide = labels.astype(np.float64)
    residual, total = np.sum((wide - scores) ** 2), np.sum((wide - wide.mean()) ** 2)
    if total == 0:
        return float(residual == 0)
    return float(1 - residual / total)


def _counts(labels: Array, classes: Array) -> tuple[Array, Array, Array]:
    """True positives, predicted and actual members of each class."""
    values = np.union1d(labels, classes)
    right = np.array([np.sum((labels == v) & (classes == v)) for v in values], dtype=np.float64)
    predicted = np.array([np.sum(classes == v) for v in values], dtype=np.float64)
    actual = np.array([np.sum(labels == v) for v in values], dtype=np.float64)
    return right, predicted, actual


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _precision(labels: Array, classes: Array) -> float:
    right, predicted, _ = _counts(labels, classes)
    return float(_ratio(right, predicted).mean())


def _recall(labels: Array, classes: Array) -> float:
    right, _, actual = _counts(labels, classes)
    return float(_ratio(right, actual).mean())


def _f1(labels: Array, classes: Array) -> float:
    right, predicted, actual = _counts(labels, classes)
    return float(_ratio(2 * right, predicted + actual).mean())


def _of_positives(measure: str) -> Callable[[Array, Array], float]:
    def compute(labels: Array, classes: Array) -> float:
        right = float(np.sum((labels == 1) & (classes == 1)))
        predicted, actual = float(np.sum(classes == 1)), float(np.sum(labels == 1))
        below = {"precision": predicted, "recall": actual, "f1": (predicted + actual) / 2}[measure]
        return right / below if below else 0.0

    return compute


METRICS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "mse": mse,
    "r2": r2,
    "f1": _f1,
    "f1_macro": _f1,
    "f1_binary": _of_positives("f1"),
    "precision": _of_positives("precision"),
    "precision_macro": _precision,
    "precision_micro": accuracy,
    "recall": _of_positives("recall"),
    "recall_macro": _recall,
    "recall_micro": accuracy,
}
