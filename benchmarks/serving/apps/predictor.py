"""What every peer calls: BENCH_MODEL, loaded; rows in, numbers out. One thread, the library's quickest call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def load() -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from a float32 array of rows to their predictions."""
    path = os.environ["BENCH_MODEL"]
    if path.endswith(".pt"):
        import torch

        torch.set_num_threads(1)
        network = torch.jit.load(path).eval()

        def run(rows: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return network(torch.from_numpy(rows)).numpy()

        return run
    import xgboost

    booster = xgboost.Booster(model_file=path)
    booster.set_param({"nthread": 1})
    return booster.inplace_predict


def rows_of(values: object) -> np.ndarray:
    """Return rows as JSON gave them as an array."""
    return np.asarray(values, dtype=np.float32)
