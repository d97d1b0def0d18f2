"""A small gradient-boosted model over binned columns: Newton steps on histograms, as in XGBoost and LightGBM.

Trees are complete and shallow, so that a model is a few arrays and predicting is indexing. A split of node n gains
GL^2 / (HL + l) + GR^2 / (HR + l) - G^2 / (H + l), with sums of gradients G and curvatures H left and right (Chen and
Guestrin, "XGBoost: A Scalable Tree Boosting System", KDD 2016). Work is bounded: rows of a sample, the columns with
the largest gain at the root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.estimate.binning import MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from farero_monitor.estimate.binning import Bins
    from farero_monitor.profile.sketch import Floats

    #: (rows, outputs) of what is predicted -> gradients and curvatures of the loss, each (rows, outputs)
    Loss = Callable[[Floats], tuple[Floats, Floats]]

#: Columns that take part.
COLUMNS = 40
#: Added to the curvature of each side, so that few rows do not decide.
DAMPING = 10.0
#: Rows (as curvature) that a side of a split has at least.
LEAST = 20.0


@dataclass(slots=True)
class Tree:
    """Node i has the children 2i + 1 and 2i + 2; `bin <= at` goes left."""

    column: NDArray[np.int64]
    at: NDArray[np.uint8]
    #: What is added, shape (leaves, outputs).
    leaves: Floats

    def leaf(self, bins: Bins) -> NDArray[np.int64]:
        """Return the leaf of each row."""
        rows = np.arange(len(bins))
        node = np.zeros(len(bins), dtype=np.int64)
        for _ in range(len(self.column).bit_length()):
            node = 2 * node + 1 + (bins[rows, self.column[node]] > self.at[node])
        return node - len(self.column)


@dataclass(slots=True)
class Boosted:
    """A sum of trees on top of a start."""

    start: list[float]
    trees: list[Tree] = field(default_factory=list[Tree])

    def predict(self, bins: Bins, base: Floats | None = None) -> Floats:
        """Return the predictions, shape (rows, outputs). base: what is added to each row's."""
        made = np.tile(np.asarray(self.start), (len(bins), 1))
        if base is not None:
            made += base
        for tree in self.trees:
            made += tree.leaves[tree.leaf(bins)]
        return made

    def stages(self, bins: Bins, base: Floats | None = None) -> Iterator[Floats]:
        """Yield the predictions with no tree, one tree, and so on; the array is the same one each time."""
        made = Boosted(self.start).predict(bins, base)
        yield made
        for tree in self.trees:
            made += tree.leaves[tree.leaf(bins)]
            yield made

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        trees = [(t.column.tolist(), t.at.tolist(), t.leaves.tolist()) for t in self.trees]
        return {"start": self.start, "trees": trees}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Boosted:
        """Read what `to_state` wrote."""
        trees = [
            Tree(np.array(column), np.array(at, dtype=np.uint8), np.array(leaves))
            for column, at, leaves in state["trees"]
        ]
        return cls([*state["start"]], trees)


def fit(  # noqa: PLR0913 - all but three have defaults
    bins: Bins, loss: Loss, start: list[float], *, trees: int, depth: int = 3, rate: float = 0.1,
    base: Floats | None = None,
) -> Boosted:  # fmt: skip
    """Return a model of so many trees; the first output's loss decides the splits, each output has its own leaves.

    base: what each row's prediction starts from besides, shape (rows, outputs).
    """
    made = Boosted(start)
    now = made.predict(bins, base)
    gradient, curve = loss(now)
    chosen = strongest(bins, gradient[:, 0], curve[:, 0])
    if not len(chosen):
        return made
    narrow = np.ascontiguousarray(bins[:, chosen])
    cells = (narrow + np.arange(len(chosen), dtype=np.int64) * MOST).ravel()
    for _ in range(trees):
        gradient, curve = loss(now)
        tree, leaf = grow(narrow, cells, gradient, curve, depth=depth, rate=rate)
        now += tree.leaves[leaf]
        tree.column = chosen[tree.column]
        made.trees.append(tree)
    return made


def grow(  # noqa: PLR0913 - what one tree is made of
    bins: Bins, cells: NDArray[np.int64], gradient: Floats, curve: Floats,
    *, depth: int, rate: float,
) -> tuple[Tree, NDArray[np.int64]]:  # fmt: skip
    """Return one tree and the leaf of each row. cells: bins + 32 times the column's number, flat."""
    rows, columns = len(bins), int(bins.shape[1])
    column = np.zeros(2**depth - 1, dtype=np.int64)
    at = np.full(2**depth - 1, MOST, dtype=np.uint8)
    node = np.zeros(rows, dtype=np.int64)
    g, h = np.repeat(gradient[:, 0], columns), np.repeat(curve[:, 0], columns)
    size = columns * MOST
    every = np.arange(rows)
    for level in range(depth):
        nodes = 2**level
        place = cells if not level else cells + np.repeat(node * size, columns)
        shape = (nodes, columns, MOST)
        left_g = np.bincount(place, g, nodes * size).reshape(shape).cumsum(axis=2)
        left_h = np.bincount(place, h, nodes * size).reshape(shape).cumsum(axis=2)
        gain = gains(left_g, left_h)
        best = gain.reshape(nodes, size).argmax(axis=1)
        worth = gain.reshape(nodes, size)[np.arange(nodes), best] > 0
        first = nodes - 1
        column[first : first + nodes] = np.where(worth, best // MOST, 0)
        at[first : first + nodes] = np.where(worth, best % MOST, MOST)
        node = 2 * node + (bins[every, column[first + node]] > at[first + node])
    leaves = np.empty((2**depth, gradient.shape[1]))
    for output in range(gradient.shape[1]):
        total = np.bincount(node, gradient[:, output], 2**depth)
        weight = np.bincount(node, curve[:, output], 2**depth)
        leaves[:, output] = -rate * total / (weight + DAMPING)
    return Tree(column, at, leaves), node


def gains(left_g: Floats, left_h: Floats) -> Floats:
    """Return what a split behind each bin gains; sums run along the last axis. 0 where a side would be too small."""
    total_g, total_h = left_g[..., -1:], left_h[..., -1:]
    right_g, right_h = total_g - left_g, total_h - left_h
    gain = (
        left_g**2 / (left_h + DAMPING) + right_g**2 / (right_h + DAMPING)
        - total_g**2 / (total_h + DAMPING)
    )  # fmt: skip
    return np.where((left_h < LEAST) | (right_h < LEAST), 0.0, gain)


def strongest(bins: Bins, gradient: Floats, curve: Floats) -> NDArray[np.int64]:
    """Return the columns with the largest gain at the root, those without any left out."""
    best = np.empty(bins.shape[1])
    for place in range(bins.shape[1]):
        left_g = np.bincount(bins[:, place], gradient, MOST).cumsum()
        left_h = np.bincount(bins[:, place], curve, MOST).cumsum()
        best[place] = gains(left_g, left_h).max()
    order = np.argsort(-best, kind="stable")[:COLUMNS]
    return np.sort(order[[bins[:, place].min() != bins[:, place].max() for place in order]])


def squares(wanted: Floats) -> Loss:
    """Return the loss (f - y)^2 / 2 of each output; wanted: (rows, outputs)."""
    ones = np.ones_like(wanted)
    return lambda now: (now - wanted, ones)


def logistic(labels: Floats, weights: Floats | None = None) -> Loss:
    """Return the logistic loss of labels 0 and 1, shape (rows,); predictions are log odds."""

    def loss(now: Floats) -> tuple[Floats, Floats]:
        p = 1.0 / (1.0 + np.exp(-np.clip(now[:, 0], -30, 30)))
        gradient, curve = p - labels, np.maximum(p * (1 - p), 1e-6)
        if weights is not None:
            gradient, curve = gradient * weights, curve * weights
        return gradient[:, None], curve[:, None]

    return loss
