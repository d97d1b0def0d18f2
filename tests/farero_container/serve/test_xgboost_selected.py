"""SAGEMAKER_INFERENCE_OUTPUT: what each objective can answer, in each content type."""

import json
import math

import numpy as np
import pytest
import xgboost as xgb

ROWS = np.array([[0.1, 0.2, 0.3, 0.4], [0.9, 0.8, 0.7, 0.6]], dtype=np.float32)
BODY = "\n".join(",".join(str(value) for value in row) for row in ROWS).encode()
EVERYTHING = "predicted_label,labels,probability,probabilities,raw_score,raw_scores,predicted_score"


def train(objective, classes=0):
    random = np.random.default_rng(7)
    rows = random.random((90, 4), dtype=np.float32)
    labels = np.minimum((rows[:, 0] * (classes or 2)).astype(int), (classes or 2) - 1)
    more = {"num_class": classes} if classes else {}
    return xgb.train({"objective": objective, "max_depth": 2, **more}, xgb.DMatrix(rows, labels), 5)


def serve(launch, booster, selected, **more):
    files = {"xgboost-model": bytes(booster.save_raw("ubj"))}
    return launch(files, SAGEMAKER_INFERENCE_OUTPUT=selected, **more)


def predictions(server):
    status, headers, answer = server.post(BODY, "text/csv", "application/json")
    assert (status, headers["content-type"]) == (200, "application/json")
    return json.loads(answer)["predictions"]


def test_binary_logistic_answers_with_label_and_probabilities(launch):
    booster = train("binary:logistic")
    server = serve(launch, booster, "predicted_label,labels,probability,probabilities,raw_score")

    expected = [
        {
            "predicted_label": int(score > 0.5),
            "labels": [0, 1],
            "probability": score,
            "probabilities": [1.0 - score, score],
            "raw_score": score,
        }
        for score in booster.predict(xgb.DMatrix(ROWS)).tolist()
    ]
    assert [one["predicted_label"] for one in expected] == [0, 1]
    assert predictions(server) == expected


def test_softprob_answers_with_the_best_class_and_all(launch):
    booster = train("multi:softprob", 3)
    server = serve(launch, booster, "predicted_label,labels,probability,probabilities,raw_scores")

    expected = [
        {
            "predicted_label": int(np.argmax(scores)),
            "labels": [0, 1, 2],
            "probability": max(scores),
            "probabilities": scores,
            "raw_scores": scores,
        }
        for scores in booster.predict(xgb.DMatrix(ROWS)).tolist()
    ]
    assert predictions(server) == expected


@pytest.mark.parametrize(
    ("objective", "classes", "valid"),
    [
        ("reg:squarederror", 0, {"predicted_score"}),
        ("reg:logistic", 0, {"predicted_score"}),
        ("binary:logitraw", 0, {"predicted_label", "labels", "raw_score", "raw_scores"}),
        ("binary:hinge", 0, {"predicted_label", "labels", "raw_score", "raw_scores"}),
        ("multi:softmax", 3, {"predicted_label", "labels", "raw_score", "raw_scores"}),
        ("binary:logistic", 0, set(EVERYTHING.split(",")) - {"predicted_score"}),
        ("multi:softprob", 3, set(EVERYTHING.split(",")) - {"predicted_score"}),
    ],
)
def test_what_an_objective_does_not_have_is_nan(launch, objective, classes, valid):
    server = serve(launch, train(objective, classes), EVERYTHING)

    first = predictions(server)[0]

    assert list(first) == EVERYTHING.split(",")
    assert {key for key, value in first.items() if value == value} == valid  # noqa: PLR0124 - NaN
    assert all(math.isnan(value) for key, value in first.items() if key not in valid)


def test_csv_has_a_line_a_record_with_lists_in_quotes(launch):
    booster = train("binary:logistic")
    scores = booster.predict(xgb.DMatrix(ROWS)).tolist()
    server = serve(launch, booster, "probabilities, predicted_label")

    _, headers, answer = server.post(BODY, "text/csv", "text/csv")

    lines = [f'"[{1.0 - score}, {score}]",{int(score > 0.5)}' for score in scores]
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.decode() == "\n".join(lines)


def test_batch_transform_gets_csv_with_whole_lines(launch):
    server = serve(launch, train("binary:logistic"), "predicted_label", SAGEMAKER_BATCH="true")

    assert server.post(BODY, "text/csv", "text/csv")[2] == b"0\n1\n"


@pytest.mark.parametrize("version", ["1.0-1", "3.0-5"])
def test_jsonlines_are_for_every_version_when_answers_are_selected(launch, version):
    server = serve(launch, train("binary:logistic"), "predicted_label", version=version)

    _, headers, answer = server.post(BODY, "text/csv", "application/jsonlines")

    assert headers["content-type"] == "application/jsonlines"
    assert answer == b'{"predicted_label": 0}\n{"predicted_label": 1}\n'


def test_a_key_that_nobody_knows_is_nan_with_a_warning(launch):
    server = serve(launch, train("binary:logistic"), "Predicted_Labels,predicted_label")

    first = predictions(server)[0]

    assert math.isnan(first.pop("predicted_labels"))
    assert first == {"predicted_label": 0}


def test_a_model_without_selectable_answers_says_so_at_the_start(launch):
    server = serve(launch, train("rank:pairwise"), "predicted_label")

    report = server.failure

    assert (server.is_ready, server.process.returncode) == (False, 1)
    assert "the objective rank:pairwise has no selectable answers" in report["message"]
    assert report["fix"] == "Remove SAGEMAKER_INFERENCE_OUTPUT from the model's environment."
