"""From what a model answers for one class to the probability of that class, learned from labelled rows.

A calibrator on the score is what CBPE is built on: it holds while rows of the same score stay as often positive. Where
rows of the same score differ by their features (the model misses something), a change in the mix of features breaks
that. So a small boosted model may correct the log odds by the features and the score; it is kept only where it is
surely better on rows that were held out. Each part of the reference is left out once: what the estimates differ by is
their own error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.estimate import boosting, calibration
from farero_monitor.estimate.calibration import Calibrator, expit, log_loss, logit

if TYPE_CHECKING:
    from farero_monitor.estimate.binning import Bins
    from farero_monitor.estimate.calibration import Folds
    from farero_monitor.profile.sketch import Floats

#: Parts of the reference that are left out in turn.
FOLDS = 8
#: A variance told by eight parts has seven degrees of freedom: Student's t of 95 % is 2.365 then, not 1.96.
FEW = (2.365 / 1.96) ** 2
TREES = 60
#: Standard errors by which the features must help.
SURELY = 2.0


@dataclass(slots=True)
class Member:
    """One way from scores and features to probabilities."""

    calibrator: Calibrator
    features: boosting.Boosted | None = None

    def __call__(self, scores: Floats, bins: Bins) -> Floats:
        """Return the probability of each row."""
        made = self.calibrator(scores)
        if self.features is None:
            return made
        return expit(self.features.predict(bins, logit(made)[:, None])[:, 0])


@dataclass(slots=True)
class Head:
    """What is learned of one class: from all rows, and from all but each part."""

    column: str
    whole: Member
    parts: list[Member] = field(default_factory=list[Member])

    def to_state(self) -> list[Any]:
        """Return what `from_state` reads."""
        return [self.column] + [
            [m.calibrator.to_state(), None if m.features is None else m.features.to_state()]
            for m in (self.whole, *self.parts)
        ]

    @classmethod
    def from_state(cls, state: list[Any]) -> Head:
        """Read what `to_state` wrote."""
        column, *members = state
        made = [
            Member(Calibrator(*c), None if f is None else boosting.Boosted.from_state(f))
            for c, f in members
        ]
        return cls(column, made[0], made[1:])


def learn(column: str, scores: Floats, labels: Floats, bins: Bins) -> Head:
    """Learn from labelled rows: scores (0 to 1) and labels (0 or 1), each (rows,); bins: (rows, features)."""
    folds = _folds(len(scores))
    way = calibration.choose(scores, labels, folds)
    whole = Member(calibration.fit(way, scores, labels))
    parts = [
        Member(calibration.fit(way, scores[folds != out], labels[folds != out]))
        for out in range(FOLDS)
    ]
    head = Head(column, whole, parts)
    if bins.shape[1]:
        _with_features(head, scores, labels, bins, folds)
    return head


def parts(rows: int) -> list[Folds]:
    """Return the numbers of the rows that each part of a reference was learned without."""
    folds = _folds(rows)
    return [np.flatnonzero(folds == out) for out in range(FOLDS)]


def _folds(rows: int) -> Folds:
    return np.random.default_rng(1).permutation(rows) % FOLDS


def _with_features(head: Head, scores: Floats, labels: Floats, bins: Bins, folds: Folds) -> None:
    """Let the features correct the log odds, with as many trees as held-out rows say; none if they do not help."""
    losses = np.zeros((TREES + 1, len(scores)))
    models: list[boosting.Boosted] = []
    for out, member in enumerate(head.parts):
        here, there = folds == out, folds != out
        base = logit(member.calibrator(scores))[:, None]
        model = boosting.fit(
            bins[there], boosting.logistic(labels[there]), [0.0], trees=TREES, base=base[there]
        )
        models.append(model)
        stage = 0
        for stage, made in enumerate(model.stages(bins[here], base[here])):
            losses[stage, here] = log_loss(expit(made[:, 0]), labels[here])
        losses[stage + 1 :, here] = losses[stage, here]
    best = int(losses.mean(axis=1).argmin())
    gain = losses[0] - losses[best]
    if gain.mean() <= SURELY * gain.std() / math.sqrt(len(gain)):
        return
    base = logit(head.whole.calibrator(scores))[:, None]
    head.whole.features = boosting.fit(
        bins, boosting.logistic(labels), [0.0], trees=best, base=base
    )
    for member, model in zip(head.parts, models, strict=True):
        member.features = boosting.Boosted(model.start, model.trees[:best])
