"""A Booster's trees as arrays: every node, and what else must be known of the model to answer as it does.

What XGBoost alone can do (categories, vectors in leaves, linear boosters, unknown objectives) is refused by name.

Facts: XGBoost's model schema (doc/model.schema), its source for the intercept's link.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Raised whenever what is read, what is made of it or a link changes, so that no file of an older form is used.
FORM = "3"
#: Objective → what its margins become; by prefix where it ends in a colon.
LINKS = {
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:linear": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "binary:logitraw": "identity",
    "rank:": "identity",
    "reg:logistic": "sigmoid",
    "binary:logistic": "sigmoid",
    "binary:hinge": "sign",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "survival:cox": "exp",
    "survival:aft": "exp",
    "multi:softprob": "softmax",
    "multi:softmax": "argmax",
}


class NotConvertible(Exception):  # noqa: N818 - says why the Booster must serve
    """A model that no other form can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a server must know of a model besides its trees."""

    objective: str
    link: str
    features: int
    #: Columns of the margins: classes, targets or 1.
    outputs: int
    trees: int
    feature_names: tuple[str, ...]

    def text(self) -> str:
        """Return them as JSON, for `facts_of`."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Every node of every tree, in order; arrays are of one length."""

    tree: NDArray[np.int64]
    node: NDArray[np.int64]
    feature: NDArray[np.int64]
    #: Threshold of a branch, value of a leaf.
    value: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    #: 1 where a missing value goes left.
    missing_left: NDArray[np.int64]
    #: The output that a tree's leaves add to, for each node.
    output: NDArray[np.int64]
    #: Margins before any tree, one for each output.
    intercept: NDArray[np.float32]

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Which nodes are leaves."""
        return self.left < 0

    def children(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the index of each node's left and right child, -1 for leaves."""
        width = int(self.node.max()) + 1
        place = np.full((int(self.tree.max()) + 1) * width, -1, np.int64)
        place[self.tree * width + self.node] = np.arange(self.tree.size)
        left, right = (
            np.where(self.is_leaf, -1, place[self.tree * width + np.maximum(child, 0)])
            for child in (self.left, self.right)
        )
        return left, right


def facts_of(text: str) -> Facts:
    """Read what `Facts.text` wrote."""
    told: dict[str, Any] = json.loads(text)
    told["feature_names"] = tuple(told["feature_names"])
    return Facts(**told)


def read(model: bytes, *, best_iteration: int | None = None) -> tuple[Facts, Forest]:
    """Read a model as `Booster.save_raw('json')` gives it; trees after `best_iteration` are left out.

    Raises NotConvertible.
    """
    learner: dict[str, Any] = json.loads(model)["learner"]
    booster: dict[str, Any] = learner["gradient_booster"]
    weights: list[float] | None = None
    if booster["name"] == "dart":
        weights = booster["weight_drop"]
        booster = booster["gbtree"]
    if booster["name"] != "gbtree":
        raise NotConvertible(f"the booster is {booster['name']}, not trees")
    objective: str = learner["objective"]["name"]
    link = LINKS.get(objective) or LINKS.get(objective.partition(":")[0] + ":")
    if link is None:
        raise NotConvertible(f"the objective {objective} is not among those whose link is known")
    parameters: dict[str, str] = learner["learner_model_param"]
    outputs = max(int(parameters["num_class"]), int(parameters.get("num_target", "1")), 1)
    held: dict[str, Any] = booster["model"]
    trees: list[dict[str, Any]] = held["trees"]
    groups: list[int] = held["tree_info"]
    if best_iteration is not None:
        count = _trees_until(held, best_iteration, len(trees), outputs)
        trees, groups = trees[:count], groups[:count]
    facts = Facts(
        objective=objective,
        link=link,
        features=int(parameters["num_feature"]),
        outputs=outputs,
        trees=len(trees),
        feature_names=tuple(learner.get("feature_names") or ()),
    )
    intercept = _intercept(parameters["base_score"], objective, outputs)
    return facts, _forest(trees, groups, weights, intercept)


def _trees_until(held: Mapping[str, Any], last: int, trees: int, outputs: int) -> int:
    """Return how many trees the iterations up to and with `last` have."""
    ends: list[int] | None = held.get("iteration_indptr")
    if ends:
        return ends[min(last + 1, len(ends) - 1)]
    each = outputs * max(int(held["gbtree_model_param"].get("num_parallel_tree", "1")), 1)
    return min((last + 1) * each, trees)


def _intercept(text: str, objective: str, outputs: int) -> NDArray[np.float32]:
    """Return the margins that base_score stands for, in XGBoost's own float32 steps."""
    given: Any = json.loads(text)
    score = np.asarray(given, dtype=np.float32).reshape(-1)
    # logf rounds almost always as a logarithm in float64 does that is rounded to float32
    with np.errstate(divide="ignore", invalid="ignore"):
        if objective in ("reg:logistic", "binary:logistic"):
            odds = np.float32(1) / score - np.float32(1)
            score = -np.log(odds.astype(np.float64)).astype(np.float32)
        elif LINKS.get(objective) == "exp":
            score = np.log(score.astype(np.float64)).astype(np.float32)
    if score.size not in (1, outputs):
        raise NotConvertible(f"base_score has {score.size} numbers for {outputs} outputs")
    if not np.isfinite(score).all():
        raise NotConvertible(f"base_score {text} has no finite margin")
    return np.broadcast_to(score, (outputs,)).astype(np.float32)


def _forest(
    trees: list[dict[str, Any]],
    groups: list[int],
    weights: list[float] | None,
    intercept: NDArray[np.float32],
) -> Forest:
    columns: list[list[NDArray[Any]]] = []
    for index, tree in enumerate(trees):
        if int(tree["tree_param"].get("size_leaf_vector", "1") or "1") > 1:
            raise NotConvertible("its leaves hold vectors (multi_strategy=multi_output_tree)")
        if tree.get("categories_nodes") or any(tree.get("split_type") or ()):
            raise NotConvertible("it splits on categories")
        left = np.asarray(tree["left_children"], np.int64)
        right = np.asarray(tree["right_children"], np.int64)
        value = np.asarray(tree["split_conditions"], np.float32)
        if weights is not None:
            value = np.where(left < 0, value * np.float32(weights[index]), value)
        # A node that nobody's branch leads to was pruned.
        here = np.zeros(left.size, np.bool_)
        here[0] = True
        here[left[left >= 0]] = here[right[right >= 0]] = True
        size = left.size
        columns.append([column[here] for column in (
            np.full(size, index), np.arange(size), np.asarray(tree["split_indices"], np.int64), value, left, right,
            np.asarray(tree["default_left"], np.int64), np.full(size, groups[index]))])  # fmt: skip
    joined = [np.concatenate(column) for column in zip(*columns, strict=True)] or [
        np.zeros(0, np.float32 if place == 3 else np.int64) for place in range(8)
    ]
    return Forest(
        tree=joined[0],
        node=joined[1],
        feature=joined[2],
        value=joined[3].astype(np.float32),
        left=joined[4],
        right=joined[5],
        missing_left=joined[6],
        output=joined[7],
        intercept=intercept,
    )
