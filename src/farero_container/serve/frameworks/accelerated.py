"""XGBoost's trees run by ONNX Runtime, where the environment asks for it and parity is proven; else says why not.

FARERO_ACCELERATE=onnx asks for it. The proof (`parity.py`) needs the Booster; it is made once for a model, kept with
the graph in the folder FARERO_ACCELERATED_DIR, and found again by the content of the model file and all versions that
count, so that later starts need not import xgboost at all (`kept_graphs.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from farero_container.serve.frameworks import kept_graphs, onnx_trees
from farero_container.serve.frameworks.booster import Boosters
from farero_container.serve.frameworks.kept_graphs import VARIABLE, tell
from farero_container.serve.frameworks.onnx_engine import (
    BATCHES,
    NEVER,
    Engine,
    NotAccelerated,
    crossing,
    open_graph,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from farero_container.serve.frameworks.booster import Engine as Predictor


def find(paths: Sequence[Path], boosters: Callable[[], Predictor]) -> Engine | None:
    """Return the engine for model files that were proven before; None if it is not wanted or they were not.

    boosters: loads the models for large batches; called when the first one comes.
    """
    if not os.environ.get(VARIABLE):
        return None
    graphs = [kept_graphs.read(_place(path)) for path in paths]
    if None in graphs:
        return None
    try:
        engine = Engine([graph for graph in graphs if graph is not None], boosters)
    except Exception as error:  # noqa: BLE001 - a kept file that cannot be used is made anew, whatever is wrong with it
        print(f"farero: a kept graph is not used: {error}", flush=True)
        return None
    tell("onnxruntime", describe(engine))
    return engine


def make(paths: Sequence[Path], boosters: Sequence[Any], xgb: Any) -> Engine | None:
    """Convert and prove, if wanted; None if the Boosters serve, the reason in the log and in output/engine.json."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    if asked != "onnx":
        tell("xgboost", f"not accelerated: {VARIABLE}={asked!r} is not known; use onnx")
        return None
    try:
        graphs = [_build(booster, xgb) for booster in boosters]
        engine = Engine(graphs, lambda: Boosters(xgb, boosters))
        engine.load_beside()
    except NotAccelerated as error:
        tell("xgboost", f"not accelerated: {error}")
        return None
    for path, graph in zip(paths, graphs, strict=True):
        kept_graphs.keep(_place(path), graph)
    tell("onnxruntime", describe(engine))
    return engine


def describe(engine: Engine) -> str:
    """Say what runs and what was proven."""
    return f"accelerated by ONNX Runtime {kept_graphs.version_of('onnxruntime')}: {'; '.join(engine.proofs)}"


def _build(booster: Any, xgb: Any) -> bytes:
    """Return the graph with its facts and its proof as notes. Raises NotAccelerated."""
    from farero_container.serve.frameworks import parity  # for the first start only

    best = booster.attr("best_iteration")
    try:
        facts, forest = onnx_trees.read(
            bytes(booster.save_raw("json")), best_iteration=int(best) if best is not None else None
        )
        proof = parity.prove(booster, xgb, (facts, forest), open_graph)
    except (onnx_trees.NotConvertible, parity.Differs) as error:
        raise NotAccelerated(str(error)) from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # A model of a form that is not known: the Booster could load it and serves it.
        raise NotAccelerated(f"its trees could not be read: {type(error).__name__}: {error}") from error  # fmt: skip
    softmax = facts.link == "softmax"
    notes = {"facts": facts.text(), "proof": proof.text(), "large": str(NEVER)}
    graph = onnx_trees.graph(facts, forest, notes, softmax=softmax)
    native = Boosters(xgb, [booster])
    large = crossing(
        Engine([graph], lambda: native).predict,
        native.predict,
        parity.ordinary(forest, facts.features, BATCHES),
    )
    return onnx_trees.graph(facts, forest, notes | {"large": str(large)}, softmax=softmax)


def _place(path: Path) -> Path | None:
    return kept_graphs.place_of(path, onnx_trees.FORM, kept_graphs.version_of("xgboost"))
