"""CBPE: the quality of a classifier's answers from its own probabilities, calibrated on a labelled reference.

It assumes that a row of the same features still has the same chance of each class (covariate shift). Where that changed
(concept drift) no estimate without labels can tell. Source: see `scores`; NannyML made the method known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.estimate import heads, wobble
from farero_monitor.estimate.binning import values
from farero_monitor.estimate.figures import Estimated, figure
from farero_monitor.estimate.heads import Head
from farero_monitor.estimate.labelled import (
    LEAST,
    LEAST_OF_CLASS,
    MOST_CLASSES,
    Labelled,
    LabelsError,
    texts,
)
from farero_monitor.estimate.scores import Answers, jackknife, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farero_monitor.estimate.binning import Bins
    from farero_monitor.profile.sketch import Floats

#: Labellings drawn for the variance that labels bring, and how many at once.
DRAWS, AT_ONCE = 200, 25
#: Rows of a window of which something is said.
LEAST_ROWS = 200


@dataclass(slots=True)
class Classes:
    """What is kept of a labelled reference of a classifier."""

    #: Of two classes the negative one first.
    classes: list[str]
    prediction: str
    #: Of two classes: told positive from here on; None where that is not how the model tells.
    threshold: float | None
    heads: list[Head]
    reference: dict[str, float]
    #: Variance of each metric times rows, labels and rows both by chance.
    unit: dict[str, float]
    rows: int
    #: Variance of each metric between stretches of the reference, beyond chance.
    wobble: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def needed(self) -> list[str]:
        """The columns without which nothing is estimated."""
        return [head.column for head in self.heads]

    @property
    def binary(self) -> bool:
        """Whether there are two classes, of which one has a probability."""
        return len(self.heads) == 1

    def estimate(self, table: Any, bins: Bins, window_rows: int) -> Estimated:
        """Return the estimated quality. table: a sample of the window's rows as texts; bins: their features."""
        made = Estimated("CBPE", "binary" if self.binary else "multiclass", 0, window_rows)
        made.way = self.heads[0].whole.calibrator.way
        if any(head.whole.features is not None for head in self.heads):
            made.way += ", corrected by the features"
        if absent := [h.column for h in self.heads if h.column not in table.column_names]:
            made.reason = f"The window has no column {absent[0]!r} with the model's probabilities."
            return made
        scores = np.column_stack([values(table.column(h.column), strict=False) for h in self.heads])
        there = ((scores >= 0) & (scores <= 1)).all(axis=1)
        told = self.told(table, scores)
        if told is None:
            made.reason = f"The window has no column {self.prediction!r} with the model's answers."
            return made
        made.rows = int(there.sum())
        if made.rows < LEAST_ROWS:
            made.reason = f"{made.rows} rows with probabilities say nothing about quality yet."
            return made
        scores, bins = scores[there], bins[there]
        answers = Answers(scores, told[there])
        p = self._probabilities(scores, bins, None)
        made.classes, made.confusion_matrix = self.classes, answers.confusion(p)
        self._figures(made, answers, p, scores, bins)
        return made

    def _figures(
        self, made: Estimated, answers: Answers, p: Floats, scores: Floats, bins: Bins
    ) -> None:
        rows, share = made.rows, min(1.0, made.rows / made.window_rows)
        found = _first(answers.measure(p[None]))
        others = [
            _first(answers.measure(self._probabilities(scores, bins, part)[None]))
            for part in range(heads.FOLDS)
        ]
        labels = label_variance(answers, p)
        drawn = dict.fromkeys(found, 0.0)
        if share < 1.0:
            drawn = jackknife(
                rows, lambda chosen: _first(answers.part(chosen).measure(p[None, chosen]))
            )
        for name, value in found.items():
            own = heads.FEW * spread(np.array([other[name] for other in others]))
            error = math.sqrt(
                labels[name] * share + drawn[name] * (1 - share) + own + self.wobble.get(name, 0.0)
            )
            sampling = math.sqrt(self.unit[name] / rows + self.unit[name] / self.rows)
            sampling = max(sampling, 1.0 / min(rows, self.rows))
            told = figure(name, value, self.reference[name], error=error, sampling=sampling)
            if told is not None:
                made.figures[name] = told

    def _probabilities(self, scores: Floats, bins: Bins, part: int | None) -> Floats:
        """Return the probability of each class, (rows, classes); by all rows, or all but a part of the reference."""
        made = np.column_stack([
            (head.whole if part is None else head.parts[part])(scores[:, k], bins)
            for k, head in enumerate(self.heads)
        ])  # fmt: skip
        return made if self.binary else made / made.sum(axis=1, keepdims=True)

    def told(self, table: Any, scores: Floats) -> Floats | None:
        """Return the told classes as 0 and 1, (rows, classes); None if they cannot be known."""
        if self.prediction in table.column_names:
            return one_hot(texts(table.column(self.prediction)), self.classes, binary=self.binary)
        if not self.binary:
            return (scores == scores.max(axis=1, keepdims=True)).astype(np.float64)
        return None if self.threshold is None else (scores >= self.threshold).astype(np.float64)

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        return {
            "classes": self.classes, "prediction": self.prediction, "threshold": self.threshold,
            "heads": [head.to_state() for head in self.heads], "reference": self.reference,
            "unit": self.unit, "rows": self.rows, "wobble": self.wobble,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Classes:
        """Read what `to_state` wrote."""
        heads: Any = [Head.from_state(head) for head in state["heads"]]
        return cls(**(state | {"heads": heads}))


def learn(table: Any, bins: Bins, labelled: Labelled) -> Classes:
    """Learn from a labelled sample, a table of texts; bins: its features. Raises LabelsError."""
    labels = texts(table.column(labelled.target))
    found = dict(labelled.probability)
    scores = np.column_stack([values(table.column(name), strict=False) for name in found.values()])
    there = np.array([label is not None for label in labels]) & np.isfinite(scores).all(axis=1)
    if ((scores[there] < 0) | (scores[there] > 1)).any():
        raise LabelsError(
            f"{', '.join(found.values())}: a probability is a number from 0 to 1; others are there."
        )
    table = table.filter(there)
    labels, scores, bins = labels[there], scores[there], bins[there]
    classes = _classes(labels, scores, [*found])
    binary = len(found) == 1
    y = one_hot(labels, classes, binary=binary)
    made = Classes(classes, labelled.prediction, 0.5, [], {}, {}, len(labels))
    if labelled.prediction and binary:
        told = one_hot(texts(table.column(labelled.prediction)), classes, binary=True)
        made.threshold = _threshold(scores[:, 0], told[:, 0])
    made.heads = [
        heads.learn(name, scores[:, k], y[:, k], bins) for k, name in enumerate(found.values())
    ]
    told = made.told(table, scores)
    assert told is not None
    answers = Answers(scores, told)
    made.reference = _first(answers.measure(y[None]))
    variance = jackknife(len(y), lambda rows: _first(answers.part(rows).measure(y[None, rows])))
    made.unit = {name: value * len(y) for name, value in variance.items()}
    made.wobble = _wobble(made, answers, y, bins)
    return made


def _wobble(made: Classes, answers: Answers, y: Floats, bins: Bins) -> dict[str, float]:
    """Return the variance of metrics between stretches of the reference, each row told by what has not seen it."""
    p = np.empty_like(y)
    for k, head in enumerate(made.heads):
        for part, out in enumerate(heads.parts(len(y))):
            p[out, k] = head.parts[part](answers.scores[out, k], bins[out])
    if not made.binary:
        p /= p.sum(axis=1, keepdims=True)
    off: dict[str, list[float]] = {}
    chance: dict[str, list[float]] = {}
    for rows in wobble.stretches(len(y)):
        there = answers.part(np.array(range(rows.start, rows.stop), np.int64))
        told, true = _first(there.measure(p[None, rows])), _first(there.measure(y[None, rows]))
        labels = label_variance(there, p[rows])
        for name in told:
            off.setdefault(name, []).append(told[name] - true[name])
            chance.setdefault(name, []).append(labels[name])
    return {name: wobble.variance(np.array(off[name]), np.array(chance[name])) for name in off}


def label_variance(answers: Answers, p: Floats) -> dict[str, float]:
    """Return the variance of metrics over labels drawn with the probabilities p, (rows, classes)."""
    random = np.random.default_rng(2)
    found: list[dict[str, Floats]] = []
    for _ in range(DRAWS // AT_ONCE):
        drawn = random.random((AT_ONCE, len(p), 1))
        if p.shape[1] == 1:
            y = (drawn < p).astype(np.float64)
        else:
            ends = np.cumsum(p, axis=1)
            y = ((drawn < ends) & (drawn >= ends - p)).astype(np.float64)
        found.append(answers.measure(y))
    return {name: _variance(np.concatenate([f[name] for f in found])) for name in found[0]}


def _variance(values: Floats) -> float:
    """Return the variance of values that have a meaning; NaN if there are none."""
    known = values[np.isfinite(values)]
    return float(known.var()) if len(known) else math.nan


def one_hot(labels: NDArray[np.object_], classes: list[str], *, binary: bool) -> Floats:
    """Return labels as 0 and 1, (rows, classes); of two classes only the second one's."""
    return np.column_stack(
        [labels == name for name in (classes[1:] if binary else classes)]
    ).astype(np.float64)


def _classes(labels: NDArray[np.object_], scores: Floats, names: list[str]) -> list[str]:
    known, counts = np.unique(labels.astype(str), return_counts=True)
    if len(labels) < LEAST or len(known) < 2 or counts.min() < LEAST_OF_CLASS:
        raise LabelsError(
            f"A reference has at least {LEAST} labelled rows of at least two classes, {LEAST_OF_CLASS} of each; "
            f"here are {', '.join(f'{c} of {k}' for k, c in zip(known[:5], counts, strict=False)) or 'none'}."
        )
    if len(names) == 1:
        if len(known) > 2:
            raise LabelsError(
                f"The target has {len(known)} classes: name a column of probabilities for each (CLASS=COLUMN)."
            )
        one = names[0] or max(known.tolist(), key=lambda k: scores[labels == k, 0].mean())
        return [*(k for k in known.tolist() if k != one), one]
    if len(known) > MOST_CLASSES or {*known.tolist()} != {*names}:
        raise LabelsError(
            f"The target's classes ({', '.join(known[:10])}) are not those with probabilities: {', '.join(names[:10])}."
        )
    return names


def _threshold(scores: Floats, told: Floats) -> float | None:
    """Return the score from which on rows are told positive, if there is one."""
    yes, no = scores[told > 0], scores[told == 0]
    if not len(yes) or not len(no) or yes.min() <= no.max():
        return None
    return float(yes.min() + no.max()) / 2.0


def _first(found: dict[str, Floats]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in found.items()}
