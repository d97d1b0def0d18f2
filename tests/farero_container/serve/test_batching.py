"""Requests that are predicted together: each caller gets what it would get alone, whoever else is there."""

import functools
import io
import json
import os
import struct
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import xgboost as xgb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from farero_container.serve.batching import answer_all
from farero_container.serve.frameworks.sklearn import Sklearn, is_row_by_row
from farero_container.serve.frameworks.xgboost import XGBoostServer
from farero_container.serve.handler import UserModel
from farero_container.serve.messages import Request

from .conftest import frame, read_frame

FEATURES = 4
number = st.one_of(
    st.floats(-5, 5, width=32).map(float), st.integers(-3, 3), st.just(1e30), st.just(0.1)
)
cell = st.one_of(number, st.none())
rows = st.lists(st.lists(cell, min_size=FEATURES, max_size=FEATURES), min_size=1, max_size=40)


def as_csv(values):
    return "\n".join(",".join("" if v is None else repr(v) for v in row) for row in values).encode()


def as_npy(values):
    body = io.BytesIO()
    np.save(
        body, np.array([[np.nan if v is None else v for v in row] for row in values], np.float32)
    )
    return body.getvalue()


def as_libsvm(values):
    pairs = [[f"{i}:{v}" for i, v in enumerate(row) if v is not None] for row in values]
    return "\n".join(" ".join(["0", *row]) for row in pairs).encode()


BODIES = {
    "text/csv": as_csv,
    "application/json": lambda values: json.dumps({"inputs": values}).encode(),
    "application/x-npy": as_npy,
    "text/libsvm": as_libsvm,
    "application/jsonlines": lambda values: "\n".join(map(json.dumps, values)).encode(),
    "": as_csv,
}
good = st.builds(
    lambda kind, values, accept: (kind, BODIES[kind](values), accept),
    st.sampled_from(sorted(BODIES)),
    rows,
    st.sampled_from([None, "text/csv", "application/json", "application/jsonlines", "image/png"]),
)
bad = st.tuples(
    st.sampled_from(["text/csv", "application/json", "application/x-npy", "image/png", ""]),
    st.sampled_from(
        [b"", b"x", b"1,2", b"1,2,3,inf", b"[[1,2],[3]]", b"{", b"1,2,3,4\n1,2", b"[[1,2,3,1e400]]", b"\xff"]
    ),
    st.sampled_from([None, "text/csv"]),
)  # fmt: skip
mixes = st.lists(st.one_of(good, good, bad), min_size=2, max_size=14)


@functools.cache
def head(kind, accept):
    """Requests whose heads are equal share their headers, as those of one connection do."""
    headers = {"content-type": kind} if kind else {}
    return headers | ({"accept": accept} if accept else {})


def request(kind, body, accept):
    return Request("POST", "/invocations", head(kind, accept), body)


def told(model, requests):
    """What each request is answered, by its place."""
    found = {}
    for answers in answer_all(model, [(one, place) for place, one in enumerate(requests)]):
        for place, response in answers:
            assert place not in found
            found[place] = (response.status, response.headers, response.body)
    return [found[place] for place in range(len(requests))]


def trained(**params):
    random = np.random.default_rng(7)
    data = random.standard_normal((300, FEATURES)).astype(np.float32)
    data[random.random(data.shape) < 0.1] = np.nan
    params = {"max_depth": 4, "nthread": 1, **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the linear booster is said to go away
        return xgb.train(params, xgb.DMatrix(data, np.arange(300) % 3), 30)


@pytest.fixture(scope="module", params=["regression", "classes", "linear", "two models"])
def boosted(request, tmp_path_factory):
    """An XGBoost server of each kind."""
    folder = tmp_path_factory.mktemp("model")
    params = {"classes": {"objective": "multi:softprob", "num_class": 3}, "linear": {"booster": "gblinear"}}  # fmt: skip
    trained(**params.get(request.param, {})).save_model(folder / "xgboost-model.ubj")
    if request.param == "two models":
        trained(max_depth=2).save_model(folder / "xgboost-model-2.ubj")
    return XGBoostServer(folder, "3.0-5")


quickly = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quickly
@given(mixes)
def test_every_caller_of_xgboost_gets_what_it_would_get_alone_bit_for_bit(boosted, mix):
    requests = [request(*one) for one in mix]

    together = told(boosted, requests)

    assert together == [told(boosted, [one])[0] for one in requests]


alike = st.lists(
    st.lists(st.lists(number, min_size=FEATURES, max_size=FEATURES), min_size=1, max_size=3),
    min_size=2,
    max_size=9,
)


@quickly
@given(
    alike,
    st.sampled_from(["text/csv", "application/json"]),
    st.sampled_from([None, "text/csv", "application/json"]),
)
def test_requests_that_are_alike_are_read_predicted_and_written_at_once(
    boosted, bodies, kind, accept
):
    requests = [request(kind, BODIES[kind](values), accept) for values in bodies]

    at_once = boosted.answer_alike([one.body for one in requests], head(kind, accept))

    assert at_once is not None
    headers, texts = at_once
    alone = [told(boosted, [one])[0] for one in requests]
    assert [(200, headers, text) for text in texts] == alone


FORESTS = {
    "random forest": RandomForestClassifier(20, random_state=1),
    "gradient boosting": GradientBoostingRegressor(n_estimators=20, random_state=1),
    "histograms": HistGradientBoostingClassifier(max_iter=10),
    "pipeline": make_pipeline(SimpleImputer(), StandardScaler(), RandomForestClassifier(5, random_state=1)),
}  # fmt: skip


@pytest.fixture(scope="module", params=FORESTS)
def forest(request, tmp_path_factory):
    """A scikit-learn server of each kind that is predicted together."""
    folder = tmp_path_factory.mktemp("model")
    random = np.random.default_rng(5)
    model = FORESTS[request.param].fit(random.standard_normal((200, FEATURES)), np.arange(200) % 3)
    joblib.dump(model, folder / "model.joblib")
    return UserModel(folder, None, Sklearn())


@quickly
@given(mixes)
def test_every_caller_of_scikit_learn_gets_what_it_would_get_alone_bit_for_bit(forest, mix):
    requests = [request(*one) for one in mix]

    together = told(forest, requests)
    alone = [told(forest, [one])[0] for one in requests]

    assert forest.max_batch == 64
    assert [one if one[0] == 200 else one[0] for one in together] == [
        one if one[0] == 200 else one[0]
        for one in alone  # tracebacks differ
    ]


def test_scikit_learn_models_that_multiply_matrices_are_predicted_alone(tmp_path, monkeypatch):
    fitted = LinearRegression().fit(np.eye(4), np.arange(4))
    joblib.dump(fitted, tmp_path / "model.joblib")

    assert not is_row_by_row(fitted)
    assert UserModel(tmp_path, None, Sklearn()).max_batch == 1
    monkeypatch.setenv("FARERO_MAX_BATCH", "16")
    assert UserModel(tmp_path, None, Sklearn()).max_batch == 16


class Own(RandomForestClassifier):
    """Somebody's own class."""


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (RandomForestClassifier(), True),
        (make_pipeline(StandardScaler(), RandomForestClassifier()), True),
        (make_pipeline(StandardScaler(), LinearRegression()), False),
        (make_pipeline(LinearRegression(), RandomForestClassifier()), False),
        (GradientBoostingRegressor(init=LinearRegression()), False),
        (Own(), False),
        (object(), False),
    ],
)
def test_which_scikit_learn_models_look_at_each_row_by_itself(model, expected):
    assert is_row_by_row(model) is expected


# -- a whole server

#: Tells how many rows each prediction saw; the first waits until it may go on.
COUNTING = """
import pathlib, time
import numpy as np
FARERO_MAX_BATCH = 8
HERE = pathlib.Path(__file__).parent
def model_fn(d): return []
def predict_fn(data, seen):
    seen.append(len(data))
    (HERE / "begun").touch()
    while not (HERE / "go").exists():
        time.sleep(0.01)
    if (data < 0).any():
        raise ValueError("below zero")
    return np.stack([data[:, 0], np.full(len(data), seen[-1])], axis=1)
"""


@pytest.fixture
def held(launch, wait_for):
    """A function: options → a server whose model is busy with one request, who asked, and how to let it go on."""
    opened = []

    def start(script=COUNTING, **options):
        server = launch({"code/inference.py": script}, framework="none", **options)
        opened.append(server.raw())
        code = server.base / "model" / "code"
        opened[-1].sendall(b"FRO1" + frame(0, b"[[0, 0]]", {}))
        wait_for((code / "begun").exists)
        return server, opened[-1], (code / "go").touch

    yield start
    for connection in opened:
        connection.close()


def answers(connection, count):
    with connection.makefile("rb") as stream:
        frames = [read_frame(stream) for _ in range(count)]
    return {number: (head["status"], body) for number, head, body in frames}


def test_what_arrives_while_the_model_is_busy_is_predicted_at_once(held):
    server, connection, release = held()
    sent = b"".join(frame(n, f"[[{n}, 1]]".encode(), {}) for n in range(1, 7))
    connection.sendall(sent + frame(7, b"[[7, 1, 1]]", {}) + frame(8, b"[[-8, 1]]", {}))
    connection.sendall(frame(9, b"[", {}))
    server.post(None, path="/ping", method="GET")  # so all that was sent has been read
    release()

    found = answers(connection, 10)

    assert json.loads(found[0][1]) == [[0, 1]]
    # rows of another width are another prediction, and the one that fails makes the others be tried alone
    assert {n: json.loads(found[n][1]) for n in range(1, 8)} == {n: [[n, 1]] for n in range(1, 8)}
    assert [found[n][0] for n in (8, 9)] == [500, 500]
    assert found[8][1].startswith(b"below zero\n")


def test_the_first_requests_of_all_are_predicted_together(launch):
    server = launch({"code/inference.py": COUNTING, "code/go": ""}, framework="none")
    with server.raw() as connection:
        connection.sendall(
            b"FRO1" + b"".join(frame(n, f"[[{n}, 1]]".encode(), {}) for n in range(8))
        )
        found = answers(connection, 8)

    assert {n: json.loads(found[n][1]) for n in range(8)} == {n: [[n, 8]] for n in range(8)}


def test_a_batch_has_at_most_as_many_rows_as_said(held):
    server, connection, release = held()
    bodies = [json.dumps([[n, 1]] * 3).encode() for n in range(1, 5)]
    connection.sendall(b"".join(frame(n, body, {}) for n, body in enumerate(bodies, 1)))
    connection.sendall(frame(5, json.dumps([[5, 1]] * 20).encode(), {}))
    server.post(None, path="/ping", method="GET")
    release()

    found = answers(connection, 6)

    assert {n: json.loads(found[n][1])[0] for n in range(6)} == {
        0: [0, 1], 1: [1, 6], 2: [2, 6], 3: [3, 6], 4: [4, 6], 5: [5, 20],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "environment", "words"),
    [
        (("FARERO_MAX_BATCH = 8", ""), {}, ""),
        (("FARERO_MAX_BATCH = 8", ""), {"FARERO_MAX_BATCH": "8"}, ""),
        (("", ""), {"FARERO_MAX_BATCH": "1"}, ""),
        (("predict_fn(data, seen)", "predict_fn(data, seen, context)"), {}, "FARERO_MAX_BATCH is not used"),
    ],
    ids=["not said", "said by the environment alone", "switched off", "with context"],
)  # fmt: skip
def test_own_code_gets_one_request_at_a_time(held, change, environment, words):
    server, connection, release = held(COUNTING.replace(*change), **environment)
    connection.sendall(b"".join(frame(n, f"[[{n}, 1]]".encode(), {}) for n in range(1, 4)))
    server.post(None, path="/ping", method="GET")
    release()

    found = answers(connection, 4)

    assert {n: json.loads(found[n][1]) for n in range(4)} == {n: [[n, 1]] for n in range(4)}
    assert words in server.log


def test_a_result_without_a_row_for_each_row_ends_the_batches(held):
    script = COUNTING.replace("np.stack([data[:, 0], np.full(len(data), seen[-1])], axis=1)", "data.sum()")  # fmt: skip
    server, connection, release = held(script)
    connection.sendall(b"".join(frame(n, f"[[{n}, 1]]".encode(), {}) for n in range(1, 4)))
    server.post(None, path="/ping", method="GET")
    release()

    found = answers(connection, 4)

    assert {n: json.loads(found[n][1]) for n in range(4)} == {0: 0, 1: 2, 2: 3, 3: 4}
    assert "requests are no longer predicted together" in server.log


def test_the_model_may_hang_and_ping_is_answered(held):
    server, connection, release = held()

    by_http = server.post(None, path="/ping", method="GET")[0]
    head = json.dumps({"path": "/ping"}).encode()
    connection.sendall(struct.pack(">IIH", 6 + len(head), 9, len(head)) + head)
    by_frame = answers(connection, 1)
    release()

    assert (by_http, by_frame) == (200, {9: (200, b"\n")})


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_own_code_that_ends_the_program_ends_the_server(launch, loop, tmp_path):
    if loop == "asyncio":
        (tmp_path / "uvloop.py").write_text("raise ImportError")
    source = str(Path(__file__).resolve().parents[3] / "src")
    script = "import sys\ndef model_fn(d): return 1\ndef predict_fn(d, m): sys.exit(5)\n"
    path = os.pathsep.join([str(tmp_path), source])
    doomed = launch({"code/inference.py": script}, framework="none", PYTHONPATH=path)

    with doomed.raw() as connection:
        connection.sendall(b"FRO1" + frame(1, b"[1]", {}))
        assert connection.recv(10) == b""

    assert doomed.process.wait(60) == 5


def test_an_answer_whose_headers_cannot_be_sent_is_an_error(launch):
    script = "def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return 'x', b'bytes'\n"
    server = launch({"code/inference.py": script}, framework="none")

    with server.raw() as connection:
        connection.sendall(b"FRO1" + frame(1, b"[1]", {}))
        found = answers(connection, 1)

    assert found[1][0] == 500


def test_many_connections_with_bad_ones_between_get_their_own_answers(server, booster):
    data = np.random.default_rng(5).random((240, 4), dtype=np.float32)
    expected = booster.predict(xgb.DMatrix(data)).tolist()
    connections = [server.raw() for _ in range(6)]
    for place, connection in enumerate(connections):
        connection.sendall(b"FRO1")
        for n in range(place, 240, 6):
            row = ",".join(repr(float(v)) for v in data[n]).encode()
            connection.sendall(frame(2 * n, row, {"content-type": "text/csv"}))
            connection.sendall(frame(2 * n + 1, row[:-30], {"content-type": "text/csv"}))

    found = {}
    for connection in connections:
        found |= answers(connection, 80)
        connection.close()

    assert {n: float(found[2 * n][1]) for n in range(240)} == dict(enumerate(expected))
    assert {found[2 * n + 1][0] for n in range(240)} <= {400, 415}
