"""XGBoost's trees in a quicker form, where the environment asks for it and parity is proven; else says why not.

FARERO_ACCELERATE=onnx asks for it. Trees of few leaves become masks (`leaf_masks.py`), others a graph for ONNX Runtime
(`onnx_trees.py`). The proof (`parity.py`) needs the Booster; it is made once for a model, kept with the other form in
the folder FARERO_KEPT_DIR, and found again by the content of the model file and all versions that count, so that
later starts need not import xgboost at all (`keeping.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.serve.frameworks import (
    forest,
    keeping,
    leaf_masks,
    links,
    onnx_trees,
    tree_engine,
)
from farero_container.serve.frameworks.booster import Boosters
from farero_container.serve.frameworks.keeping import VARIABLE
from farero_container.serve.frameworks.onnx_session import NotAccelerated, open_graph
from farero_container.serve.frameworks.tree_engine import NEVER, Converted, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from farero_container.serve.frameworks.booster import Engine as Predictor
    from farero_container.serve.frameworks.forest import Facts, Forest

    Matrix = NDArray[np.float32]

MASKS = "leaf masks"


def find(paths: Sequence[Path], boosters: Callable[[], Predictor]) -> Engine | None:
    """Return the engine for model files that were proven before; None if it is not wanted or they were not.

    boosters: loads the models for large batches; called when the first one comes.
    """
    if not os.environ.get(VARIABLE):
        return None
    kept = [keeping.read(_place(path)) for path in paths]
    if None in kept:
        return None
    try:
        engine = Engine([read(one) for one in kept if one is not None], boosters)
    except Exception as error:  # noqa: BLE001 - a kept file that cannot be used is made anew, whatever is wrong with it
        print(f"farero: a kept proof is not used: {error}", flush=True)
        return None
    _tell(engine)
    return engine


def make(paths: Sequence[Path], boosters: Sequence[Any], xgb: Any) -> Engine | None:
    """Convert and prove, if wanted; None if the Boosters serve, the reason in the log and in output/engine.json."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    if asked != "onnx":
        keeping.tell("xgboost", f"not accelerated: {VARIABLE}={asked!r} is not known; use onnx")
        return None
    try:
        made = [_make(booster, xgb) for booster in boosters]
        engine = Engine([read(one) for one in made], lambda: Boosters(xgb, boosters))
        engine.load_beside()
    except NotAccelerated as error:
        keeping.tell("xgboost", f"not accelerated: {error}")
        return None
    for path, one in zip(paths, made, strict=True):
        keeping.keep(_place(path), one)
    _tell(engine)
    return engine


def read(kept: bytes) -> Converted:
    """Read what was kept of a model. Raises NotAccelerated, or anything else for what is damaged."""
    if kept.startswith(leaf_masks.MAGIC):
        tables, notes = leaf_masks.read(kept)
        facts = forest.facts_of(notes["facts"])
        run: Callable[[Matrix], Matrix] = leaf_masks.LeafMasks(tables, facts.features).margins
        link, by = facts.link, MASKS
    else:
        opened = open_graph(kept)
        run, notes = opened, opened.notes
        facts = forest.facts_of(notes["facts"])
        link = onnx_trees.link_beside(facts)
        by = f"ONNX Runtime {keeping.version_of('onnxruntime')}"
    proof, large = notes["proof"], int(notes["large"])
    return Converted(run=run, link=link, facts=facts, proof=proof, large=large, by=by)


class Masks:
    """A model as leaf masks, for its proof."""

    def __init__(self, facts: Facts, trees: Forest) -> None:
        self.tables, self._nodes = leaf_masks.make(facts, trees)
        self.masks = leaf_masks.LeafMasks(self.tables, facts.features)
        self._link, self._trees = facts.link, facts.trees

    def margins(self, rows: Matrix) -> Matrix:
        """Return the sums of leaves, (rows, outputs)."""
        return self.masks.margins(rows)

    def leaves(self, rows: Matrix) -> NDArray[Any]:
        """Return the numbers of nodes, (rows, trees)."""
        tree, node = np.moveaxis(self._nodes[self.masks.leaves(rows)], 2, 0)
        found = np.full((len(rows), self._trees), -1)
        column, row = np.nonzero(tree >= 0)
        found[row, tree[column, row]] = node[column, row]
        return found

    def answers(self, rows: Matrix, margins: Matrix) -> Matrix:  # noqa: ARG002 - graphs look at them
        """Return what Booster.predict would for rows of these margins."""
        return links.apply(self._link, margins.copy())


def _make(booster: Any, xgb: Any) -> bytes:
    """Return a model in its other form with its facts and its proof as notes. Raises NotAccelerated."""
    from farero_container.serve.frameworks import parity  # for the first start only

    best = booster.attr("best_iteration")
    try:
        facts, trees = forest.read(
            bytes(booster.save_raw("json")), best_iteration=int(best) if best is not None else None
        )
        is_small = leaf_masks.fits(facts, trees)
        converted = Masks(facts, trees) if is_small else onnx_trees.Graphs(facts, trees, open_graph)
        proof = parity.prove(booster, xgb, (facts, trees), converted)
    except (forest.NotConvertible, parity.Differs) as error:
        raise NotAccelerated(str(error)) from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # A model of a form that is not known: the Booster could load it and serves it.
        raise NotAccelerated(f"its trees could not be read: {type(error).__name__}: {error}") from error  # fmt: skip

    def written(notes: Mapping[str, str]) -> bytes:
        if isinstance(converted, Masks):
            return converted.masks.kept(notes)
        return onnx_trees.graph(facts, trees, notes, softmax=facts.link == "softmax")

    notes = {"facts": facts.text(), "proof": proof.text(), "large": str(NEVER)}
    native = Boosters(xgb, [booster])
    large = tree_engine.crossing(
        Engine([read(written(notes))], lambda: native).predict,
        native.predict,
        parity.ordinary(trees, facts.features, tree_engine.BATCHES),
    )
    return written(notes | {"large": str(large)})


def _tell(engine: Engine) -> None:
    """Say what runs and what was proven."""
    is_masks = engine.by == [MASKS]
    name, version = ("leaf-masks", forest.FORM) if is_masks else ("onnxruntime", "")
    text = f"accelerated by {' and '.join(engine.by)}: {'; '.join(engine.proofs)}"
    keeping.tell(name, text, version)


def _place(path: Path) -> Path | None:
    return keeping.place_of_proof(path, forest.FORM, keeping.version_of("xgboost"))
