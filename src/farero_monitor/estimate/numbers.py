"""DLE: the error of a model that predicts numbers, estimated by a second model from the features and the prediction.

The second model learned on the labelled reference how large errors are where. It tells when more of the rows come from
where the model errs; it cannot tell that the model errs more than it did there. Source: NannyML's "Direct Loss
Estimation"; here one boosted model with two outputs, |error| and error^2, on splits made for the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.estimate import boosting, wobble
from farero_monitor.estimate.binning import values
from farero_monitor.estimate.boosting import Boosted
from farero_monitor.estimate.figures import Estimated, figure
from farero_monitor.estimate.labelled import LEAST, Labelled, LabelsError
from farero_monitor.estimate.scores import spread

if TYPE_CHECKING:
    from farero_monitor.estimate.binning import Bins
    from farero_monitor.profile.sketch import Floats

FOLDS = 5
#: A variance told by five parts has four degrees of freedom: Student's t of 95 % is 2.776 then, not 1.96.
FEW = (2.776 / 1.96) ** 2
TREES = 100
#: Rows of a window of which something is said.
LEAST_ROWS = 200


@dataclass(slots=True)
class Numbers:
    """What is kept of a labelled reference of a regression."""

    prediction: str
    #: Of all rows, and of all but each part.
    whole: Boosted
    parts: list[Boosted]
    reference: dict[str, float]
    #: Variance of |error| and error^2 of one row around its expectation, by the squared mean of each.
    around: list[float]
    #: Variance of each metric times rows.
    unit: dict[str, float]
    rows: int
    #: Variance of the means of |error| and error^2 between stretches of the reference beyond chance, by their squares.
    wobble: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def needed(self) -> list[str]:
        """The columns without which nothing is estimated."""
        return [self.prediction]

    def estimate(self, table: Any, bins: Bins, window_rows: int) -> Estimated:
        """Return the estimated errors. table: a sample of the window's rows as texts; bins: features and prediction."""
        made = Estimated("DLE", "regression", 0, window_rows, way="boosted trees")
        if self.prediction not in table.column_names:
            made.reason = f"The window has no column {self.prediction!r} with the model's answers."
            return made
        there = np.isfinite(values(table.column(self.prediction), strict=False))
        made.rows = int(there.sum())
        if made.rows < LEAST_ROWS:
            made.reason = f"{made.rows} rows with predictions say nothing about quality yet."
            return made
        found = expected(self.whole, bins[there])
        means = found.mean(axis=0)
        share = min(1.0, made.rows / window_rows)
        errors = np.var(found, axis=0) / made.rows * (1 - share)
        errors += np.array(self.around) * means**2 / made.rows * share
        others = np.array([expected(part, bins[there]).mean(axis=0) for part in self.parts])
        errors += [FEW * spread(other) for other in others.T]
        errors += np.array(self.wobble) * means**2
        for name, value, error in metrics(means, errors):
            sampling = math.sqrt(self.unit[name] / made.rows + self.unit[name] / self.rows)
            told = figure(
                name, value, self.reference[name], error=math.sqrt(error), sampling=sampling
            )
            if told is not None:
                made.figures[name] = told
        return made

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        return {
            "prediction": self.prediction, "whole": self.whole.to_state(),
            "parts": [part.to_state() for part in self.parts], "reference": self.reference,
            "around": self.around, "unit": self.unit, "rows": self.rows, "wobble": self.wobble,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Numbers:
        """Read what `to_state` wrote."""
        whole: Any = Boosted.from_state(state["whole"])
        parts: Any = [Boosted.from_state(part) for part in state["parts"]]
        return cls(**(state | {"whole": whole, "parts": parts}))


def expected(model: Boosted, bins: Bins) -> Floats:
    """Return the expected |error| and error^2 of each row, (rows, 2); never below 0."""
    return np.maximum(model.predict(bins), 0.0)


def metrics(means: Floats, variances: Floats) -> list[tuple[str, float, float]]:
    """Return (name, value, variance) of each metric from the means of |error| and error^2 and their variances."""
    mae, mse = (float(mean) for mean in means)
    root = math.sqrt(mse)
    # the delta method: the derivative of the root is 1 / (2 root)
    of_root = float(variances[1]) / (4 * mse) if mse else 0.0
    return [
        ("mae", mae, float(variances[0])),
        ("rmse", root, of_root),
        ("mse", mse, float(variances[1])),
    ]


def learn(table: Any, bins: Bins, labelled: Labelled) -> Numbers:
    """Learn from a labelled sample, a table of texts; bins: features and prediction. Raises LabelsError."""
    truth = values(table.column(labelled.target), strict=False)
    told = values(table.column(labelled.prediction), strict=False)
    there = np.isfinite(truth) & np.isfinite(told)
    if there.sum() < LEAST:
        raise LabelsError(
            f"A reference has at least {LEAST} rows with numbers in {labelled.target!r} and "
            f"{labelled.prediction!r}; here are {there.sum()}."
        )
    error = np.abs(truth[there] - told[there])
    y, bins = np.column_stack([error, error**2]), bins[there]
    start: list[float] = y.mean(axis=0).tolist()
    folds = np.random.default_rng(1).permutation(len(y)) % FOLDS
    held_out = np.empty((TREES + 1, *y.shape))
    parts: list[Boosted] = []
    for out in range(FOLDS):
        here, others = folds == out, folds != out
        part = boosting.fit(
            bins[others], boosting.squares(y[others]), y[others].mean(axis=0).tolist(), trees=TREES
        )
        parts.append(part)
        stage = 0
        for stage, made in enumerate(part.stages(bins[here])):
            held_out[stage, here] = np.maximum(made, 0.0)
        held_out[stage + 1 :, here] = held_out[stage, here]
    losses = ((held_out - y) ** 2)[:, :, 0].mean(axis=1)
    best = int(losses.argmin())
    means = y.mean(axis=0)
    variances = y.var(axis=0)
    return Numbers(
        labelled.prediction,
        boosting.fit(bins, boosting.squares(y), start, trees=best),
        [Boosted(part.start, part.trees[:best]) for part in parts],
        {name: value for name, value, _ in metrics(means, variances)},
        (((held_out[best] - y) ** 2).mean(axis=0) / np.maximum(means, 1e-300) ** 2).tolist(),
        {name: variance for name, _, variance in metrics(means, variances)},
        len(y), _wobble(held_out[best], y),
    )  # fmt: skip


def _wobble(told: Floats, true: Floats) -> list[float]:
    """Return the relative variance of both means between stretches; told, true: (rows, 2), told by others' rows."""
    off = told - true
    stretches = [off[rows] for rows in wobble.stretches(len(off))]
    means = np.array([part.mean(axis=0) for part in stretches])
    chance = np.array([part.var(axis=0) / len(part) for part in stretches])
    sizes = np.maximum(true.mean(axis=0), 1e-300) ** 2
    return [wobble.variance(means[:, k], chance[:, k]) / float(sizes[k]) for k in (0, 1)]
