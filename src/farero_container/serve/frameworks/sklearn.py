"""scikit-learn's defaults: `predict` of a joblib or pickle file; AWS itself wants a model_fn for it."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.contract import StartUpError
from farero_container.serve import content
from farero_container.serve.handler import Defaults, UnsupportedFormat, decode

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("model.joblib", "model.pkl", "model.pickle")
SUFFIXES = (".joblib", ".pkl", ".pickle")
#: Rows that are predicted together at most.
MAX_BATCH = 64
#: Estimators that look at each row by itself. Linear models, SVMs, networks and neighbours multiply matrices, and BLAS
#: adds up in another order for another number of rows: their last digits depend on the batch.
_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor",
          "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
          "GradientBoostingClassifier", "GradientBoostingRegressor", "HistGradientBoostingClassifier",
          "HistGradientBoostingRegressor")  # fmt: skip
_BEFORE = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "SimpleImputer")


class Sklearn(Defaults):
    """What is done where inference.py says nothing."""

    def __init__(self) -> None:
        try:
            sklearn: Any = importlib.import_module("sklearn")  # heavy and optional
        except ImportError as error:
            raise StartUpError(
                "E-NO-FRAMEWORK",
                f"scikit-learn cannot be imported: {error}",
                fix="pip install 'farero[sklearn]'",
            ) from error
        self.name = f"scikit-learn {sklearn.__version__}"

    def max_batch(self, model: Any) -> int:
        """Return how many rows go together: many, where a row's result never depends on others."""
        return MAX_BATCH if is_row_by_row(model) else 1

    def load(self, model_dir: Path) -> Any:
        """Load the one joblib or pickle file."""
        found = [model_dir / name for name in NAMES if (model_dir / name).is_file()]
        found = found or sorted(p for p in model_dir.iterdir() if p.suffix in SUFFIXES)
        if len(found) != 1:
            raise StartUpError(
                "E-NO-MODEL-FILE",
                f"model.tar.gz has {len(found)} scikit-learn files; expected one of {', '.join(NAMES)}",
                fix="Save it with joblib.dump(model, 'model.joblib'), or add code/inference.py with a model_fn.",
            )
        print("farero: lenient: no model_fn; AWS's scikit-learn container needs one", flush=True)
        print("farero: warning: the model is a pickle; unpickling runs code", flush=True)
        joblib: Any = importlib.import_module("joblib")  # comes with scikit-learn

        with warnings.catch_warnings(record=True) as noticed:
            warnings.simplefilter("always")
            try:
                model = joblib.load(found[0])
            except ImportError as error:
                raise StartUpError(
                    "E-IMPORT", f"{found[0].name} needs a package that is not here: {error}", file=found[0].name,
                    fix=f"Add {error.name or 'it'} to code/requirements.txt.",
                ) from error  # fmt: skip
            except Exception as error:
                raise StartUpError(
                    "E-MODEL-LOAD", f"{found[0].name}: {type(error).__name__}: {error}", file=found[0].name,
                    fix="Save it again with the scikit-learn version that serves it.",
                ) from error  # fmt: skip
        for warning in noticed:
            print(f"farero: warning: {warning.message}", file=sys.stderr, flush=True)
        return model

    def decode(self, body: bytes, content_type: str) -> Any:
        """Return rows as float32, as AWS's container does for JSON and CSV."""
        try:
            if content_type in ("application/json", "text/csv", ""):
                return content.decode(body, content_type)
            return np.atleast_2d(decode(body, content_type))
        except content.Undecodable as error:
            raise UnsupportedFormat(f"Unable to read the payload: {error}.") from error


def is_row_by_row(model: Any) -> bool:
    """Say whether a fitted model predicts each row by itself, bit for bit: trees, also after plain scaling."""
    name = type(model).__name__
    if not type(model).__module__.startswith("sklearn."):
        return False  # somebody's own class may do anything
    if name == "Pipeline":
        *before, last = [step for _, step in model.steps]
        return is_row_by_row(last) and all(
            type(step).__name__ in _BEFORE and type(step).__module__.startswith("sklearn.")
            for step in before
            if step not in (None, "passthrough")
        )
    # GradientBoosting may begin with any other model
    return name in _TREES and getattr(model, "init", None) in (None, "zero")
