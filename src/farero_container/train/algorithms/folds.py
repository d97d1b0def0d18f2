"""Cross-validation: `_kfold` models a round, `_num_cv_round` rounds, and what each row was predicted while left out.

Facts: sagemaker-xgboost-container's `train_job` and `ValidationPredictionRecorder`: rows of both channels together,
folds stratified for classification, models `xgboost-model-0` and on, `predictions.csv` with label and mean prediction,
for classification label, mean probability and most frequent class. As documented there the scores of a fold are those
of its own rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.train.algorithms.boosting import line
from farero_container.train.hyperparameters import BadHyperparameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from farero_container.train.algorithms.boosting import Run

    Rows = NDArray[np.int64]
    Floats = NDArray[np.float64]


def cross_validate(run: Run, matrix: Any, predictions: Path) -> list[Any]:
    """Return the model of each fold of each round; writes `predictions`. Raises BadData or StartUpError."""
    folds, rounds = int(str(run.values["_kfold"])), int(str(run.values.get("_num_cv_round", 1)))
    labels = np.asarray(matrix.get_label())
    is_classes = str(run.params.get("objective", "")).startswith(("binary:", "multi:"))
    if folds > len(labels):
        raise BadHyperparameter(f"Hyperparameter _kfold: {folds} folds of {len(labels)} rows")
    print(
        f"Run {rounds}-round of {folds}-fold cross validation with {len(labels)} rows", flush=True
    )
    random = np.random.default_rng(abs(int(str(run.values.get("seed", 0)))))
    left_out = LeftOut(len(labels), rounds, str(run.params.get("objective", "")))
    boosters: list[Any] = []
    scores: list[dict[str, Any]] = []
    for turn in range(rounds):
        for number, rows in enumerate(
            split(labels if is_classes else None, len(labels), folds, random)
        ):
            print(f"Train cross validation fold {number + 1}", flush=True)
            others = np.setdiff1d(np.arange(len(labels)), rows)
            fold = {"train": matrix.slice(others), "validation": matrix.slice(rows)}
            scores.append({})
            boosters.append(run.boost(fold, scores[-1]))
            left_out.record(turn, rows, boosters[-1].predict(fold["validation"]))
            if run.stop.came:
                return boosters
        print(f"The metrics of round {turn + 1} cross validation", flush=True)
        print(_mean_line(run, scores[-folds:]), flush=True)
    if rounds > 1:
        print(f"The overall metrics of {rounds}-round cross validation", flush=True)
        print(_mean_line(run, scores), flush=True)
    left_out.write(labels, predictions)
    return boosters


def split(
    labels: NDArray[Any] | None, rows: int, folds: int, random: np.random.Generator
) -> Iterator[Rows]:
    """Yield the rows of each fold, at random; with labels, each fold has its share of every class.

    Each row is in one fold, and folds differ by one row at most, with labels by one row of each class.
    """
    groups = [np.arange(rows)]
    if labels is not None:
        groups = [np.flatnonzero(labels == value) for value in np.unique(labels)]
    dealt = np.empty(rows, np.int64)
    start = 0
    for group in groups:
        # Where one class stopped the next goes on, so that small classes do not all fill the first folds.
        dealt[random.permutation(group)] = (start + np.arange(len(group))) % folds
        start += len(group)
    for number in range(folds):
        yield np.flatnonzero(dealt == number)


class LeftOut:
    """What each row was predicted by the models that had not seen it, once a round."""

    def __init__(self, rows: int, rounds: int, objective: str) -> None:
        self._objective = objective
        self._scores: Floats = np.zeros((rows, rounds))
        self._classes: Floats = np.zeros((rows, rounds))

    def record(self, turn: int, rows: Rows, predicted: NDArray[Any]) -> None:
        """Keep one fold's predictions: scores, or for many classes a probability each."""
        if predicted.ndim > 1:
            self._classes[rows, turn] = predicted.argmax(axis=1)
            self._scores[rows, turn] = predicted.max(axis=1)
            return
        self._scores[rows, turn] = predicted
        threshold = 0.0 if self._objective == "binary:logitraw" else 0.5
        is_class = self._objective == "multi:softmax"
        self._classes[rows, turn] = predicted if is_class else predicted > threshold

    def write(self, labels: NDArray[Any], path: Path) -> None:
        """Write `label,mean prediction`, for classes `label,mean probability,most frequent class`."""
        columns = [labels, self._scores.mean(axis=1)]
        if self._objective.startswith(("binary:", "multi:")):
            columns.append(np.array([_mode(row) for row in self._classes]))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, np.column_stack(columns), delimiter=",", fmt="%f")


def _mode(values: Floats) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def _mean_line(run: Run, scores: list[dict[str, Any]]) -> str:
    """Return the mean of every metric's last value, under the number of rounds, as AWS prints it."""
    means: list[tuple[str, float]] = [
        (f"{data}-{name}", float(np.mean([fold[data][name][-1] for fold in scores])))
        for name in scores[0]["train"]
        for data in _named(scores[0])
    ]
    return line(int(str(run.values["num_round"])), means)


def _named(scores: Mapping[str, Any]) -> list[str]:
    return [name for name in ("train", "validation") if name in scores]
