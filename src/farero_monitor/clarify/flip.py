"""The flip test: would the members of a group be decided differently if they belonged to the others?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from farero_monitor.clarify.infinite import Array

NEIGHBOURS = 5
#: With fewer others, the nearest one decides.
FEW = 10
#: At most so many rows of either side are compared, drawn by a fixed seed: the work is their product.
MOST = 10_000
_BLOCK = 512


def flip_test(features: Array, facet: Array, predicted: Array) -> float:
    """Return FT = (F⁺ - F⁻) / n_d, over the members of the group.

    features: Float64[rows, columns] without gaps, not scaled; facet: members, predicted: positive, Bool[rows].
    F⁺ counts members with a positive prediction whose nearest others mostly have a negative one, F⁻ the reverse.
    NaN if either side is empty.

    Source: "Counterfactual Fliptest" in the SageMaker Developer Guide: k nearest neighbours, k = 5, Euclidean, after
    Black, Yeom, Fredrikson, "FlipTest: Fairness Testing via Optimal Transport" (2020).
    """
    rng = np.random.default_rng(0)
    others, members = (_drawn(np.flatnonzero(side), rng) for side in (~facet, facet))
    if not len(others) or not len(members):
        return float("nan")
    near = NEIGHBOURS if len(others) > FEW else 1
    known, votes = features[others], predicted[others]
    lengths = (known**2).sum(axis=1)
    flips = 0
    for start in range(0, len(members), _BLOCK):
        block = members[start : start + _BLOCK]
        # the member's own length is the same for all its distances
        distances = lengths - 2 * features[block] @ known.T
        nearest = np.argpartition(distances, min(near, len(others)) - 1, axis=1)[:, :near]
        expected = votes[nearest].mean(axis=1) > 0.5
        flips += int(predicted[block].sum()) - int(expected.sum())
    return flips / len(members)


def _drawn(places: Array, rng: np.random.Generator) -> Array:
    return rng.choice(places, MOST, replace=False) if len(places) > MOST else places
