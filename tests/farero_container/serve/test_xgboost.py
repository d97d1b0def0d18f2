"""The built-in XGBoost server: content types, answers per image version, and what is refused, how."""

import json
import math
import pickle

import numpy as np
import pytest
import xgboost as xgb

ROW = b"0.1,0.2,0.3,0.4"


def local(booster, rows):
    return [str(v) for v in booster.predict(xgb.DMatrix(np.array(rows, dtype=np.float32))).tolist()]


def test_predictions_are_the_local_models_bit_for_bit(server, booster):
    rows = np.random.default_rng(1).random((500, 4), dtype=np.float32)
    body = "\n".join(",".join(repr(float(v)) for v in row) for row in rows)

    status, headers, answer = server.post(body, "text/csv")

    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.decode().split() == local(booster, rows)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (ROW, "text/csv"),
        (b"0.1;0.2;0.3;0.4\n", "text/csv; charset=utf-8"),
        (b"0.1\t0.2\t0.3\t0.4", "csv"),
        (b"0:0.1 1:0.2 2:0.3 3:0.4", "text/libsvm"),
        (b"7 0:0.1 1:0.2 2:0.3 3:0.4", "text/x-libsvm"),
    ],
    ids=["csv", "semicolons", "tabs", "libsvm", "libsvm with a label"],
)
def test_what_aws_takes_is_taken(server, booster, body, kind):
    status, headers, answer = server.post(body, kind)

    assert (status, answer.decode().strip()) == (200, local(booster, [[0.1, 0.2, 0.3, 0.4]])[0])
    assert "x-farero-compat" not in headers


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"inputs": [[0.1, 0.2, 0.3, 0.4]]}', "application/json"),
        (b'{"instances": [{"features": [0.1, 0.2, 0.3, 0.4]}]}', "application/json"),
        (b"[0.1, 0.2, 0.3, 0.4]", "application/json"),
        (b'{"inputs": [[0.1, 0.2, 0.3, 0.4]]}', "application/octet-stream"),
        (b"0.1,0.2,0.3,0.4", "application/octet-stream"),
        (b'{"features": [0.1, 0.2, 0.3, 0.4]}\n', "application/jsonlines"),
    ],
)
def test_what_aws_refuses_is_taken_and_said_so(server, booster, body, kind):
    status, headers, answer = server.post(body, kind)

    assert (status, headers["x-farero-compat"]) == (200, "aws-would-415")
    assert local(booster, [[0.1, 0.2, 0.3, 0.4]])[0] in answer.decode()


def test_an_empty_cell_is_missing(server, booster):
    answer = server.post(b"0.1,,0.3,nan", "text/csv")[2].decode().strip()

    assert answer == local(booster, [[0.1, math.nan, 0.3, math.nan]])[0]


@pytest.mark.parametrize("version", ["1.0-1", "1.2-1", "1.7-1", "3.0-5"])
def test_two_rows_are_answered_as_the_images_version_does(launch, booster, version):
    server = launch({"xgboost-model": bytes(booster.save_raw("ubj"))}, version=version)
    scores = local(booster, [[0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1]])

    plain = server.post(ROW + b"\n1,1,1,1", "text/csv")[2].decode()
    as_json = server.post(ROW, "text/csv", "application/json")

    if version == "1.0-1":
        assert plain == ",".join(scores)
        assert (as_json[0], as_json[1]["content-type"]) == (200, "text/csv; charset=utf-8")
    else:
        assert plain == "\n".join(scores) + "\n"
        assert json.loads(as_json[2]) == {"predictions": [{"score": float(scores[0])}]}


@pytest.mark.parametrize(
    ("body", "kind", "accept", "status", "words"),
    [
        (b"", "text/csv", None, 204, ""),
        (b"1,2", "text/csv", None, 400, "2 columns came, the model has 4 features"),
        (b"a,b,c,d", "text/csv", None, 415, "row 1, column 1: 'a' is not a number"),
        (b"1,2,3,4\n1,2", "text/csv", None, 415, "row 2 has 2 columns, row 1 has 4"),
        (b"\xff\xfe", "text/csv", None, 415, "not UTF-8"),
        (b'{"inputs": [[1', "application/json", None, 415, "malformed JSON at line 1"),
        (b'{"rows": []}', "application/json", None, 415, "needs one of the keys"),
        (b"1", "image/png", None, 415, "image/png is not an accepted ContentType"),
        (ROW, "text/csv", "image/png", 406, "Accept type image/png is not supported"),
    ],
)
def test_a_refusal_says_what_came_what_is_expected_and_what_works(
    server, body, kind, accept, status, words
):
    found, _, answer = server.post(body, kind, accept)
    text = answer.decode()

    assert found == status
    assert words in text
    if status != 204:
        assert "4 features" in text
        assert "curl -H 'Content-Type: text/csv' --data '1,1,1,1'" in text
        assert "Traceback" not in text


PIECES = [
    "",
    "null",
    "NaN",
    "-Infinity",
    "[",
    "]",
    "{",
    "}",
    '"x"',
    "1e400",
    "-0",
    "1",
    ",",
    "\n",
    ":",
    "\x00",
    "true",
    "ü",
]


def test_five_hundred_malformed_bodies_are_refused_and_the_server_lives(server):
    random = np.random.default_rng(3)
    kinds = [
        "text/csv",
        "application/json",
        "text/libsvm",
        "application/jsonlines",
        "application/x-npy",
        "",
        "x/y",
    ]
    statuses = set()
    for number in range(500):
        body = "".join(random.choice(PIECES) for _ in range(number % 12 + 1)).encode()
        body = bytes(random.integers(0, 256, 40, dtype=np.uint8)) if number % 9 == 0 else body
        status, _, answer = server.post(body, kinds[number % len(kinds)])
        statuses.add(status)
        assert status < 500, (body, answer)
        assert b"Traceback" not in answer

    assert server.post(ROW, "text/csv")[0] == 200
    assert {400, 415} <= statuses


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("NaN", math.nan), ("null", math.nan), ('""', math.nan), ("Infinity", math.inf), ("1e400", math.inf),
        ("-0", -0.0), ("1e-45", 1e-45), (str(10**400), math.inf), ("true", 1.0), ('"0.5"', 0.5),
    ],
)  # fmt: skip
def test_odd_numbers_have_a_documented_meaning(server, booster, value, meaning):
    status, _, answer = server.post(f'{{"inputs": [[{value}, 1, 1, 1]]}}', "application/json")

    # XGBoost itself refuses infinite input.
    if math.isinf(meaning):
        assert (status, b"Unable to evaluate payload" in answer) == (400, True)
    else:
        assert json.loads(answer)["predictions"][0]["score"] == float(
            local(booster, [[meaning, 1, 1, 1]])[0]
        )


def test_classes_are_columns_in_csv_and_a_list_in_json(launch):
    random = np.random.default_rng(7)
    rows, labels = random.random((90, 4), dtype=np.float32), np.arange(90) % 3
    trained = xgb.train(
        {"objective": "multi:softprob", "num_class": 3}, xgb.DMatrix(rows, labels), 5
    )
    server = launch({"xgboost-model": bytes(trained.save_raw("ubj"))})
    expected = trained.predict(
        xgb.DMatrix(np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float32))
    ).tolist()[0]

    plain = server.post(ROW, "text/csv")[2].decode()
    as_json = json.loads(server.post(ROW, "text/csv", "application/json")[2])

    assert plain == ",".join(map(str, expected)) + "\n"
    assert as_json == {"predictions": [{"score": expected}]}


def test_several_models_are_an_ensemble(launch, booster):
    random = np.random.default_rng(9)
    rows = random.random((100, 4), dtype=np.float32)
    other = xgb.train({"max_depth": 2}, xgb.DMatrix(rows, rows[:, 0]), 5)
    files = {
        "xgboost-model-0": bytes(booster.save_raw("ubj")),
        "xgboost-model-1": bytes(other.save_raw("ubj")),
    }
    data = xgb.DMatrix(np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float32))

    together = float(launch(files).post(ROW, "text/csv")[2])
    alone = float(launch(files, SAGEMAKER_INFERENCE_ENSEMBLE="false").post(ROW, "text/csv")[2])

    assert together == pytest.approx(
        float(np.mean([booster.predict(data), other.predict(data)])), rel=1e-6
    )
    assert alone == float(booster.predict(data)[0])


def test_a_pickled_booster_of_the_same_xgboost_is_served(launch, booster):
    server = launch({"xgboost-model": pickle.dumps(booster)}, version="1.0-1")

    assert server.post(ROW, "text/csv")[2].decode() == local(booster, [[0.1, 0.2, 0.3, 0.4]])[0]


@pytest.mark.parametrize(
    ("files", "cause", "words"),
    [
        (
            {"readme.txt": "x"},
            "E-NO-MODEL-FILE",
            "expected one of model.json, model.ubj, xgboost-model",
        ),
        ({"xgboost-model": b"rubbish"}, "E-MODEL-LOAD", "Unable to load model"),
        ({"xgboost-model": b"\x80\x04rubbish"}, "E-PICKLE-VERSION", "pickle of another XGBoost"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(launch, files, cause, words):
    server = launch(files)

    report = server.failure

    assert (server.is_ready, server.process.returncode) == (False, 1)
    assert report["cause"] == cause
    assert words in report["message"]
    assert report["fix"]
