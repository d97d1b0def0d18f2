"""A user's inference.py, called as SageMaker's toolkit calls it; scikit-learn's defaults; starts that fail."""

import io
import json

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

MODEL = "def model_fn(model_dir): return 10\n"


def test_the_toolkits_defaults_decode_and_encode(launch):
    server = launch(
        {"code/inference.py": MODEL + "def predict_fn(data, model): return data * model\n"},
        framework="none",
    )
    npy = io.BytesIO()
    np.save(npy, np.array([[1.0, 2.0]]))

    as_json = server.post(b"[[1, 2]]", "application/json")
    as_csv = server.post(b"[[1, 2]]", "application/json", "text/csv")
    as_npy = server.post(npy.getvalue(), "application/x-npy", "application/x-npy")

    assert (as_json[1]["content-type"], json.loads(as_json[2])) == ("application/json", [[10, 20]])
    assert as_csv[2] == b"10,20\n"
    assert np.load(io.BytesIO(as_npy[2])).tolist() == [[10.0, 20.0]]


def test_all_four_functions_are_the_users_with_and_without_context(launch):
    script = (
        "def model_fn(model_dir, context): return context.system_properties['model_dir'][-5:]\n"
        "def input_fn(data, content_type): return f'{type(data).__name__}:{content_type}'\n"
        "def predict_fn(data, model, context): return f'{model}|{data}|' + context.get_request_header(0, 'Accept')\n"
        "def output_fn(prediction, accept): return prediction.upper(), 'text/x-own'\n"
    )
    server = launch({"code/inference.py": script}, framework="none")

    status, headers, body = server.post(b"abc", "text/csv", "application/json")

    assert (status, headers["content-type"]) == (200, "text/x-own")
    assert body == b"MODEL|STR:TEXT/CSV|APPLICATION/JSON"


def test_transform_fn_takes_the_place_of_three(launch):
    script = (
        MODEL
        + "def transform_fn(model, data, content_type, accept): return f'{model} {data!r} {accept}'\n"
    )
    server = launch({"code/inference.py": script}, framework="none")

    assert (
        server.post(b"\x00\x01", "application/x-own", "text/csv")[2] == b"10 b'\\x00\\x01' text/csv"
    )


def test_a_failure_of_the_users_code_is_told_with_its_traceback(launch):
    server = launch(
        {
            "code/inference.py": MODEL
            + "def predict_fn(data, model):\n    raise ValueError('boom')\n"
        },
        framework="none",
    )

    status, _, body = server.post(b"[1]", "application/json")
    text = body.decode()

    assert (status, text.splitlines()[0]) == (500, "boom")
    assert 'inference.py", line 3, in predict_fn' in text


def test_a_type_nobody_decodes_is_415(launch):
    server = launch(
        {"code/inference.py": MODEL + "def predict_fn(data, model): return data\n"},
        framework="none",
    )

    assert server.post(b"x", "image/png")[0] == 415
    assert server.post(b"[1]", "application/json", "image/png")[0] == 415


def test_the_default_accept_can_be_set(launch):
    server = launch(
        {"code/inference.py": MODEL + "def predict_fn(data, model): return data\n"},
        framework="none",
        SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv",
    )

    assert server.post(b"[1, 2]", "application/json", "*/*")[1]["content-type"] == "text/csv"


def test_the_script_is_named_by_its_variable(launch):
    script = MODEL + "def predict_fn(data, model): return 'mine'\n"
    server = launch(
        {"code/other.py": script, "code/inference.py": "1/0"},
        framework="none",
        SAGEMAKER_PROGRAM="other.py",
    )

    assert server.post(b"[1]", "application/json")[2] == b'"mine"'


@pytest.fixture(scope="module")
def linear():
    """A fitted scikit-learn model, and its file."""
    model = LinearRegression().fit(np.arange(20.0).reshape(10, 2), np.arange(10.0))
    file = io.BytesIO()
    joblib.dump(model, file)
    return model, file.getvalue()


def test_scikit_learn_needs_no_script(launch, linear):
    model, file = linear
    server = launch({"model.joblib": file}, framework="sklearn")
    rows = [[1.0, 2.0], [3.0, 5.0]]

    by_json = json.loads(
        server.post(json.dumps({"instances": rows}).encode(), "application/json")[2]
    )
    by_csv = server.post(b"1,2\n3,5", "text/csv", "text/csv")[2].decode().split()

    assert by_json == pytest.approx(model.predict(rows).tolist())
    assert [float(v) for v in by_csv] == pytest.approx(by_json)


def test_scikit_learn_with_the_users_functions(launch, linear):
    script = (
        "import joblib, os\n"
        "def model_fn(d): return joblib.load(os.path.join(d, 'm.bin'))\n"
        "def output_fn(prediction, accept): return 'n=%d' % len(prediction)\n"
    )
    server = launch({"m.bin": linear[1], "code/inference.py": script}, framework="sklearn")

    assert server.post(b"1,2\n3,5\n4,5", "text/csv")[2] == b"n=3"


FAILURES = {
    "import": (
        "import nowhere_to_be_found\n",
        "E-IMPORT",
        "No module named 'nowhere_to_be_found'",
        1,
    ),
    "import in a function": (
        "def model_fn(d):\n    import nowhere_to_be_found\n",
        "E-IMPORT",
        "No module named 'nowhere_to_be_found'",
        2,
    ),
    "syntax": ("x = 1\ndef model_fn(d:\n", "E-SYNTAX", "", 2),
    "while imported": ("x = 1\n\ny = 1 / 0\n", "E-IMPORT", "ZeroDivisionError", 3),
    "model_fn": (
        "def model_fn(d):\n    raise OSError('no weights')\n",
        "E-MODEL-FN",
        "OSError: no weights",
        2,
    ),
    "no model_fn": (
        "def predict_fn(d, m): return d\n",
        "E-MODEL-FN",
        "Please provide a model_fn implementation.",
        None,
    ),
    "arity": (
        MODEL + "def predict_fn(data): return data\n",
        "E-HANDLER-ARITY",
        "predict_fn takes 2 arguments but 1 were given.",
        2,
    ),
    "transform_fn beside others": (
        MODEL + "def transform_fn(a, b, c, d): pass\ndef input_fn(a, b): pass\n",
        "E-HANDLER-ARITY",
        "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn",
        None,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_start_that_fails_names_cause_file_line_and_fix(launch, name):
    script, cause, words, line = FAILURES[name]
    server = launch({"code/inference.py": script}, framework="none")

    report = server.failure

    assert (server.is_ready, server.process.returncode) == (False, 1)
    assert (report["cause"], report["file"], report["line"]) == (cause, "code/inference.py", line)
    assert words in report["message"]
    assert report["fix"]


@pytest.mark.parametrize(
    ("files", "options", "cause"),
    [
        ({"x": "1"}, {"framework": "none", "SAGEMAKER_PROGRAM": "gone.py"}, "E-NO-SCRIPT"),
        ({"x": "1"}, {"framework": "sklearn"}, "E-NO-MODEL-FILE"),
        ({"model.joblib": b"rubbish"}, {"framework": "sklearn"}, "E-MODEL-LOAD"),
        ({"model.pt": b"x"}, {"framework": "pytorch"}, "E-NO-FRAMEWORK"),
    ],
)
def test_other_starts_that_fail_have_their_cause(launch, files, options, cause):
    report = launch(files, **options).failure

    assert report["cause"] == cause
    assert report["fix"]
