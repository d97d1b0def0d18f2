"""TorchServe's custom handler: one predict for all requests of a batch."""

from __future__ import annotations

import numpy as np
from predictor import load, rows_of


class Handler:
    """What TorchServe looks for."""

    def initialize(self, context: object) -> None:  # noqa: ARG002 - its interface
        """Load the model."""
        self.predict = load()

    def handle(self, requests: list, context: object) -> list:  # noqa: ARG002 - its interface
        """Answer a batch; a body of JSON comes parsed."""
        bodies = [next(iter(request["body"].values())) for request in requests]
        scores = self.predict(rows_of(bodies).reshape(-1, *np.shape(bodies[0])[1:])).tolist()
        return [{"predictions": [score]} for score in scores]
