"""What is kept of labelled predictions: enough for every metric and for resampling, whatever the number of rows.

A tally takes rows in batches, can be merged with another one, and can be drawn from anew: `resample` returns the
metrics of random samples of the same rows. Regression keeps sums of up to 16,384 groups of rows (up to there each row
is its own), binary classification a count for each different score (up to a million; then scores are rounded to 15
significant bits of their distance from 0 or 1), multiclass the confusion matrix. So a few dozen MB do at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from farero_monitor.quality import metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farero_monitor.quality.metrics import Floats, Metrics

    Ints = NDArray[np.int64]

#: Groups of rows of a regression.
GROUPS = 1 << 14
#: Different scores that are kept exactly, and bits of them after that.
SCORES = 1 << 20
SCORE_BITS = 15
#: Different scores while resampling: neighbours are taken together.
BINS = 2_000
#: Rows a cell, up to which rows are drawn instead of counts.
FEW = 8
#: Different labels of a multiclass problem.
LABELS = 1_000
#: Numbers held at a time while resampling.
_ROOM = 1 << 22

Draw = Literal["bootstrap", "part"]
#: Share of rows in a "part", as SageMaker draws them for its standard deviation.
PART = 0.8


class Tally(Protocol):
    """What regression, binary and multiclass tallies have in common."""

    rows: int

    def metrics(self) -> Metrics:
        """Return each metric of all rows."""
        ...

    def resample(self, rng: np.random.Generator, count: int, draw: Draw) -> dict[str, Floats]:
        """Return each metric of `count` samples: rows drawn with replacement, or 80 % of them without."""
        ...

    def supports(self) -> dict[str, int]:
        """Return from how many rows each share is computed; what is no share is not in it."""
        ...


class Regression:
    """Sums over groups of rows."""

    def __init__(self, seed: int = 0) -> None:
        self.rows = 0
        self._rng = np.random.default_rng(seed)
        #: Labels are taken from here, so that squares of large ones do not lose what tells them apart.
        self._origin: float | None = None
        #: (groups, 5), as `metrics.regression` takes them.
        self._sums: Floats = np.zeros((0, 5))

    def update(self, labels: Floats, predictions: Floats) -> None:
        """Add rows; all must be finite."""
        if not len(labels):
            return
        if self._origin is None:
            self._origin = float(np.median(labels))
        error, shifted = predictions - labels, labels - self._origin
        made = np.column_stack(
            [np.ones(len(error)), np.abs(error), error * error, shifted, shifted * shifted]
        )
        self._add(made)
        self.rows += len(labels)

    def merge(self, other: Regression) -> None:
        """Add what another tally has seen."""
        if other._origin is None:
            return
        if self._origin is None:
            self._origin = other._origin
        made, move = other._sums.copy(), other._origin - self._origin
        # Σ(y - c')  = Σ(y - c) + n·(c - c'), and its square likewise
        made[:, 4] += 2 * move * made[:, 3] + move * move * made[:, 0]
        made[:, 3] += move * made[:, 0]
        self._add(made)
        self.rows += other.rows

    def _add(self, made: Floats) -> None:
        own = min(GROUPS - len(self._sums), len(made))
        self._sums = np.concatenate([self._sums, made[:own]])
        left = made[own:]
        if len(left):
            group = self._rng.integers(0, GROUPS, len(left))
            for index in range(5):
                self._sums[:, index] += np.bincount(group, left[:, index], GROUPS)

    def metrics(self) -> Metrics:
        """Return each metric of all rows."""
        return metrics.regression(self._sums.sum(0))

    def resample(self, rng: np.random.Generator, count: int, draw: Draw) -> dict[str, Floats]:
        """Return each metric of samples of the groups: these are random, so they stand for the rows."""
        groups = len(self._sums)
        sums = np.empty((count, 5))
        for index in range(count):
            if draw == "part":
                drawn = rng.permutation(groups)[: max(1, round(PART * groups))]
                sums[index] = self._sums[drawn].sum(0)
            else:
                times = np.bincount(rng.integers(0, groups, groups), minlength=groups)
                sums[index] = times @ self._sums
        return dict(metrics.regression(sums))

    def supports(self) -> dict[str, int]:
        """Return nothing: errors are no shares."""
        return {}


class Binary:
    """Counts of (label, prediction) at each score."""

    def __init__(self) -> None:
        self.rows = 0
        #: Whether there are scores at all; without them there is one row, at 0.
        self.scored = False
        self._bits: int | None = None
        self._scores: Floats = np.zeros(0)
        #: (scores, 4): (label, prediction) = (0, 0), (0, 1), (1, 0), (1, 1)
        self._cells: Ints = np.zeros((0, 4), np.int64)

    def update(self, labels: Ints, predictions: Ints, scores: Floats | None = None) -> None:
        """Add rows of labels and predictions 0 or 1, and scores from 0 to 1."""
        self.rows += len(labels)
        self.scored = self.scored or scores is not None
        at = np.zeros(len(labels)) if scores is None else scores
        unique, place = np.unique(_coarse(at, self._bits), return_inverse=True)
        cell = place.ravel() * 4 + labels * 2 + predictions
        self._add(unique, np.bincount(cell, minlength=4 * len(unique)).reshape(-1, 4))

    def merge(self, other: Binary) -> None:
        """Add what another tally has seen."""
        self.rows += other.rows
        self.scored = self.scored or other.scored
        self._bits = self._bits if other._bits is None else other._bits
        self._add(other._scores, other._cells)

    def _add(self, scores: Floats, cells: Ints) -> None:
        joined = _coarse(np.concatenate([self._scores, scores]), self._bits)
        counts = np.concatenate([self._cells, cells])
        self._scores, self._cells = _sum_by(joined, counts)
        if len(self._scores) > SCORES:
            self._bits = SCORE_BITS
            self._scores, self._cells = _sum_by(_coarse(self._scores, SCORE_BITS), self._cells)

    def turn(self, *, answers: bool) -> None:
        """Take label 0 for 1 and 1 for 0; predictions likewise, if they are labels."""
        self._cells = self._cells[:, [3, 2, 1, 0] if answers else [2, 3, 0, 1]]

    @property
    def confusion(self) -> Ints:
        """The four counts over all scores."""
        return self._cells.sum(0)

    def metrics(self) -> Metrics:
        """Return each metric of all rows."""
        return _binary(self._cells.astype(float)[None], scored=self.scored, first=True)

    def curves(self) -> dict[str, Any]:
        """Return the two curves."""
        return metrics.curves(_by_label(self._cells.astype(float))) if self.scored else {}

    def resample(self, rng: np.random.Generator, count: int, draw: Draw) -> dict[str, Floats]:
        """Return each metric of samples; counts of cells are drawn, which is the same as drawing rows."""
        cells = self._binned()
        parts: list[Metrics] = []
        step = max(1, _ROOM // cells.size)
        for first in range(0, count, step):
            many = min(step, count - first)
            drawn = _draw(rng, cells.ravel(), many, draw).reshape(many, *cells.shape)
            parts.append(_binary(drawn.astype(float), scored=self.scored))
        made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        # neighbouring scores taken together move the value by a hair: put it back where it was
        exact, together = (
            self.metrics(),
            _binary(cells.astype(float)[None], scored=self.scored, first=True),
        )
        return {name: values + (exact[name] - together[name]) for name, values in made.items()}

    def supports(self) -> dict[str, int]:
        """Return from how many rows each share is computed: those of a label, those predicted so, or all."""
        tn, fp, fn, tp = (int(count) for count in self.confusion)
        of_positives = ("recall", "true_positive_rate", "false_negative_rate", *metrics.BETAS)
        return {
            **dict.fromkeys(of_positives, tp + fn), "precision": tp + fp, "accuracy": self.rows,
            **dict.fromkeys(("true_negative_rate", "false_positive_rate"), tn + fp),
            **dict.fromkeys(("auc", "au_prc"), min(tp + fn, tn + fp)),
        }  # fmt: skip

    def _binned(self) -> Ints:
        if len(self._scores) <= BINS:
            return self._cells
        rank = np.cumsum(self._cells.sum(1))
        group = ((rank - 1) * BINS) // rank[-1]
        return _sum_by(group, self._cells)[1]


class Multiclass:
    """A confusion matrix, kept as counts of (label, prediction)."""

    def __init__(self) -> None:
        self.rows = 0
        self.counts: dict[tuple[str, str], int] = {}

    def update(self, labels: NDArray[Any], predictions: NDArray[Any]) -> None:
        """Add rows of texts."""
        self.rows += len(labels)
        names, codes = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
        codes = codes.ravel()
        pairs, times = np.unique(
            codes[: len(labels)] * len(names) + codes[len(labels) :], return_counts=True
        )
        for pair, count in zip(pairs.tolist(), times.tolist(), strict=True):
            key = (str(names[pair // len(names)]), str(names[pair % len(names)]))
            self.counts[key] = self.counts.get(key, 0) + count

    def merge(self, other: Multiclass) -> None:
        """Add what another tally has seen."""
        self.rows += other.rows
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count

    @property
    def names(self) -> list[str]:
        """All labels, numbers in their order and before texts."""
        return sorted({name for pair in self.counts for name in pair}, key=_order)

    def metrics(self) -> Metrics:
        """Return each metric of all rows."""
        return self._of(np.array([list(self.counts.values())]), first=True)

    def resample(self, rng: np.random.Generator, count: int, draw: Draw) -> dict[str, Floats]:
        """Return each metric of samples; counts of pairs are drawn, which is the same as drawing rows."""
        held = np.array(list(self.counts.values()), np.int64)
        step = max(1, _ROOM // (len(held) + 3 * len(self.names)))
        parts = [
            self._of(_draw(rng, held, min(step, count - first), draw))
            for first in range(0, count, step)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def supports(self) -> dict[str, int]:
        """Return all rows for each metric."""
        return dict.fromkeys(metrics.PROMISED["MulticlassClassification"], self.rows)

    def _of(self, drawn: Ints, *, first: bool = False) -> Metrics:
        index = {name: place for place, name in enumerate(self.names)}
        pairs = np.array([(index[label], index[said]) for label, said in self.counts])
        right, labelled, predicted = (np.zeros((len(drawn), len(index))) for _ in range(3))
        same = pairs[:, 0] == pairs[:, 1]
        for line in range(len(drawn)):
            for target, place, chosen in (
                (right, pairs[same, 0], drawn[line][same]),
                (labelled, pairs[:, 0], drawn[line]),
                (predicted, pairs[:, 1], drawn[line]),
            ):
                target[line] = np.bincount(place, chosen, len(index))
        whole = np.bincount(pairs[:, 0], list(self.counts.values()), len(index))
        found = metrics.multiclass(right, labelled, predicted, int(whole.argmax()))
        return {name: values[0] for name, values in found.items()} if first else found


def _binary(cells: Floats, *, scored: bool, first: bool = False) -> Metrics:
    """Return the metrics of tables (…, scores, 4)."""
    found = dict(metrics.binary(cells.sum(-2)))
    if scored:
        found |= metrics.ranking(_by_label(cells))
    return {name: values[0] for name, values in found.items()} if first else found


def _by_label(cells: Floats) -> Floats:
    return np.stack([cells[..., 0] + cells[..., 1], cells[..., 2] + cells[..., 3]], -1)


def _sum_by(keys: NDArray[Any], counts: Ints) -> tuple[NDArray[Any], Ints]:
    """Return the different keys in order, and the sums of the rows that have them."""
    unique, place = np.unique(keys, return_inverse=True)
    summed = np.zeros((len(unique), counts.shape[1]), np.int64)
    np.add.at(summed, place.ravel(), counts)
    return unique, summed


def _coarse(scores: Floats, bits: int | None) -> Floats:
    """Round scores to some significant bits of their distance from the nearer of 0 and 1."""
    if bits is None:
        return scores
    upper = scores > 0.5
    mantissa, exponent = np.frexp(np.where(upper, 1.0 - scores, scores))
    rounded = np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent)
    return np.where(upper, 1.0 - rounded, rounded)


def _draw(rng: np.random.Generator, counts: Ints, times: int, draw: Draw) -> Ints:
    """Return new counts of the same cells, (times, cells): of rows with replacement, or of 80 % without."""
    whole = int(counts.sum())
    held = np.flatnonzero(counts)
    made = np.zeros((times, len(counts)), np.int64)
    # NumPy's draw without replacement ends at 10⁹ rows; there it makes no difference any more
    if draw == "part" and whole < 10**9:
        made[:, held] = rng.multivariate_hypergeometric(
            counts[held], max(1, round(PART * whole)), size=times, method="marginals"
        )
    elif draw == "bootstrap" and whole <= FEW * len(held):
        # few rows a cell: drawing rows one by one is ten times faster than drawing counts
        owners = np.repeat(held, counts[held])
        for line in range(times):
            made[line] = np.bincount(owners[rng.integers(0, whole, whole)], minlength=len(counts))
    else:
        size = round(PART * whole) if draw == "part" else whole
        made[:, held] = rng.multinomial(size, counts[held] / whole, size=times)
    return made


def _order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
