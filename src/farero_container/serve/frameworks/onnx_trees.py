"""A Booster's trees as one TreeEnsembleRegressor of ONNX: the same thresholds, the same leaves, in the same order.

The graph gives margins, before the objective's link. The intercept stands first, as a tree of one leaf, because
XGBoost starts its sums with it: a runtime that adds trees in order then adds the very same float32 numbers.

Facts: ONNX's ai.onnx.ml operators.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.serve.frameworks import links, onnx_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from farero_container.serve.frameworks.forest import Facts, Forest

    Matrix = NDArray[np.float32]
    #: ONNX bytes → a function from rows to the graph's output.
    Open = Callable[[bytes], Callable[[Matrix], Matrix]]


class Graphs:
    """A model as graphs, for its proof."""

    def __init__(self, facts: Facts, forest: Forest, open_graph: Open) -> None:
        self._link = link_beside(facts)
        self.margins = open_graph(graph(facts, forest, {}, softmax=False))
        self.leaves: Callable[[Matrix], NDArray[Any]] = open_graph(leaf_graph(facts, forest))
        self._whole: Callable[[Matrix], Matrix] | None = None
        if facts.link == "softmax":
            self._whole = open_graph(graph(facts, forest, {}, softmax=True))

    def answers(self, rows: Matrix, margins: Matrix) -> Matrix:
        """Return what Booster.predict would for rows of these margins."""
        return links.apply(self._link, self._whole(rows) if self._whole else margins.copy())


def link_beside(facts: Facts) -> str:
    """Return the link that is left to do when the graph does what it can of it."""
    return "identity" if facts.link == "softmax" else facts.link


def leaf_graph(facts: Facts, forest: Forest) -> bytes:
    """Return a graph with the same branches that tells which leaf of each tree a row came to: (rows, trees)."""
    marked = dataclasses.replace(
        forest,
        value=np.where(forest.is_leaf, forest.node, forest.value).astype(np.float32),
        output=forest.tree,
        intercept=np.zeros(facts.trees, np.float32),
    )
    return graph(dataclasses.replace(facts, outputs=facts.trees), marked, {}, softmax=False)


def graph(facts: Facts, forest: Forest, notes: Mapping[str, str], *, softmax: bool) -> bytes:
    """Return the model as ONNX: x (rows, features) → y (rows, outputs), float32.

    softmax: apply it to the sums in the same node, where it costs nothing.
    """
    is_leaf = forest.is_leaf
    # The intercept is tree 0, with one leaf that adds to every output; XGBoost's own trees come after it.
    one = np.zeros(1, np.int64)
    root, nobody = np.zeros(facts.outputs, np.int64), np.full(1, -1, np.int64)
    tree = np.concatenate([one, forest.tree + 1])
    left, right = np.concatenate([nobody, forest.left]), np.concatenate([nobody, forest.right])
    leaves = np.concatenate([np.ones(1, np.bool_), is_leaf])
    value = np.concatenate([np.zeros(1, np.float32), forest.value])
    attributes: dict[str, onnx_wire.Attribute] = {
        "n_targets": facts.outputs,
        "aggregate_function": "SUM",
        "post_transform": "SOFTMAX" if softmax else "NONE",
        "nodes_treeids": tree,
        "nodes_nodeids": np.concatenate([one, forest.node]),
        "nodes_featureids": np.where(leaves, 0, np.concatenate([one, forest.feature])),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LT" for leaf in leaves.tolist()],
        "nodes_values": np.where(leaves, np.float32(0), value),
        "nodes_truenodeids": np.where(leaves, 0, left),
        "nodes_falsenodeids": np.where(leaves, 0, right),
        "nodes_missing_value_tracks_true": np.concatenate([one, forest.missing_left]),
        "target_treeids": np.concatenate([root, forest.tree[is_leaf] + 1]),
        "target_nodeids": np.concatenate([root, forest.node[is_leaf]]),
        "target_ids": np.concatenate([np.arange(facts.outputs), forest.output[is_leaf]]),
        "target_weights": np.concatenate([forest.intercept, forest.value[is_leaf]]),
    }
    return onnx_wire.one_node_model(
        "TreeEnsembleRegressor",
        attributes,
        columns_in=facts.features,
        columns_out=facts.outputs,
        notes=notes,
    )
