"""Runs graphs of trees by ONNX Runtime, and leaves large batches to the Booster, which is quicker there.

ONNX Runtime is ready for a call sooner than XGBoost; but XGBoost walks a tree for many rows at a time and needs half as
long a row. Where they meet is measured once, with the proof. Both give the same sums, bit for bit, where the proof says
so.
"""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.serve.frameworks import links, onnx_trees

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from farero_container.serve.frameworks.booster import Engine as Predictor

    Matrix = NDArray[np.float32]

#: Rows from which the Booster is quicker: at least, and "never".
FEWEST, NEVER = 8, 1 << 30
_BATCH = 64
_CALLS, _REPEATS = 8, 7
#: Rows that `crossing` takes.
BATCHES = _BATCH * _CALLS


class NotAccelerated(Exception):  # noqa: N818 - says why the Booster serves
    """Why a model is not run by ONNX Runtime."""


class Run:
    """One graph, opened; from rows to its output."""

    def __init__(self, session: Any) -> None:
        #: What the graph was given beside its trees.
        self.notes: dict[str, str] = session.get_modelmeta().custom_metadata_map
        self._run: Callable[..., list[Any]] = session.run

    def __call__(self, rows: Matrix) -> Matrix:
        """Run it."""
        return self._run(None, {"x": rows})[0]

    def all(self, rows: Any) -> list[Any]:
        """Run it; return all of its outputs."""
        return self._run(None, {"x": rows})


def open_graph(graph: bytes) -> Run:
    """Open a graph with one thread, which adds trees in their order, as XGBoost does. Raises NotAccelerated."""
    try:
        runtime: Any = importlib.import_module("onnxruntime")  # optional
    except ImportError as error:
        raise NotAccelerated(
            f"onnxruntime cannot be imported ({error}); pip install 'farero[accelerate]'"
        ) from error
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return Run(runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]))
    except Exception as error:
        # Its exceptions have no common base besides Exception.
        what = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise NotAccelerated(f"ONNX Runtime cannot open the graph: {what}") from error


class Engine:
    """Models of one kind, run by ONNX Runtime; their answers' mean when there are several."""

    def __init__(self, graphs: Sequence[bytes], boosters: Callable[[], Predictor]) -> None:
        """graphs: with `facts`, `proof` and `large` as notes. boosters: loads what large batches go to.

        Raises NotAccelerated.
        """
        runs = [open_graph(graph) for graph in graphs]
        facts = [onnx_trees.facts_of(run.notes["facts"]) for run in runs]
        self.facts = facts[0]
        #: What was proven, a text a model.
        self.proofs = [run.notes["proof"] for run in runs]
        #: Batches of so many rows go to the Booster.
        self.large = max(int(run.notes["large"]) for run in runs)
        self._parts = [(run, each.link) for run, each in zip(runs, facts, strict=True)]
        self._boosters = boosters
        self._beside: Predictor | None = None
        self._is_asked = False

    def predict(self, rows: Matrix) -> Matrix:
        """Return what Booster.predict would.

        rows: (rows, features), float32. Raises ValueError for infinite numbers, as XGBoost's DMatrix does.
        """
        if len(rows) >= self.large and (beside := self._find_beside()) is not None:
            return beside.predict(rows)
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        # NaN, infinity and overflow all show in the sum, which costs a third of looking at each number.
        if not np.isfinite(np.add.reduce(rows, axis=None)) and np.isinf(rows).any():
            raise ValueError(
                "Input data contains `inf` or a value too large, while `missing` is not set to `inf`"
            )
        answers = [links.apply(link, run(rows)) for run, link in self._parts]
        return answers[0] if len(answers) == 1 else np.mean(answers, axis=0)

    def load_beside(self) -> None:
        """Load what large batches go to; a failure leaves them with ONNX Runtime and is told in the log."""
        try:
            self._beside = self._boosters()
        except Exception as error:  # noqa: BLE001 - both can answer, so nothing must fail for it
            print(f"farero: large batches stay with ONNX Runtime: {error}", flush=True)

    def _find_beside(self) -> Predictor | None:
        """Return the Booster; none while it loads beside the work, from the first large batch on."""
        if self._beside is None and not self._is_asked:
            self._is_asked = True
            threading.Thread(target=self.load_beside, name="booster", daemon=True).start()
        return self._beside


def crossing(quick: Callable[[Matrix], Any], other: Callable[[Matrix], Any], rows: Matrix) -> int:
    """Measure from how many rows a call `other` takes less CPU than `quick`; at least FEWEST, NEVER for never.

    rows: BATCHES different ones, as callers send them; the same ones again and again teach the processor their
    branches.
    """
    one_quick, one_other = _cost(quick, rows, 1), _cost(other, rows, 1)
    slope_quick = (_cost(quick, rows, _BATCH) - one_quick) / (_BATCH - 1)
    slope_other = (_cost(other, rows, _BATCH) - one_other) / (_BATCH - 1)
    if slope_quick <= slope_other:
        return NEVER
    return max(FEWEST, min(NEVER, round(1 + (one_other - one_quick) / (slope_quick - slope_other))))


def _cost(call: Callable[[Matrix], Any], rows: Matrix, size: int) -> float:
    """Return the CPU seconds of a call with `size` rows."""
    parts = [rows[i * size : (i + 1) * size] for i in range(_CALLS)]
    found: list[float] = []
    for _ in range(_REPEATS):
        start = time.thread_time()
        for part in parts:
            call(part)
        found.append((time.thread_time() - start) / _CALLS)
    return min(found)
