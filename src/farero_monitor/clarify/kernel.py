"""Kernel SHAP: Shapley values of any model, by weighted least squares over coalitions of features.

A coalition is a set of features that keep the row's own values while the others take those of the baseline. The same
coalitions are used for every row, so that one small matrix turns a row's answers into its attributions; where a model
has so few features that all coalitions fit into the number of samples, the attributions are exact.

Source: Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions" (2017), theorem 2; coalitions in pairs
with their complements: Covert and Lee, "Improving KernelSHAP" (2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero_monitor.clarify.infinite import Array

#: Evaluations of the model at a time, which bounds memory.
BLOCK = 200_000


@dataclass(frozen=True, slots=True)
class Coalitions:
    """Which features keep their values, and what each coalition counts."""

    #: Bool[coalitions, features]; neither the empty one nor that of all.
    members: Array
    #: Float64[coalitions], positive.
    weights: Array
    #: Whether there are no others.
    exact: bool


def default_samples(features: int) -> int:
    """Return the number of coalitions where none is asked for, as in the `shap` package: 2 * features + 2048."""
    return 2 * features + 2048


def coalitions(features: int, samples: int, rng: np.random.Generator) -> Coalitions:
    """Return at most `samples` coalitions (at least 2, and their complements).

    Sizes are taken whole from both ends (1, M-1; 2, M-2; …) while they fit; of the others coalitions are drawn in
    proportion to the Shapley kernel (M-1) / (C(M,s) s (M-s)), a coalition that is drawn twice counting twice.
    """
    if features == 1:
        return Coalitions(np.zeros((0, 1), bool), np.zeros(0), exact=True)
    masses = {s: (features - 1) / (s * (features - s)) for s in range(1, features)}
    samples = max(samples, 2)
    members: list[Array] = []
    weights: list[float] = []
    low = 1
    while low <= features - low:
        sizes = {low, features - low}
        count = sum(math.comb(features, size) for size in sizes)
        if len(members) + count > samples:
            break
        for size in sorted(sizes):
            held = _subsets(features, size)
            members += list(held)
            weights += [masses[size] / len(held)] * len(held)
        low += 1
    left = list(range(low, features - low + 1))
    if left:
        drawn = _draw(features, left, [masses[s] for s in left], (samples - len(members)) // 2, rng)
        total = sum(drawn.values())
        mass = sum(masses[size] for size in left)
        for held, times in drawn.items():
            members.append(np.array(held, bool))
            weights.append(mass * times / total)
    return Coalitions(np.array(members, bool), np.array(weights), exact=not left)


def _subsets(features: int, size: int) -> Array:
    places = np.array(list(combinations(range(features), size)))
    found = np.zeros((len(places), features), bool)
    np.put_along_axis(found, places, values=True, axis=1)
    return found


def _draw(
    features: int, sizes: list[int], masses: list[float], pairs: int, rng: np.random.Generator
) -> dict[tuple[bool, ...], int]:
    chances = np.array(masses) / sum(masses)
    found: dict[tuple[bool, ...], int] = {}
    for size in rng.choice(sizes, max(pairs, 1), p=chances):
        member = np.zeros(features, bool)
        member[rng.permutation(features)[:size]] = True
        for one in (member, ~member):
            key = tuple(one.tolist())
            found[key] = found.get(key, 0) + 1
    return found


def solver(found: Coalitions) -> Array:
    """Return the matrix Float64[features, coalitions + 1] from a row's gains to its attributions.

    Gains are v(S) - v(none) of each coalition and, last, of all features: Φ = solver @ gains. The attributions sum to
    the last gain: by that constraint the last feature is eliminated; the others solve weighted least squares.
    """
    count = found.members.shape[1]
    if count == 1:
        return np.ones((1, 1))
    z = found.members.astype(np.float64)
    x = z[:, :-1] - z[:, -1:]
    root = np.sqrt(found.weights)[:, None]
    inverse = np.linalg.pinv(x * root) * root.T
    first = np.column_stack([inverse, -inverse @ z[:, -1]])
    last = -first.sum(axis=0, keepdims=True)
    last[0, -1] += 1.0
    return np.vstack([first, last])


def explain(
    value: Callable[[Array, Array], Array], rows: int, found: Coalitions, *, each: int = 1
) -> tuple[Array, Array]:
    """Return attributions Float64[rows, features, outputs] and the expected value Float64[outputs].

    value: the model's answers, averaged over the baseline, for rows Int64[n] with coalitions Bool[n, features]:
    Float64[n, outputs]; each: rows of the baseline. The expected value is that of a row without any feature of its own.
    """
    features = found.members.shape[1]
    nothing = value(np.zeros(1, np.int64), np.zeros((1, features), bool))[0]
    asked = np.vstack([found.members, np.ones((1, features), bool)])
    matrix = solver(found)
    at_once = max(BLOCK // (len(asked) * each), 1)
    made: list[Array] = []
    for start in range(0, rows, at_once):
        block = np.arange(start, min(start + at_once, rows))
        answers = value(np.repeat(block, len(asked)), np.tile(asked, (len(block), 1)))
        gains = answers.reshape(len(block), len(asked), -1) - nothing
        made.append(np.einsum("fc,rco->rfo", matrix, gains))
    return np.concatenate(made), nothing
