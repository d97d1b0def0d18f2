"""The AWS CLI as a child process: storage, resources, predictions, waiters."""

import json
import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def aws(shared_platform, client_python, tmp_path):
    """A function: arguments → what `aws` prints, as JSON where it is."""
    folder = Path(client_python("sdk2")).parent
    env = {**shared_platform.client_env, "AWS_PAGER": ""}
    env["PATH"] = os.pathsep.join([str(folder), env["PATH"]])

    def run(*arguments):
        done = subprocess.run(
            [str(folder / "aws"), *arguments],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout

    return run


@pytest.mark.journey
@pytest.mark.network
def test_files_go_to_s3_and_come_back(aws, tmp_path):
    (tmp_path / "up" / "deep").mkdir(parents=True)
    (tmp_path / "up" / "a.txt").write_text("one")
    (tmp_path / "up" / "deep" / "ñ b.txt").write_text("two")

    aws("s3", "mb", "s3://by-cli")
    aws("s3", "sync", "up", "s3://by-cli/x")
    listed = aws("s3", "ls", "s3://by-cli", "--recursive")
    aws("s3", "cp", "s3://by-cli/x", "down", "--recursive")
    aws("s3", "rb", "s3://by-cli", "--force")

    assert "x/deep/ñ b.txt" in listed
    assert (tmp_path / "down" / "deep" / "ñ b.txt").read_text() == "two"


@pytest.mark.journey
@pytest.mark.network
def test_an_endpoint_lives_and_ends_by_cli(aws, shared_platform, tmp_path):
    import numpy as np
    import xgboost as xgb

    rows = np.random.default_rng(3).random((100, 3), dtype=np.float32)
    booster = xgb.train({"max_depth": 2}, xgb.DMatrix(rows, rows[:, 0]), 10)
    booster.save_model(tmp_path / "model.json")
    shared_platform.farero(
        "pack", str(tmp_path / "model.json"), "-o", str(tmp_path / "model.tar.gz")
    )
    where = f"s3://{shared_platform.bucket}/by-cli/model.tar.gz"
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    role = aws("iam", "get-role", "--role-name", "AmazonSageMaker-ExecutionRole-farero")["Role"][
        "Arn"
    ]
    variant = (
        "VariantName=AllTraffic,ModelName=by-cli,InitialInstanceCount=1,InstanceType=ml.m5.large"
    )
    (tmp_path / "row.csv").write_text("0.5,0.5,0.5")

    aws("s3", "cp", "model.tar.gz", where)
    aws("sagemaker", "create-model", "--model-name", "by-cli", "--execution-role-arn", role,
        "--primary-container", f"Image={image},ModelDataUrl={where}")  # fmt: skip
    aws(
        "sagemaker",
        "create-endpoint-config",
        "--endpoint-config-name",
        "by-cli",
        "--production-variants",
        variant,
    )
    aws(
        "sagemaker",
        "create-endpoint",
        "--endpoint-name",
        "by-cli",
        "--endpoint-config-name",
        "by-cli",
    )
    aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", "by-cli")
    told = aws("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "by-cli", "--content-type", "text/csv",
               "--body", "fileb://row.csv", "answer.csv")  # fmt: skip
    group = "/aws/sagemaker/Endpoints/by-cli"

    def says_what_it_serves():
        events = aws("logs", "filter-log-events", "--log-group-name", group)["events"]
        return any("serving XGBoost" in event["message"] for event in events)

    shared_platform.wait(says_what_it_serves)
    aws("sagemaker", "delete-endpoint", "--endpoint-name", "by-cli")
    aws("sagemaker", "wait", "endpoint-deleted", "--endpoint-name", "by-cli")
    aws("sagemaker", "delete-endpoint-config", "--endpoint-config-name", "by-cli")
    aws("sagemaker", "delete-model", "--model-name", "by-cli")

    local = booster.predict(xgb.DMatrix(np.array([[0.5, 0.5, 0.5]], dtype=np.float32))).tolist()[0]
    assert (tmp_path / "answer.csv").read_text() == f"{local}\n"
    assert told["InvokedProductionVariant"] == "AllTraffic"
    assert "by-cli" not in json.dumps(aws("sagemaker", "list-models"))
