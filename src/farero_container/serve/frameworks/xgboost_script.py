"""XGBoost with the user's own inference.py: DMatrix in, `predict` on it."""

from __future__ import annotations

import math
from typing import Any

from farero_container.serve import content
from farero_container.serve.frameworks.xgboost_library import import_whole
from farero_container.serve.handler import Defaults, UnsupportedFormat


class XGBoostScript(Defaults):
    """What is done where inference.py says nothing."""

    def __init__(self) -> None:
        self._xgb = import_whole()
        self.name = f"XGBoost {self._xgb.__version__}"

    def decode(self, body: bytes, content_type: str) -> Any:
        """Return a DMatrix."""
        try:
            return self._xgb.DMatrix(
                content.decode(body, content_type), missing=math.nan, nthread=1
            )
        except content.Undecodable as error:
            raise UnsupportedFormat(f"Unable to read the payload: {error}.") from error

    def predict(self, data: Any, model: Any) -> Any:
        """Predict without asking for feature names."""
        return model.predict(data, validate_features=False)
