"""XGBoost without scikit-learn, pandas and SciPy: the same predictions, and the real ones for whoever wants them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from farero_container.serve.frameworks.xgboost_library import matrix

SOURCE = Path(__file__).resolve().parents[3] / "src"
SERVED = """
import sys
from pathlib import Path
from farero_container.serve.frameworks.xgboost import XGBoostServer
server = XGBoostServer(Path(sys.argv[1]), "3.0-5")
server.warm_up()
work = server.read(b"0.1,0.2,,0.4", {"content-type": "text/csv"})
print(server.answer(work, server.predict([work])[0]).body.decode().strip())
"""


def run(program, *arguments, path=SOURCE):
    """Run a program in a Python of its own, warnings being errors; return what it prints, by lines."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("models", [1, 2], ids=["straight into the library", "by a DMatrix"])
def test_a_served_model_needs_none_of_them_and_answers_the_same(booster, tmp_path, models):
    for number in range(models):
        booster.save_model(tmp_path / f"xgboost-model-{number}.ubj")
    expected = booster.predict(xgb.DMatrix(np.array([[0.1, 0.2, np.nan, 0.4]], np.float32)))

    answer, imported = run(
        SERVED + "print({'sklearn', 'pandas', 'scipy.sparse', 'scipy.special'} & {*sys.modules})",
        tmp_path,
    )

    assert (float(answer), imported) == (float(expected[0]), "set()")


def test_what_was_left_out_can_be_imported_later(booster, tmp_path):
    booster.save_model(tmp_path / "xgboost-model.ubj")
    later = """
import scipy.sparse, sklearn.base, xgboost
from xgboost import sklearn as estimators
rows = scipy.sparse.csr_matrix([[0.1, 0.2, 0.3, 0.4]])
data = xgboost.DMatrix(rows)
print(type(data.get_data()) is scipy.sparse.csr_matrix, estimators.XGBModel.__name__)
"""

    assert run(SERVED + later, tmp_path)[1:] == ["True XGBModel"]


def test_an_xgboost_that_needs_more_of_scipy_gets_it(tmp_path):
    package = tmp_path / "xgboost"
    package.mkdir()
    (package / "__init__.py").write_text("from .core import sparse\nfrom .sklearn import softmax\n")
    (package / "core.py").write_text("import scipy.sparse as sparse\nof = sparse.csr_matrix\n")
    (package / "sklearn.py").write_text("from scipy.special import softmax\n")
    program = """
from farero_container.serve.frameworks.xgboost_library import import_xgboost
import scipy.sparse
print(import_xgboost().core.of is scipy.sparse.csr_matrix)
"""

    assert run(program, path=f"{tmp_path}{os.pathsep}{SOURCE}") == ["True"]


def test_a_matrix_is_xgboosts_own():
    rows = np.array([[1, np.nan, 3]], np.float32)

    made = matrix(xgb, rows)

    assert made.num_nonmissing() == 2
    assert np.array_equal(made.get_data().toarray(), [[1, 0, 3]])


ESTIMATOR = """
import pathlib
import numpy as np
import xgboost
def model_fn(folder):
    model = xgboost.XGBRegressor()
    model.load_model(pathlib.Path(folder) / "xgboost-model.ubj")
    return model
def input_fn(body, kind):
    return np.array([[float(cell) for cell in body.split(",")]])
def predict_fn(rows, model):
    return model.predict(rows)
"""


def test_a_users_script_gets_the_estimators(launch, booster):
    files = {
        "xgboost-model.ubj": bytes(booster.save_raw("ubj")),
        "code/inference.py": ESTIMATOR,
    }
    server = launch(files)

    status, _, answer = server.post(b"0.1,0.2,0.3,0.4", "text/csv")

    expected = booster.predict(xgb.DMatrix(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)))
    assert (status, answer) == (200, b"[%r]" % float(expected[0])), server.log
