"""Cross-validation, checkpoints, early stopping and what else surrounds the boosting, in a child process."""

from __future__ import annotations

import resource
import shutil
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost

from farero_container.train.algorithms.boosting import in_words, logged_name
from farero_container.train.algorithms.folds import split
from farero_container.train.recordio import MAGIC

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Box

RNG = np.random.default_rng(11)
ROWS = np.round(RNG.random((120, 4)), 4)
ROWS[:, 0] = (ROWS[:, 1] > 0.4).astype(float)
FEATURES = xgboost.DMatrix(ROWS[:, 1:].astype(np.float32))


def _csv(rows: np.ndarray = ROWS) -> str:
    return "".join(",".join(f"{cell:g}" for cell in row) + "\n" for row in rows)


def _booster(path: Path) -> xgboost.Booster:
    return xgboost.Booster(model_file=bytearray(path.read_bytes()))


def _lines(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("[")]


def test_each_fold_has_a_model_that_has_not_seen_its_rows(box: Box) -> None:
    box.put("train", "t.csv", _csv(ROWS[:90]))
    box.put("validation", "v.csv", _csv(ROWS[90:]))
    given = {"num_round": "3", "_kfold": "4", "_num_cv_round": "2", "objective": "binary:logistic",
             "eval_metric": "logloss,accuracy", "seed": "5"}  # fmt: skip

    code, out, err = box.train(given, {"train": "csv", "validation": "csv"})

    told = np.loadtxt(box.base / "output/data/predictions.csv", delimiter=",")
    models = sorted(path.name for path in (box.base / "model").iterdir())
    predicted = np.array([_booster(box.base / "model" / name).predict(FEATURES) for name in models])
    random = np.random.default_rng(5)
    expected = np.zeros(120)
    for turn in range(2):
        for number, rows in enumerate(split(ROWS[:, 0], 120, 4, random)):
            expected[rows] += predicted[turn * 4 + number, rows] / 2
    assert (code, err) == (0, "")
    assert models == [f"xgboost-model-{n}" for n in range(8)]
    assert "Run 2-round of 4-fold cross validation with 120 rows" in out
    np.testing.assert_array_equal(told[:, 0], ROWS[:, 0])
    np.testing.assert_allclose(told[:, 1], expected, atol=1e-6)
    assert set(told[:, 2]) == {0.0, 1.0}


def test_the_metrics_of_cross_validation_are_means_of_the_folds(box: Box) -> None:
    box.put("train", "t.csv", _csv())

    code, out, _ = box.train(
        {"num_round": "2", "_kfold": "3", "eval_metric": "rmse"}, {"train": "csv"}
    )

    last = [line for line in _lines(out) if line.startswith("[1]")]
    means = [
        np.mean([float(line.split("\t")[n].rpartition(":")[2]) for line in last]) for n in (1, 2)
    ]
    mean = _lines(out)[-1].split("\t")
    assert (code, len(last)) == (0, 3)
    assert mean[0] == "[2]"
    assert [part.partition(":")[0] for part in mean[1:]] == ["train-rmse", "validation-rmse"]
    assert [float(part.rpartition(":")[2]) for part in mean[1:]] == pytest.approx(means, abs=1e-4)


@pytest.mark.parametrize("classes", [None, 2, 3])
def test_folds_are_disjoint_even_and_stratified(classes: int | None) -> None:
    labels = None if classes is None else RNG.integers(0, classes, 101)

    folds = list(split(labels, 101, 5, np.random.default_rng(0)))

    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(101))
    assert {len(rows) for rows in folds} == {20, 21}
    counts = [np.bincount(labels[rows], minlength=classes) for rows in folds] if classes else [0]
    assert np.ptp(counts, axis=0).max() <= 1


def test_training_continues_from_the_newest_checkpoint(box: Box) -> None:
    box.put("train", "t.csv", _csv())
    checkpoints = box.base / "checkpoints"
    checkpoints.mkdir()
    box.train({"num_round": "8"}, {"train": "csv"})
    whole = (box.base / "model/xgboost-model").read_bytes()
    kept = sorted(path.name for path in checkpoints.iterdir())
    (checkpoints / "xgboost-checkpoint.7").unlink()
    (checkpoints / "xgboost-checkpoint.6").write_bytes(b"broken")
    shutil.rmtree(box.base / "model")

    code, out, _ = box.train({"num_round": "8"}, {"train": "csv"})

    assert kept == [f"xgboost-checkpoint.{n}" for n in range(3, 8)]
    assert code == 0
    assert "Resuming from round 6 of 8" in out
    assert [line.partition("\t")[0] for line in _lines(out)] == ["[6]", "[7]"]
    resumed = _booster(box.base / "model/xgboost-model")
    whole_booster = xgboost.Booster(model_file=bytearray(whole))
    np.testing.assert_allclose(
        resumed.predict(FEATURES), whole_booster.predict(FEATURES), atol=1e-6
    )


def test_a_job_that_was_done_saves_its_last_checkpoint(box: Box) -> None:
    box.put("train", "t.csv", _csv())
    (box.base / "checkpoints").mkdir()
    box.train({"num_round": "3"}, {"train": "csv"})

    code, _, _ = box.train({"num_round": "3"}, {"train": "csv"})

    assert code == 0
    assert _booster(box.base / "model/xgboost-model").num_boosted_rounds() == 3


def test_the_metric_that_tuning_asks_for_is_in_the_log(box: Box) -> None:
    box.put("train", "t.csv", _csv())
    box.put("validation", "v.csv", _csv())
    given = {
        "num_round": "1",
        "objective": "binary:logistic",
        "_tuning_objective_metric": "validation:f1",
    }

    code, out, _ = box.train(given, {"train": "csv", "validation": "csv"})

    assert code == 0
    assert "validation-f1:" in _lines(out)[0]


def test_early_stopping_watches_the_last_metric_named(box: Box) -> None:
    box.put("train", "t.csv", _csv())
    box.put("validation", "v.csv", _csv())
    # XGBoost logs its own metrics first, and error@0.5 as `error`; logloss alone would go on.
    given = {"num_round": "90", "objective": "binary:logistic", "early_stopping_rounds": "4",
             "eval_metric": "accuracy,logloss,error@0.5"}  # fmt: skip

    code, out, _ = box.train(given, {"train": "csv", "validation": "csv"})

    assert (code, len(_lines(out))) == (0, 5)


@pytest.mark.parametrize(
    ("metric", "logged", "name"),
    [
        ("rmse", ["rmse", "mae"], "rmse"),
        ("error@0.5", ["error", "auc"], "error"),
        ("tweedie-nloglik", ["tweedie-nloglik@1.5", "rmse"], "tweedie-nloglik@1.5"),
        ("ndcg@3-", ["map", "ndcg@3-"], "ndcg@3-"),
        ("what", ["map", "rmse"], "rmse"),
    ],
)
def test_a_metric_is_found_under_the_name_it_is_logged_by(metric, logged, name) -> None:
    assert logged_name(metric, logged) == name


@pytest.mark.parametrize("booster", ["gblinear", "dart"])
def test_other_boosters(box: Box, booster: str) -> None:
    box.put("train", "t.csv", _csv())

    code, _, _ = box.train({"num_round": "4", "booster": booster, "seed": "3", "nthread": "1",
                            **({"updater": "coord_descent"} if booster == "gblinear" else {"rate_drop": "0.5"})},
                           {"train": "csv"})  # fmt: skip

    params = {"booster": booster, "seed": 3, "nthread": 1}
    params |= {"updater": "coord_descent"} if booster == "gblinear" else {"rate_drop": 0.5}
    matrix = xgboost.DMatrix(ROWS[:, 1:].astype(np.float32), label=ROWS[:, 0])
    expected = xgboost.train(params, matrix, 4)
    assert code == 0
    np.testing.assert_allclose(
        _booster(box.base / "model/xgboost-model").predict(FEATURES),
        expected.predict(FEATURES),
        atol=1e-6,
    )


def test_survival_without_bounds_takes_labels_as_seen(box: Box) -> None:
    box.put("train", "t.csv", _csv(ROWS + 1))

    code, out, _ = box.train({"num_round": "2", "objective": "survival:aft"}, {"train": "csv"})

    assert code == 0
    assert "farero: lenient: survival:aft" in out


def test_recordio(box: Box) -> None:
    def tensor(values: np.ndarray) -> bytes:
        packed = values.astype("<f4").tobytes()
        inner = bytes([10, len(packed)]) + packed
        value = bytes([18, len(inner)]) + inner
        return bytes([10, 1]) + b"v" + bytes([18, len(value)]) + value

    body = b""
    for row in ROWS:
        features, label = tensor(row[1:]), tensor(row[:1])
        record = bytes([10, len(features)]) + features + bytes([18, len(label)]) + label
        body += struct.pack("<II", MAGIC, len(record)) + record + bytes(-len(record) % 4)
    box.put("train", "t.rec", body)

    code, _, _ = box.train({"num_round": "3"}, {"train": "application/x-recordio-protobuf"})

    matrix = xgboost.DMatrix(ROWS[:, 1:].astype(np.float32), label=ROWS[:, 0].astype(np.float32))
    expected = xgboost.train({}, matrix, 3).predict(FEATURES)
    assert code == 0
    np.testing.assert_array_equal(
        _booster(box.base / "model/xgboost-model").predict(FEATURES), expected
    )


def test_the_words_of_an_error_are_xgboosts_without_its_paths() -> None:
    text = "[12:30:01] /workspace/src/objective/x.cu:83: Check failed: ok: label must be positive\nStack trace:\n  [1]"

    error = in_words(ValueError(text))

    assert (error.cause, error.message) == ("E-DATA", "ok: label must be positive")


def test_a_small_job_is_quick(box: Box) -> None:
    box.put("train", "t.csv", _csv())
    box.train({"num_round": "1"}, {"train": "csv"})  # once, for the bytecode and the disk

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, _, _ = box.train({"num_round": "10", "nthread": "1"}, {"train": "csv"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert code == 0
    assert spent_s < 2.5
