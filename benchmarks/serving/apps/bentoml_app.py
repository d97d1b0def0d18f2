"""BentoML: two workers, adaptive batches, no access log. No postponed annotations here: it reads them."""

import bentoml
import numpy as np
from predictor import load, rows_of

OPTIONS = {"workers": 2, "traffic": {"timeout": 60}, "logging": {"access": {"enabled": False}}}


@bentoml.service(**OPTIONS)
class Rows:
    """Trees."""

    def __init__(self):
        self.model = load()

    @bentoml.api(batchable=True, max_batch_size=64)
    def invocations(self, inputs: np.ndarray) -> np.ndarray:
        """Score rows."""
        return self.model(rows_of(inputs))


@bentoml.service(**OPTIONS)
class Signals:
    """ECG."""

    def __init__(self):
        self.model = load()

    @bentoml.api(batchable=True, max_batch_size=64)
    def invocations(self, signals: np.ndarray) -> np.ndarray:
        """Score signals."""
        return self.model(rows_of(signals))
