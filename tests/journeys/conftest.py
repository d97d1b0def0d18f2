"""A trained model that several journeys deploy."""

import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb


@dataclass
class Archive:
    """A model.tar.gz, with the booster in it."""

    path: Path
    booster: xgb.Booster

    def predict(self, rows):
        """Return what the booster itself says about rows."""
        return self.booster.predict(xgb.DMatrix(np.asarray(rows, dtype=np.float32))).tolist()


@pytest.fixture(scope="session")
def xgboost_archive(tmp_path_factory):
    """A model of four features."""
    folder = tmp_path_factory.mktemp("model")
    rows = np.random.default_rng(3).random((500, 4), dtype=np.float32)
    booster = xgb.train({"max_depth": 3}, xgb.DMatrix(rows, rows.sum(axis=1)), 20)
    booster.save_model(folder / "model.ubj")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "model.ubj", "model.ubj")
    return Archive(folder / "model.tar.gz", booster)
