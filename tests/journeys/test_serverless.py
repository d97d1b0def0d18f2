"""Serverless endpoints through boto3: they sleep, wake for a request, grow, refuse what is too much, and are captured."""

import io
import json
import os
import signal
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from botocore.exceptions import ClientError

pytestmark = pytest.mark.journey

ACCOUNT = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
XGBOOST = f"{ACCOUNT}/sagemaker-xgboost:3.0-5"
SKLEARN = f"{ACCOUNT}/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/farero-execution"
#: A model that does as it is told.
SCRIPT = """
import json, os, time
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    wish = json.loads(body)
    if "sleep" in wish:
        time.sleep(wish["sleep"])
    while "gate" in wish and not os.path.exists(wish["gate"]):
        time.sleep(0.02)
    if "megabytes" in wish:
        hold = bytearray(wish["megabytes"] * 1024 * 1024)
        hold[::4096] = b"x" * len(hold[::4096])
        time.sleep(30)
    return json.dumps({"pid": os.getpid()}), "application/json"
"""


class Serverless:
    """Deploys models to serverless endpoints that fall asleep soon."""

    def __init__(self, platform):
        self.platform = platform
        self.sagemaker = platform.client("sagemaker")
        self.runtime = platform.client(
            "sagemaker-runtime", retries={"total_max_attempts": 1}, max_pool_connections=50
        )

    def deploy(self, name, image, archive, idle_s=3, capture=None, **config):
        key = f"{name}/model.tar.gz"
        self.platform.client("s3").put_object(Bucket=self.platform.bucket, Key=key, Body=archive)
        container = {
            "Image": image,
            "ModelDataUrl": f"s3://{self.platform.bucket}/{key}",
            "Environment": {"FARERO_SERVERLESS_IDLE_S": str(idle_s)},
        }
        self.sagemaker.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE
        )
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 4, **config},
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[variant],
            **({"DataCaptureConfig": capture} if capture else {}),
        )
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.platform.wait(lambda: self.status(name) != "Creating", 120)
        assert self.status(name) == "InService"

    def status(self, name):
        return self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]

    def pids(self, name):
        return [
            one["pid"]
            for one in self.platform.control.info()["processes"]
            if one["name"].startswith(f"endpoint/{name}/") and one["state"] == "running"
        ]

    def falls_asleep(self, name):
        self.platform.wait(lambda: not self.pids(name), 60)

    def ask(self, name, wish):
        answer = self.runtime.invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=json.dumps(wish)
        )
        return json.loads(answer["Body"].read())

    def ask_at_once(self, name, wishes, meanwhile=None):
        """Send all at the same time; return the answers, or the codes of the errors.

        meanwhile: called with the answers so far, None for who still waits.
        """
        answers = [None] * len(wishes)

        def one(index):
            try:
                answers[index] = self.ask(name, wishes[index])
            except ClientError as error:
                answers[index] = error.response["Error"]["Code"]

        threads = [threading.Thread(target=one, args=(index,)) for index in range(len(wishes))]
        for thread in threads:
            thread.start()
        try:
            if meanwhile is not None:
                meanwhile(answers)
        finally:
            for thread in threads:
                thread.join()
        return answers

    def lets_in(self, name, wishes, turned_away, gate):
        """How many of so many wishes are let in, where none of them is answered before others were turned away."""

        def open_the_gate(answers):
            try:
                self.platform.wait(lambda: answers.count("ThrottlingException") == turned_away, 60)
            finally:
                gate.touch()

        answers = self.ask_at_once(name, [{"gate": str(gate)}] * wishes, open_the_gate)
        return sum(isinstance(answer, dict) for answer in answers)


@pytest.fixture(scope="module")
def serverless(shared_platform):
    return Serverless(shared_platform)


@pytest.fixture(scope="module")
def script_archive():
    """The model.tar.gz of a model that does as it is told."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("code/inference.py")
        info.size = len(SCRIPT.encode())
        archive.addfile(info, io.BytesIO(SCRIPT.encode()))
    return packed.getvalue()


@pytest.fixture(scope="module")
def obedient(serverless, script_archive):
    """The name of an endpoint with that model."""
    serverless.deploy("sl-obedient", SKLEARN, script_archive)
    return "sl-obedient"


def is_forked(pid):
    return b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_sleeping_endpoint_is_in_service_and_answers_after_a_cold_start(
    serverless, xgboost_archive
):
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{serverless.platform.bucket}/sl-captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    # it stays awake for as long as it takes to look at its process
    serverless.deploy(
        "sl-cold", XGBOOST, xgboost_archive.path.read_bytes(), idle_s=10, capture=capture
    )
    serverless.falls_asleep("sl-cold")
    asleep = serverless.status("sl-cold")

    answer = serverless.runtime.invoke_endpoint(
        EndpointName="sl-cold", ContentType="text/csv", Body=b"0.1,0.2,0.3,0.4"
    )
    (pid,) = serverless.pids("sl-cold")
    was_forked = is_forked(pid)

    (expected,) = xgboost_archive.predict([[0.1, 0.2, 0.3, 0.4]])
    assert float(answer["Body"].read()) == pytest.approx(expected)
    assert asleep == serverless.status("sl-cold") == "InService"
    assert was_forked
    s3 = serverless.platform.client("s3")
    listing = {"Bucket": serverless.platform.bucket, "Prefix": "sl-captured/sl-cold/AllTraffic/"}
    found = serverless.platform.wait(lambda: s3.list_objects_v2(**listing).get("Contents"))
    lines = s3.get_object(Bucket=listing["Bucket"], Key=found[0]["Key"])["Body"].read()
    (record,) = map(json.loads, lines.splitlines())
    assert record["captureData"]["endpointInput"]["data"] == "0.1,0.2,0.3,0.4"


def test_a_large_json_model_is_kept_in_a_quicker_form_for_its_next_cold_start(serverless, tmp_path):
    random = np.random.default_rng(2)
    data = xgb.DMatrix(random.normal(size=(500, 4)), random.normal(size=500), nthread=1)
    booster = xgb.train({"nthread": 1}, data, 60)
    booster.save_model(tmp_path / "model.json")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tmp_path / "model.json", "model.json")
    serverless.deploy("sl-json", XGBOOST, packed.getvalue(), idle_s=1)
    ubj = bytes(booster.save_raw("ubj"))

    def ask():
        answer = serverless.runtime.invoke_endpoint(
            EndpointName="sl-json", ContentType="text/csv", Body=b"0.1,0.2,0.3,0.4"
        )
        return float(answer["Body"].read())

    answers = {ask()}
    serverless.falls_asleep("sl-json")
    answers.add(ask())

    (expected,) = booster.predict(xgb.DMatrix([[0.1, 0.2, 0.3, 0.4]], nthread=1)).tolist()
    assert answers == {expected}
    kept = serverless.platform.data_dir.glob("work/models/*.kept/*")
    assert ubj in [file.read_bytes()[32:] for file in kept]


def test_requests_that_come_while_it_sleeps_are_all_answered_by_one_cold_start(
    serverless, obedient
):
    serverless.falls_asleep(obedient)

    answers = serverless.ask_at_once(obedient, [{}] * 4)

    assert len({answer["pid"] for answer in answers}) == 1


def test_slow_requests_get_replicas_of_their_own(serverless, obedient):
    def servers():
        return {answer["pid"] for answer in serverless.ask_at_once(obedient, [{"sleep": 0.5}] * 4)}

    serverless.platform.wait(lambda: len(servers()) > 1, 60)


def test_more_than_max_concurrency_is_throttled_as_aws_does(serverless, obedient, tmp_path):
    assert serverless.lets_in(obedient, 6, turned_away=2, gate=tmp_path / "open") == 4


def test_two_gateways_together_let_no_more_through_than_max_concurrency(
    stopped_platform, script_archive, tmp_path
):
    stopped_platform.env["FARERO_GATEWAYS"] = "2"
    stopped_platform.farero("up", "-d")
    serverless = Serverless(stopped_platform)
    serverless.deploy("sl-two", SKLEARN, script_archive, idle_s=300, MaxConcurrency=2)

    assert serverless.lets_in("sl-two", 10, turned_away=8, gate=tmp_path / "open") == 2


def test_kill_9_of_a_forked_replica_costs_no_request_after_it(serverless, obedient):
    killed = serverless.ask(obedient, {})["pid"]

    os.kill(killed, signal.SIGKILL)

    assert serverless.ask(obedient, {})["pid"] != killed


def test_a_model_over_its_memory_is_ended_and_the_caller_is_told(serverless, obedient):
    runtime = serverless.platform.client(
        "sagemaker-runtime",
        retries={"total_max_attempts": 1},
        read_timeout=90,
    )
    body = json.dumps({"megabytes": 1400})

    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName=obedient, ContentType="application/json", Body=body)

    assert "MemorySizeInMB" in str(caught.value)


def test_setup_time_and_use_of_the_concurrency_are_measured(serverless, obedient):
    serverless.falls_asleep(obedient)
    serverless.ask(obedient, {})
    cloudwatch = serverless.platform.client("cloudwatch")

    def names():
        dimensions = [{"Name": "EndpointName", "Value": obedient}]
        found = cloudwatch.list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)
        return {metric["MetricName"] for metric in found["Metrics"]}

    wanted = {"ModelSetupTime", "OverheadLatency", "ServerlessConcurrentExecutionsUtilization"}
    serverless.platform.wait(lambda: names() >= wanted, 90)
