"""Opens graphs in ONNX Runtime."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


class NotAccelerated(Exception):  # noqa: N818 - says why the framework itself serves
    """Why a model is not accelerated."""


class Run:
    """One graph, opened; from rows to its output."""

    def __init__(self, session: Any) -> None:
        #: What the graph was given beside its nodes.
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
