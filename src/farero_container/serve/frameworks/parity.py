"""Proof that converted trees answer as the Booster does, by rows made to find the places where they would not.

Rows: for splits spread over all trees, one that reaches the split and stands exactly at its threshold, one at the next
float32 below and one above; rows drawn from the thresholds of every feature; rows with missing values; zeros and the
largest numbers. Checked on each: the same leaf of every tree, exactly; sums that differ by the order of float32
additions at most; answers after the objective's link; labels equal unless margins tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from farero_container.serve.frameworks import xgboost_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from farero_container.serve.frameworks.forest import Facts, Forest

    Matrix = NDArray[np.float32]

MOST_ROWS = 20_000
#: Rows times trees: keeps the proof of a large model to seconds.
MOST_VISITS = 10_000_000
#: Rows times features: keeps the rows of a wide model to tens of megabytes.
MOST_NUMBERS = 5_000_000
FEWEST_ROWS = 600
#: Share of rows that stand at thresholds.
AT_SPLITS = 0.6
#: Of the sum of a row's absolute leaf values: more than float32 additions in another order make.
SUM_TOLERANCE = 1e-5
#: Of an answer: what two exponential functions may differ by.
LINK_TOLERANCE = 1e-6
_BLOCK = 1000
#: Rows of each block that are predicted alone, too: a single row may be summed in a way of its own.
_ALONE = 3
_SEED = 20


class Converted(Protocol):
    """Trees in another form; rows: (rows, features), C-contiguous float32, NaN for missing."""

    @property
    def margins(self) -> Callable[[Matrix], Matrix]:
        """Turns rows into sums of leaves, (rows, outputs)."""
        ...

    @property
    def leaves(self) -> Callable[[Matrix], NDArray[Any]]:
        """Turns rows into numbers of nodes, (rows, trees)."""
        ...

    def answers(self, rows: Matrix, margins: Matrix) -> Matrix:
        """Return what Booster.predict would for rows of these margins."""
        ...


class Differs(Exception):  # noqa: N818 - says why the Booster must serve
    """The converted trees do not answer as the Booster does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was compared, and how far apart it was."""

    rows: int
    trees: int
    #: Rows whose margins are the Booster's own, bit for bit.
    same: int
    #: Largest absolute difference of an answer.
    worst: float

    def text(self) -> str:
        """Say it in a sentence."""
        same = "bit for bit" if self.same == self.rows else f"equal in {self.same:,} rows"
        return (
            f"parity proven on {self.rows:,} rows: the same leaf in each of {self.trees:,} trees, sums {same}, "
            f"worst difference of an answer {self.worst:.2g}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """The Booster's margins for some rows; how far off the converted trees' may be and are, a row each."""

    rows: Matrix
    margins: Matrix
    allowed: NDArray[np.float64]
    off: Matrix


def prove(
    booster: Any,
    xgb: Any,
    model: tuple[Facts, Forest],
    converted: Converted,
    *,
    most: int = MOST_ROWS,
) -> Proof:
    """Compare what was made of `model`, read from `booster`, with it on at most `most` rows. Raises Differs."""
    facts, forest = model
    rows = probes(forest, facts.features, most)
    best = booster.attr("best_iteration")
    end = int(best) + 1 if best is not None else 0
    same, worst = 0, 0.0
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        data = xgboost_library.matrix(xgb, block)

        def native(data: Any = data, **what: bool) -> Any:
            return booster.predict(data, validate_features=False, iteration_range=(0, end), **what)

        leaves = np.asarray(native(pred_leaf=True)).reshape(len(block), -1)
        _check_leaves(leaves, converted.leaves(block), block)
        margins = native(output_margin=True).reshape(len(block), -1)
        allowed = SUM_TOLERANCE * _sizes(forest, leaves)
        found = converted.margins(block)
        off = _off(found, margins, allowed, block)
        for row in range(min(_ALONE, len(block))):
            one = slice(row, row + 1)
            _off(converted.margins(block[one]), margins[one], allowed[one], block[one])
        same += int((off == 0).sum())
        sums = _Sums(rows=block, margins=margins, allowed=allowed, off=off)
        answers = converted.answers(block, found)
        worst = max(worst, _check_answers(facts.link, native(), answers, sums))
    return Proof(rows=len(rows), trees=facts.trees, same=same, worst=worst)


def probes(forest: Forest, features: int, most: int = MOST_ROWS) -> Matrix:
    """Return the rows to compare on, shape (at most `most`, features); the same for the same model."""
    trees = int(forest.tree.max()) + 1 if forest.tree.size else 1
    count = int(np.clip(min(MOST_VISITS // trees, MOST_NUMBERS // features), FEWEST_ROWS, most))
    random = np.random.default_rng(_SEED)
    at_splits = _at_splits(forest, features, int(count * AT_SPLITS) // 3, random)
    fixed = np.stack([
        np.full(features, value, np.float32)
        for value in (np.nan, 0.0, -0.0, 1.0, -1.0, 3.4e38, -3.4e38, 1e-45)
    ])  # fmt: skip
    drawn = _drawn(forest, features, max(count - len(at_splits) - len(fixed), 1), random)
    missing = random.random(drawn.shape) < np.linspace(0, 0.9, len(drawn))[:, None] ** 2
    drawn[missing] = np.nan
    return np.concatenate([at_splits, fixed, drawn])


def ordinary(forest: Forest, features: int, count: int) -> Matrix:
    """Return rows without missing values whose numbers lie around the thresholds."""
    return _drawn(forest, features, count, np.random.default_rng(_SEED))


def _at_splits(forest: Forest, features: int, most: int, random: np.random.Generator) -> Matrix:
    """Return three rows for each chosen split that reach it: below, at and above its threshold."""
    splits = np.flatnonzero(~forest.is_leaf)
    if not splits.size:
        return np.zeros((0, features), np.float32)
    _, first_of_feature = np.unique(forest.feature[splits], return_index=True)
    spread = np.linspace(0, splits.size - 1, min(most, splits.size)).astype(np.int64)
    chosen = splits[np.unique(np.concatenate([first_of_feature[:most], spread]))]
    low = np.full((chosen.size, features), -np.inf, np.float32)
    high = np.full((chosen.size, features), np.inf, np.float32)
    parent, is_left = _parents(forest)
    each, at = np.arange(chosen.size), chosen
    while True:  # up to the root, one level a turn
        above = parent[at]
        if (above < 0).all():
            break
        for mask, bound, narrow in (
            ((above >= 0) & is_left[at], high, np.minimum),
            ((above >= 0) & ~is_left[at], low, np.maximum),
        ):
            row, by = each[mask], above[mask]
            column = forest.feature[by]
            bound[row, column] = narrow(bound[row, column], forest.value[by])
        at = np.where(above >= 0, above, at)
    rows = np.maximum(_drawn(forest, features, chosen.size, random), low)
    rows = np.where(rows < high, rows, np.nextafter(high, np.float32(-np.inf)))
    threshold = forest.value[chosen]
    three = np.repeat(rows[None], 3, axis=0)
    for place, value in enumerate((
        np.nextafter(threshold, np.float32(-np.inf)), threshold, np.nextafter(threshold, np.float32(np.inf))
    )):  # fmt: skip
        three[place, each, forest.feature[chosen]] = value
    three = three.reshape(-1, features)
    return np.where(np.isinf(three), np.float32(0), three)


def _parents(forest: Forest) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return for each node the index of its parent, -1 for roots, and whether it is the left child."""
    parent = np.full(forest.tree.size, -1, np.int64)
    is_left = np.zeros(forest.tree.size, np.bool_)
    splits = np.flatnonzero(~forest.is_leaf)
    for child, side in zip(forest.children(), (True, False), strict=True):
        parent[child[splits]] = splits
        is_left[child[splits]] = side
    return parent, is_left


def _drawn(forest: Forest, features: int, count: int, random: np.random.Generator) -> Matrix:
    """Return rows whose values are thresholds of their feature, the numbers beside them, and numbers between."""
    rows = random.standard_normal((count, features), np.float32)
    splits = ~forest.is_leaf
    for feature in np.unique(forest.feature[splits]):
        found = np.unique(forest.value[splits & (forest.feature == feature)])
        pool = np.concatenate([
            found, np.nextafter(found, np.float32(-np.inf)), np.nextafter(found, np.float32(np.inf)),
            found[:-1] / 2 + found[1:] / 2, found[:1] - 1, found[-1:] + 1,
        ])  # fmt: skip
        pool = pool[np.isfinite(pool)]
        if pool.size:
            rows[:, feature] = random.choice(pool, count)
    return rows


def _check_leaves(wanted: NDArray[Any], got: Matrix, rows: Matrix) -> None:
    if wanted.shape != got.shape:
        raise Differs(f"{got.shape[1]} trees were converted, the model uses {wanted.shape[1]}")
    if (bad := wanted != got).any():
        row, tree = np.argwhere(bad)[0]
        what = f"tree {tree} ends in leaf {got[row, tree]:.0f}, the Booster's in {wanted[row, tree]:.0f}"
        raise Differs(f"{what}; {_shown(rows[row])}")


def _off(
    margins: Matrix, wanted: Matrix, allowed: NDArray[np.float64], rows: Matrix
) -> NDArray[np.float32]:
    """Return by how much sums of leaves differ, a number a row. Raises Differs."""
    off: NDArray[np.float32] = np.abs(margins - wanted).max(axis=1)
    if (bad := ~(off <= allowed)).any():
        raise Differs(f"a sum of leaves is {off[bad][0]:.3g} off; {_shown(rows[bad][0])}")
    return off


def _sizes(forest: Forest, leaves: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of absolute leaf values of each row, intercept included; leaves: (rows, trees)."""
    width = int(forest.node.max()) + 1 if forest.node.size else 1
    table = np.zeros((leaves.shape[1], width))
    table[forest.tree[forest.is_leaf], forest.node[forest.is_leaf]] = np.abs(
        forest.value[forest.is_leaf]
    )
    sums = table[np.arange(leaves.shape[1]), leaves.astype(np.int64)].sum(axis=1)
    return sums + float(np.abs(forest.intercept).max())


def _check_answers(link: str, wanted: Matrix, got: Matrix, sums: _Sums) -> float:
    """Return the largest difference of an answer. Raises Differs."""
    if wanted.shape != got.shape:
        raise Differs(f"answers have the shape {got.shape}, the Booster's {wanted.shape}")
    with np.errstate(invalid="ignore"):  # infinity less itself
        apart = np.where(wanted == got, 0, np.abs(wanted - got)).reshape(len(wanted), -1)
    if link in ("argmax", "sign"):
        ordered = np.sort(sums.margins, axis=1)
        lead = np.abs(ordered[:, 0]) if link == "sign" else ordered[:, -1] - ordered[:, -2]
        limit = np.where((sums.off > 0) & (lead <= 2 * sums.allowed), np.inf, 0)[:, None]
    elif link == "identity":
        limit = sums.allowed[:, None]
    else:  # a relative difference of two margins is one of their exponentials at most twice as large
        share = LINK_TOLERANCE + 2 * sums.off[:, None]
        limit = np.abs(wanted).reshape(len(wanted), -1) * share + np.finfo(np.float32).tiny
    if (bad := ~(apart <= limit)).any():
        row, column = np.argwhere(bad)[0]
        pair = (got.reshape(len(got), -1)[row, column], wanted.reshape(len(got), -1)[row, column])
        raise Differs(
            f"an answer is {pair[0]:.9g}, the Booster's {pair[1]:.9g}; {_shown(sums.rows[row])}"
        )
    return float(apart.max(initial=0))


def _shown(row: Matrix) -> str:
    values = ", ".join(f"{value:.9g}" for value in row[:8])
    return f"row [{values}{', …' if row.size > 8 else ''}]"
