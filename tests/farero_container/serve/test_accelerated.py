"""The XGBoost server, accelerated: who asked for it, what is proven, kept and said; the default is untouched."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

SOURCE = Path(__file__).resolve().parents[3] / "src"
ASKED = {"FARERO_ACCELERATE": "onnx"}


@pytest.fixture(scope="module")
def classes():
    """Three classes, with missing values and an early stop."""
    random = np.random.default_rng(3)
    rows = random.normal(size=(600, 4)).astype(np.float32)
    rows[random.random(rows.shape) < 0.1] = np.nan
    labels = (np.nansum(rows[:, :2], axis=1) > 0).astype(int) + (np.nan_to_num(rows[:, 2]) > 1)
    data, held = xgb.DMatrix(rows[:400], labels[:400]), xgb.DMatrix(rows[400:], labels[400:])
    return xgb.train(
        {"objective": "multi:softprob", "num_class": 3, "max_depth": 4, "eta": 1, "nthread": 1},
        data, 40, evals=[(held, "held")], early_stopping_rounds=2, verbose_eval=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def deep():
    """Trees of more leaves than a mask has bits."""
    random = np.random.default_rng(9)
    rows = random.normal(size=(2000, 4)).astype(np.float32)
    labels = np.sin(rows * 3).sum(axis=1) + random.normal(size=2000)
    booster = xgb.train({"max_depth": 9, "nthread": 1}, xgb.DMatrix(rows, labels, nthread=1), 12)
    assert max(tree.count("leaf=") for tree in booster.get_dump()) > 64
    return booster


def test_answers_through_leaf_masks_are_the_models_and_it_says_so(launch, classes):
    server = launch({"xgboost-model": bytes(classes.save_raw("ubj"))}, **ASKED)
    rows = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    rows[::7, 1] = np.nan
    body = "\n".join(",".join(map(str, row)) for row in rows.tolist())

    status, _, answer = server.post(body, "text/csv", "application/json")

    last = classes.best_iteration + 1
    assert last < classes.num_boosted_rounds()
    scores = [one["score"] for one in json.loads(answer)["predictions"]]
    wanted = classes.predict(xgb.DMatrix(rows), iteration_range=(0, last))
    assert status == 200
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)
    told = json.loads((server.base / "output" / "engine.json").read_text(encoding="utf-8"))
    assert told["engine"] == "leaf-masks"
    assert told["version"]
    assert "accelerated by leaf masks: " in server.log
    assert "serving XGBoost by leaf masks, 1 model(s) of 4 features" in server.log
    assert f"the same leaf in each of {3 * last} trees, sums bit for bit" in told["text"]


def test_trees_of_many_leaves_are_run_by_onnx_runtime(launch, deep):
    server = launch({"xgboost-model": bytes(deep.save_raw("ubj"))}, **ASKED)
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    body = "\n".join(",".join(map(str, row)) for row in rows.tolist())

    status, _, answer = server.post(body, "text/csv")

    told = json.loads((server.base / "output" / "engine.json").read_text(encoding="utf-8"))
    wanted = deep.predict(xgb.DMatrix(rows, nthread=1))
    assert (status, told["engine"]) == (200, "onnxruntime")
    assert [np.float32(v) for v in answer.split()] == wanted.tolist()
    assert f"accelerated by ONNX Runtime {told['version']}" in server.log
    assert "the same leaf in each of 12 trees, sums bit for bit" in told["text"]


def test_nobody_asked_so_nothing_is_accelerated(server):
    assert "accelerated" not in server.log
    assert not (server.base / "output" / "engine.json").exists()


@pytest.mark.parametrize("kind", ["booster", "deep"])
def test_a_later_start_finds_the_proof_and_does_not_import_xgboost(launch, kind, request, tmp_path):
    files = {"xgboost-model": bytes(request.getfixturevalue(kind).save_raw("ubj"))}
    env = {**ASKED, "FARERO_KEPT_DIR": str(tmp_path / "kept")}
    first = launch(files, **env)
    said = [s.post(b"0.1,,0.3,0.4", "text/csv")[2] for s in (first, launch(files, **env))]

    server = launch(files, PYTHONPROFILEIMPORTTIME="1", **env)

    assert server.post(b"0.1,,0.3,0.4", "text/csv")[2] == said[0] == said[1]
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in server.log.splitlines()
        if "import time:" in line
    }
    assert ("onnxruntime" in imported) == (kind == "deep")
    assert "xgboost" not in imported
    assert "parity proven on 20,000 rows" in server.log


@pytest.mark.parametrize("kind", ["booster", "deep"])
def test_large_batches_are_the_boosters_too_after_a_later_start(launch, kind, request, tmp_path):
    booster = request.getfixturevalue(kind)
    files = {"xgboost-model": bytes(booster.save_raw("ubj"))}
    env = {**ASKED, "FARERO_KEPT_DIR": str(tmp_path)}
    launch(files, **env)
    rows = np.random.default_rng(6).random((400, 4), dtype=np.float32)
    body = "\n".join(",".join(map(str, row)) for row in rows.tolist())

    server = launch(files, **env)
    answers = [server.post(body, "text/csv")[2].decode().split() for _ in range(20)]

    wanted = [str(v) for v in booster.predict(xgb.DMatrix(rows, nthread=1)).tolist()]
    assert answers == [wanted] * 20


def test_another_model_finds_no_proof_of_the_first(launch, booster, classes, tmp_path):
    env = {**ASKED, "FARERO_KEPT_DIR": str(tmp_path)}
    launch({"xgboost-model": bytes(booster.save_raw("ubj"))}, **env)

    server = launch({"xgboost-model": bytes(classes.save_raw("ubj"))}, **env)

    assert server.post(b"1,2,3,4", "text/csv")[2].count(b",") == 2
    assert len(list(tmp_path.glob("*.proven"))) == 2


@pytest.fixture(scope="module")
def fast(launch, booster):
    """The same model as `server` has, accelerated."""
    return launch({"xgboost-model": bytes(booster.save_raw("ubj"))}, **ASKED)


@pytest.mark.parametrize("damage", [b"", b"x" * 5000, b"\x93NUMPY\x01\x00"])
def test_a_damaged_proof_is_made_anew(launch, booster, tmp_path, damage):
    files = {"xgboost-model": bytes(booster.save_raw("ubj"))}
    env = {**ASKED, "FARERO_KEPT_DIR": str(tmp_path)}
    launch(files, **env)
    (kept,) = tmp_path.glob("*.proven")
    whole = kept.read_bytes()
    kept.write_bytes(hashlib.sha256(damage).digest() + damage if damage else whole[:-1])

    server = launch(files, **env)

    assert server.post(b"1,2,3,4", "text/csv")[0] == 200
    now = kept.read_bytes()
    assert now[:32] == hashlib.sha256(now[32:]).digest()
    assert abs(len(now) - len(whole)) < 20


def test_a_proof_in_the_model_archive_is_not_believed(launch, booster, tmp_path):
    env = {**ASKED, "FARERO_KEPT_DIR": str(tmp_path)}
    launch({"xgboost-model": bytes(booster.save_raw("ubj"))}, **env)
    (kept,) = tmp_path.glob("*.proven")
    other = {"xgboost-model": bytes(booster[:1].save_raw("ubj")), kept.name: kept.read_bytes()}

    server = launch(other, **env)

    assert "in each of 1 trees" in server.log


def test_an_infinite_number_is_refused_as_the_booster_refuses_it(server, fast):
    slow, quick = (one.post(b"0.1,inf,0.3,0.4", "text/csv") for one in (server, fast))

    assert (quick[0], slow[0]) == (400, 400)
    words = b"Input data contains `inf` or a value too large, while `missing` is not set to `inf`"
    assert words in quick[2]
    assert words in slow[2]


@pytest.mark.parametrize("value", ["3.4e38", "-3.4e38", "nan", "-0.0", "1e-45"])
def test_extreme_numbers_are_answered_as_the_booster_does(server, fast, value):
    body = f"{value},{value},{value},{value}".encode()

    assert fast.post(body, "text/csv") == server.post(body, "text/csv")


def categorical():
    rows = np.random.default_rng(5).integers(0, 6, (200, 2)).astype(np.float32)
    data = xgb.DMatrix(rows, rows[:, 0] % 2, feature_types=["c", "q"], enable_categorical=True)
    return xgb.train({"max_cat_to_onehot": 1, "nthread": 1}, data, 3)


def linear():
    rows = np.random.default_rng(5).random((50, 2), dtype=np.float32)
    return xgb.train({"booster": "gblinear", "nthread": 1}, xgb.DMatrix(rows, rows[:, 0]), 3)


def vectors():
    rows = np.random.default_rng(5).random((50, 2), dtype=np.float32)
    given = {"multi_strategy": "multi_output_tree", "tree_method": "hist", "nthread": 1}
    return xgb.train(given, xgb.DMatrix(rows, rows), 3)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (categorical, "it splits on categories"),
        (linear, "the booster is gblinear, not trees"),
        (vectors, "its leaves hold vectors"),
    ],
)
def test_what_cannot_be_converted_is_served_by_the_booster_with_the_reason(launch, make, reason):
    booster = make()

    server = launch({"xgboost-model": bytes(booster.save_raw("ubj"))}, **ASKED)

    told = json.loads((server.base / "output" / "engine.json").read_text(encoding="utf-8"))
    kinds = {"feature_types": ["c", "q"], "enable_categorical": True} if make is categorical else {}
    wanted = booster.predict(xgb.DMatrix(np.array([[1.0, 0.5]], np.float32), **kinds))
    answer = json.loads(server.post(b'{"inputs": [[1, 0.5]]}', "application/json")[2])
    assert answer["predictions"][0]["score"] == wanted[0].tolist()
    assert told["engine"] == "xgboost"
    assert told["text"].startswith(f"not accelerated: {reason}")
    assert f"farero: {told['text']}" in server.log


def test_a_wish_that_is_not_known_is_refused_by_name(launch, booster):
    server = launch({"xgboost-model": bytes(booster.save_raw("ubj"))}, FARERO_ACCELERATE="tensorrt")

    assert "not accelerated: FARERO_ACCELERATE='tensorrt' is not known; use onnx" in server.log
    assert server.post(b"1,2,3,4", "text/csv")[0] == 200


def test_without_onnx_runtime_the_booster_serves_what_only_that_could(
    launch, booster, deep, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules['onnxruntime'] = None\n", encoding="utf-8"
    )
    env = {"PYTHONPATH": f"{tmp_path}:{SOURCE}", **ASKED}

    server = launch({"xgboost-model": bytes(deep.save_raw("ubj"))}, **env)
    other = launch({"xgboost-model": bytes(booster.save_raw("ubj"))}, **env)

    assert "onnxruntime cannot be imported" in server.log
    assert "pip install 'farero[accelerate]'" in server.log
    assert server.post(b"1,2,3,4", "text/csv")[0] == 200
    assert "accelerated by leaf masks" in other.log


def test_several_models_answer_their_mean(launch, booster, deep):
    both = {
        "xgboost-model-1": bytes(booster.save_raw("ubj")),
        "xgboost-model-2": bytes(booster[:10].save_raw("ubj")),
    }
    row = b"0.5,0.25,,1"

    assert launch(both, **ASKED).post(row, "text/csv") == launch(both).post(row, "text/csv")

    mixed = both | {"xgboost-model-2": bytes(deep.save_raw("ubj"))}
    server = launch(mixed, **ASKED)
    assert "accelerated by leaf masks and ONNX Runtime" in server.log
    assert server.post(row, "text/csv") == launch(mixed).post(row, "text/csv")


def test_selected_answers_are_the_same(launch, classes):
    files = {"xgboost-model": bytes(classes.save_raw("ubj"))}
    wish = {"SAGEMAKER_INFERENCE_OUTPUT": "predicted_label,labels,probability"}

    found, wanted = (
        json.loads(
            launch(files, **wish, **more).post(b"1,2,3,4", "text/csv", "application/json")[2]
        )
        for more in (ASKED, {})
    )

    (one,), (other,) = found["predictions"], wanted["predictions"]
    assert one | {"probability": 0} == other | {"probability": 0}
    assert math.isclose(one["probability"], other["probability"], rel_tol=1e-6)
