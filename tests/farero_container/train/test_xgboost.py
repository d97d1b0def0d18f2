"""The built-in XGBoost as a child process, against xgboost called directly."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost

if TYPE_CHECKING:
    from conftest import Box

RNG = np.random.default_rng(7)
ROWS = np.round(RNG.random((300, 5)), 4)
ROWS[:, 0] = (ROWS[:, 1] + ROWS[:, 2] + RNG.random(300) / 2 > 1.2).astype(float)
CSV = {"train": "text/csv", "validation": "text/csv"}


def _csv(rows: np.ndarray) -> str:
    return "".join(",".join(f"{cell:g}" for cell in row) + "\n" for row in rows)


def _libsvm(rows: np.ndarray) -> str:
    return "".join(
        f"{row[0]:g} " + " ".join(f"{i}:{v:g}" for i, v in enumerate(row[1:])) + "\n"
        for row in rows
    )


def _reference(params: dict[str, object], rounds: int, rows: np.ndarray = ROWS) -> np.ndarray:
    matrix = xgboost.DMatrix(rows[:, 1:].astype(np.float32), label=rows[:, 0])
    return xgboost.train(params, matrix, rounds).predict(_features(rows))


def _features(rows: np.ndarray = ROWS) -> xgboost.DMatrix:
    return xgboost.DMatrix(rows[:, 1:].astype(np.float32))


def _predict(box: Box) -> np.ndarray:
    return _booster(box).predict(_features())


def _booster(box: Box) -> xgboost.Booster:
    # XGBoost warns of a file without suffix, which is AWS's name for it; bytes have none.
    return xgboost.Booster(model_file=bytearray((box.base / "model/xgboost-model").read_bytes()))


@pytest.mark.parametrize(
    ("kind", "write"), [("text/csv", _csv), ("text/libsvm", _libsvm)], ids=["csv", "libsvm"]
)
def test_the_model_is_what_xgboost_itself_makes(box: Box, kind: str, write) -> None:
    box.put("train", "part-1", write(ROWS[:200]))
    box.put("train", "a/b/part-2", write(ROWS[200:]))
    box.put("train", "_SUCCESS", "no data")
    box.put("train", ".hidden/x", "no data")
    given = {"num_round": "9", "objective": "binary:logistic", "max_depth": "3", "eta": "0.4"}

    code, out, err = box.train(given, {"train": kind})

    rows = np.concatenate([ROWS[200:], ROWS[:200]])
    expected = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 3, "eta": 0.4},
        xgboost.DMatrix(rows[:, 1:].astype(np.float32), label=rows[:, 0]), 9,
    ).predict(_features())  # fmt: skip
    assert (code, err) == (0, "")
    assert "Train matrix has 300 rows and 4 columns" in out
    assert "farero: lenient" not in out
    np.testing.assert_array_equal(_predict(box), expected)


def test_lines_have_the_form_that_metric_definitions_read(box: Box) -> None:
    box.put("train", "t.csv", _csv(ROWS[:200]))
    box.put("validation", "v.csv", _csv(ROWS[200:]))

    code, out, _ = box.train({"num_round": "2", "eval_metric": "auc,rmse,accuracy"}, CSV)

    lines = [line for line in out.splitlines() if line.startswith("[")]
    words = [[part.partition(":")[0] for part in line.split("\t")] for line in lines]
    names = [
        f"{data}-{name}" for data in ("train", "validation") for name in ("auc", "rmse", "accuracy")
    ]
    assert (code, words) == (0, [["[0]", *names], ["[1]", *names]])


def test_a_seed_job_without_anything_is_trained_leniently(box: Box) -> None:
    box.put("train", "train.csv", "label,a,b,c,d\n" + _csv(ROWS))

    code, out, _ = box.train({}, {"train": None})

    assert code == 0
    assert out.count("farero: lenient: ") == 3
    assert "[99]\ttrain-rmse:" in out
    np.testing.assert_array_equal(_predict(box), _reference({}, 100))


def test_early_stopping_keeps_the_best_round(box: Box) -> None:
    noise = ROWS.copy()
    noise[:, 0] = RNG.integers(0, 2, len(noise))
    box.put("train", "t.csv", _csv(noise[:200]))
    box.put("validation", "v.csv", _csv(noise[200:]))
    given = {
        "num_round": "500",
        "early_stopping_rounds": "3",
        "objective": "binary:logistic",
        "eval_metric": "logloss",
    }

    code, out, _ = box.train(given, CSV)

    scores = [float(line.rpartition(":")[2]) for line in out.splitlines() if line.startswith("[")]
    kept = _booster(box).num_boosted_rounds()
    assert code == 0
    assert (kept, len(scores)) == (int(np.argmin(scores)) + 1, int(np.argmin(scores)) + 4)


def test_weights_are_taken_from_the_second_column(box: Box) -> None:
    weights = np.round(RNG.random(300) + 0.1, 3)
    box.put("train", "t.csv", _csv(np.insert(ROWS, 1, weights, axis=1)))

    code, _, _ = box.train(
        {"num_round": "5", "csv_weights": "1"}, {"train": "text/csv;label_size=1"}
    )

    matrix = xgboost.DMatrix(ROWS[:, 1:].astype(np.float32), label=ROWS[:, 0], weight=weights)
    assert code == 0
    np.testing.assert_array_equal(_predict(box), xgboost.train({}, matrix, 5).predict(_features()))


def test_many_classes(box: Box) -> None:
    rows = ROWS.copy()
    rows[:, 0] = np.arange(300) % 3
    box.put("train", "t.csv", _csv(rows))
    given = {
        "num_round": "3",
        "objective": "multi:softprob",
        "num_class": "3",
        "eval_metric": "f1_macro,merror",
    }

    code, out, _ = box.train(given, {"train": "text/csv"})

    assert code == 0
    assert _predict(box).shape == (300, 3)
    assert "[2]\ttrain-merror:" in out


def test_parquet(box: Box, tmp_path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({f"c{n}": ROWS[:, n] for n in range(5)}), tmp_path / "x")
    box.put("train", "t.parquet", (tmp_path / "x").read_bytes())

    code, _, _ = box.train({"num_round": "4"}, {"train": "application/x-parquet"})

    assert code == 0
    np.testing.assert_array_equal(_predict(box), _reference({}, 4))


@pytest.mark.parametrize(
    ("given", "files", "types", "failure", "line"),
    [
        ({"max_depth": "x"}, {"t": "1,2\n"}, {"train": "csv"}, "ClientError: Hyperparameter max_depth: could not", None),
        ({"_kfold": "3"}, {"t": "1,2\n"}, {"train": "csv"}, "ClientError: Hyperparameter _kfold: 3 folds of 1 row", None),
        ({"objective": "reg:gamma"}, {"t": "0,2\n5,1\n"}, {"train": "csv"}, "ClientError: label must be positive for", None),
        ({}, {}, {}, "ClientError: Missing required channel: train", None),
        ({}, {"t": "1,2\n"}, {"train": "csv", "test": "csv"}, "ClientError: Extraneous channel found: test", None),
        ({}, {"_x": "1,2\n"}, {"train": "csv"}, "ClientError: No data in channel 'train'", None),
        ({}, {"t": "1,2\n"}, {"train": "image/png"}, "ClientError: image/png of channel 'train' is not an acc", None),
        ({}, {"t": "1,2\n"}, {"train": "text/csv;label_size=2"}, "ClientError: text/csv;label_size=2 is not", None),
        ({}, {"t": "1,2\n3,4\n5,oops\n"}, {"train": "csv"},
         "ClientError: t line 3, column 2: 'oops' is not a number: 5,oops", 3),
        ({}, {"t": "a,b\n1,2\n\n3\n"}, {"train": "csv"}, "ClientError: t line 4 has 1 columns, line 2 has 2: 3", 4),
        ({}, {"t": "1,2\n,4\n"}, {"train": "csv"}, "ClientError: t line 2: the label (first column) is no number", 2),
        ({}, {"t": "1\n2\n"}, {"train": "csv"}, "ClientError: t has 1 column(s)", 1),
        ({}, {"t": ""}, {"train": "csv"}, "ClientError: t has no rows", None),
        ({}, {"t": "1 1:2\n0 x\n"}, {"train": "libsvm"}, "ClientError: t line 2: '0 x' is not 'LIBSVM' format", 2),
        ({}, {"t": "1,2\n", "u": "1,2,3\n"}, {"train": "csv"}, "ClientError: u has 2 features, t has 1", None),
        ({}, {"t": "PAR1"}, {"train": "parquet"}, "ClientError: t: not a Parquet file", None),
        ({"objective": "binary:logistic"}, {"t": "7,2\n8,1\n"}, {"train": "csv"}, "ClientError: ", None),
    ],
    ids=["hyperparameter", "kfold", "gamma", "no channel", "extra channel", "no data", "type", "label size", "bad cell",
         "short row", "no label", "one column", "empty", "libsvm", "widths", "parquet", "label range"],
)  # fmt: skip
def test_a_failure_says_what_to_change(box: Box, given, files, types, failure, line) -> None:
    for name, body in files.items():
        box.put("train", name, body)

    code, _, err = box.train({"num_round": "1", **given}, types)

    assert code == 1
    assert box.failure.startswith(failure)
    assert box.report["line"] == line
    assert "Traceback" not in err


def test_sigterm_saves_the_model_if_asked(box: Box) -> None:
    box.put("train", "t.csv", _csv(ROWS))
    process = box.start(
        {"num_round": "1000000", "save_model_on_termination": "true"}, {"train": "csv"}
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("[1]"):
        assert process.poll() is None

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert len(_predict(box)) == 300


def test_sigterm_ends_at_once_otherwise(box: Box) -> None:
    box.put("train", "t.csv", _csv(ROWS))
    process = box.start({"num_round": "1000000"}, {"train": "csv"})
    assert process.stdout is not None
    while not process.stdout.readline().startswith("[1]"):
        assert process.poll() is None

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert not (box.base / "model/xgboost-model").exists()
