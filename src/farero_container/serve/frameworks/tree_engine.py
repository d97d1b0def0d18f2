"""Runs converted trees, and leaves large batches to the Booster where that is quicker.

Leaf masks and ONNX Runtime are ready for a call sooner than XGBoost; but XGBoost walks a tree for many rows at a time.
Where they meet is measured once, with the proof. Both give the same sums, bit for bit, where the proof says so.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.serve.frameworks import links

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from farero_container.serve.frameworks.booster import Engine as Predictor
    from farero_container.serve.frameworks.forest import Facts

    Matrix = NDArray[np.float32]

#: Rows from which the Booster is quicker: at least, and "never".
FEWEST, NEVER = 8, 1 << 30
_BATCH = 64
_CALLS, _REPEATS = 8, 7
#: Rows that `crossing` takes.
BATCHES = _BATCH * _CALLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """One model in another form, proven."""

    #: From rows to what `link` makes answers of.
    run: Callable[[Matrix], Matrix]
    link: str
    facts: Facts
    #: What was proven, in words.
    proof: str
    #: Batches of so many rows go to the Booster.
    large: int
    #: What runs it, in words.
    by: str


class Engine:
    """Converted models of one kind; their answers' mean when there are several."""

    def __init__(self, models: Sequence[Converted], boosters: Callable[[], Predictor]) -> None:
        """boosters: loads what large batches go to."""
        self.facts = models[0].facts
        self.proofs = [model.proof for model in models]
        #: What runs the models, in words, each once.
        self.by = list(dict.fromkeys(model.by for model in models))
        self.large = max(model.large for model in models)
        self._models = [(model.run, model.link) for model in models]
        # not held for nothing: trees are a model's memory
        self._boosters = boosters if self.large < NEVER else None
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
        answers = [links.apply(link, run(rows)) for run, link in self._models]
        return answers[0] if len(answers) == 1 else np.mean(answers, axis=0)

    def load_beside(self) -> None:
        """Load what large batches go to, if any do; a failure leaves them here and is told in the log."""
        try:
            self._beside = self._boosters() if self._boosters else None
        except Exception as error:  # noqa: BLE001 - both can answer, so nothing must fail for it
            print(f"farero: large batches are not left to XGBoost: {error}", flush=True)

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
