"""XGBoost's trees run by ONNX Runtime, where the environment asks for it and parity is proven; else says why not.

FARERO_ACCELERATE=onnx asks for it. The proof (`parity.py`) needs the Booster; it is made once for a model, kept with
the graph in the folder FARERO_ACCELERATED_DIR, and found again by the content of the model file and all versions that
count, so that later starts need not import xgboost at all. That folder belongs to the platform: nothing that comes in
a model archive can lie there, and who can write into it can change the unpacked model files beside it, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.contract import output_dir
from farero_container.serve.frameworks import onnx_trees
from farero_container.serve.frameworks.booster import Boosters
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

    from farero_container.serve.frameworks.booster import Engine as Predictor

VARIABLE = "FARERO_ACCELERATE"
FOLDER = "FARERO_ACCELERATED_DIR"
#: Bytes of the digest before a kept graph.
_DIGEST = 32


def find(paths: Sequence[Path], boosters: Callable[[], Predictor]) -> Engine | None:
    """Return the engine for model files that were proven before; None if it is not wanted or they were not.

    boosters: loads the models for large batches; called when the first one comes.
    """
    if not os.environ.get(VARIABLE):
        return None
    graphs = [_kept(path) for path in paths]
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
        _keep(path, graph)
    tell("onnxruntime", describe(engine))
    return engine


def describe(engine: Engine) -> str:
    """Say what runs and what was proven."""
    return f"accelerated by ONNX Runtime {_version('onnxruntime')}: {'; '.join(engine.proofs)}"


def tell(engine: str, text: str) -> None:
    """Say which engine serves: in the log, and in output/engine.json for the platform."""
    print(f"farero: {text}", flush=True)
    report = {"engine": engine, "version": _version(engine), "text": text}
    with contextlib.suppress(OSError):  # a container without an output folder has its log
        output_dir().mkdir(parents=True, exist_ok=True)
        (output_dir() / "engine.json").write_text(json.dumps(report), encoding="utf-8")


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
    """Return where the graph of a model file is kept; None without a folder for it."""
    folder = os.environ.get(FOLDER)
    if not folder or os.environ.get(VARIABLE) != "onnx":
        return None
    parts = (
        onnx_trees.FORM,
        _version("onnxruntime"),
        _version("xgboost"),
        np.__version__,
        platform.machine(),
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update("\0".join(parts).encode())
    return Path(folder) / f"{digest.hexdigest()}.onnx"


def _kept(path: Path) -> bytes | None:
    place = _place(path)
    try:
        data = place.read_bytes() if place is not None else b""
    except OSError:
        return None
    digest, graph = data[:_DIGEST], data[_DIGEST:]
    return graph if graph and hashlib.sha256(graph).digest() == digest else None


def _keep(path: Path, graph: bytes) -> None:
    place = _place(path)
    if place is None:
        return
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        new.write_bytes(hashlib.sha256(graph).digest() + graph)
        new.replace(place)
    except OSError as error:
        print(f"farero: the graph could not be kept, later starts prove it again: {error}", flush=True)  # fmt: skip
        new.unlink(missing_ok=True)


def _version(distribution: str) -> str:
    from importlib import metadata  # 10 ms; not for models that nobody wants to accelerate

    names = ("xgboost-cpu", "xgboost") if distribution == "xgboost" else (distribution,)
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return ""
