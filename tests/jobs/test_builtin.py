import io
import tarfile

import pytest

from farero.records.job import Channel

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


@pytest.fixture
def csv(bench):
    """Twenty rows, the label first: twice the first feature."""
    rows = "".join(f"{2 * n},{n},{n % 3}\n" for n in range(20))
    bench.objects.put("data", "in/train.csv", rows.encode())
    return Channel(name="train", s3_uri="s3://data/in/train.csv", content_type="text/csv")


def members(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return tar.getnames()


def test_builtin_xgboost_trains_a_model_with_metrics(bench, csv):
    parameters = {"num_round": "5", "objective": "reg:squarederror"}
    bench.create("iris", image=IMAGE, entrypoint=(), channels=(csv,), hyperparameters=parameters)

    job = bench.finished("iris")

    assert (job.status, job.failure_reason) == ("Completed", None)
    assert members(bench.read("out/iris/output/model.tar.gz")) == ["xgboost-model"]
    assert [metric.name for metric in job.metrics] == ["train:rmse"]
    assert any("#011train-rmse:" in line for line in bench.messages(job))


def test_bad_hyperparameter_fails_in_awss_words(bench, csv):
    parameters = {"num_round": "5", "eta": "7"}
    bench.create("iris", image=IMAGE, entrypoint=(), channels=(csv,), hyperparameters=parameters)

    job = bench.finished("iris")

    assert job.status == "Failed"
    assert job.failure_reason.startswith("ClientError: ")
    assert "Hyperparameter eta: 7.0 is not in [0, 1]" in job.failure_reason


def test_builtin_xgboost_continues_from_checkpoints_wherever_they_lie(bench, csv):
    where = {"checkpoint_uri": "s3://data/ckpt/", "checkpoint_path": "/opt/ml/my/rounds"}
    given = {"image": IMAGE, "entrypoint": (), "channels": (csv,)}
    bench.create("one", hyperparameters={"num_round": "3"}, **where, **given)
    bench.finished("one")
    bench.create("two", hyperparameters={"num_round": "5"}, **where, **given)

    job = bench.finished("two")

    lines = bench.messages(job)
    assert job.status == "Completed"
    assert "Resuming from round 3 of 5" in lines
    assert [line[:3] for line in lines if line.startswith("[")] == ["[3]", "[4]"]


def script(bench, text, **members):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    bench.objects.put("data", "src.tar.gz", body.getvalue())
    return {
        "image": "x.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        "entrypoint": (),
        "hyperparameters": {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": '"s3://data/src.tar.gz"',
            **members,
        },
    }


def test_script_gets_its_arguments_and_saves_its_model(bench):
    text = b"""
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float)
alpha = parser.parse_args().alpha
open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w").write(str(alpha))
"""
    bench.create("iris", **script(bench, text, alpha="0.5"))

    job = bench.finished("iris")

    assert (job.status, job.failure_reason) == ("Completed", None)
    assert members(bench.read("out/iris/output/model.tar.gz")) == ["model.txt"]


def test_script_that_raises_is_named_with_file_line_and_message(bench):
    bench.create("iris", **script(bench, b"x = 1\n\nprint(undefined)\n"))

    job = bench.finished("iris")

    assert job.failure_reason.startswith("AlgorithmError: ")
    assert job.failure_reason.endswith(", exit code: 1")
    assert "NameError: name 'undefined' is not defined" in job.failure_reason
    assert "train.py:3" in job.failure_reason
