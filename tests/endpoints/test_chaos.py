"""kill -9 under load, on a real platform: nothing fails that need not, and every answered request is in the bucket once.

T01, T02, T04 and T35 of the test plan; promises P2, P3 and P5. With one gateway its own death may cost the requests in
flight, so that is told apart (T03).
"""

import io
import json
import os
import random
import signal
import tarfile
import threading
import time
import uuid

import numpy as np
import psutil
import pytest
import xgboost
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.chaos
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"


def archive():
    rows = np.random.default_rng(1).normal(size=(50, 2))
    model = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, label=rows[:, 0]), 3)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        body = bytes(model.save_raw("json"))
        info = tarfile.TarInfo("xgboost-model")
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    return made.getvalue()


class Load:
    """Requests from several threads, each with an id of its own, until told to stop."""

    def __init__(self, platform, threads=4):
        self.answered, self.failed = [], []
        self._stop = threading.Event()
        self._platform = platform
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        client = self._platform.client("sagemaker-runtime", retries={"total_max_attempts": 1})
        while not self._stop.is_set():
            inference_id = uuid.uuid4().hex
            try:
                answer = client.invoke_endpoint(
                    EndpointName="iris",
                    Body=b"1,2",
                    ContentType="text/csv",
                    InferenceId=inference_id,
                )
                answer["Body"].read()
                self.answered.append(inference_id)
            except (ClientError, BotoCoreError) as error:
                self.failed.append(error)
            self._stop.wait(0.01)

    def wait_for_more(self, count):
        """Return once `count` further requests were answered."""
        wanted, deadline = len(self.answered) + count, time.monotonic() + 30
        while len(self.answered) < wanted:
            assert time.monotonic() < deadline, self.failed[-1:]
            time.sleep(0.01)


class Bench:
    """The platform with one endpoint that captures everything."""

    def __init__(self, platform, wait_for):
        self.platform, self.wait_for = platform, wait_for
        self.s3, self.sagemaker = platform.client("s3"), platform.client("sagemaker")
        self.s3.put_object(Bucket=platform.bucket, Key="model.tar.gz", Body=archive())
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{platform.bucket}/model.tar.gz"}
        self.sagemaker.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container
        )

    def config(self, name, count=1, **changes):
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": "m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
        }
        capture = {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{self.platform.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[variant | changes],
            DataCaptureConfig=capture,
        )
        return name

    def create(self, count):
        self.sagemaker.create_endpoint(
            EndpointName="iris", EndpointConfigName=self.config("c", count)
        )
        self.wait_status("InService")

    def status(self):
        return self.sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"]

    def wait_status(self, status):
        self.wait_for(lambda: self.status() == status, 30)

    def processes(self, prefix):
        """Return the running pids of this platform's parts whose names begin so."""
        return [
            one["pid"]
            for one in self.platform.control.info()["processes"]
            if one["pid"] and one["state"] == "running" and one["name"].startswith(prefix)
        ]

    def kill(self, prefix):
        """Kill one such process by -9."""
        os.kill(random.choice(self.wait_for(lambda: self.processes(prefix))), signal.SIGKILL)

    def captured(self):
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.platform.bucket, Prefix="capture/iris/AllTraffic/"
        )
        found = []
        for info in [info for page in pages for info in page.get("Contents", [])]:
            body = self.s3.get_object(Bucket=self.platform.bucket, Key=info["Key"])["Body"].read()
            found += [
                json.loads(line)["eventMetadata"]["inferenceId"] for line in body.splitlines()
            ]
        return found

    def check_capture(self, load):
        """Within five seconds each answered request is in the bucket, and none twice."""
        self.wait_for(lambda: set(load.answered) <= set(self.captured()), 5)
        captured = self.captured()
        assert len(captured) == len(set(captured))


@pytest.fixture
def bench(platform, wait_for):
    return Bench(platform, wait_for)


REPLICA = "endpoint/"


@pytest.mark.parametrize("count", [2, 1], ids=["one of two replicas", "the only replica"])
def test_a_killed_replica_costs_no_request_and_no_record(bench, count):
    bench.create(count)

    with Load(bench.platform) as load:
        for _ in range(3):
            load.wait_for_more(50)
            bench.kill(REPLICA)
            load.wait_for_more(50)

    assert [str(error) for error in load.failed] == []
    bench.check_capture(load)


def test_a_killed_worker_costs_no_request_and_no_record(bench):
    bench.create(1)

    with Load(bench.platform) as load:
        for _ in range(2):
            load.wait_for_more(50)
            bench.kill("worker")
            load.wait_for_more(50)

    assert [str(error) for error in load.failed] == []
    bench.check_capture(load)
    assert bench.status() == "InService"


def test_a_killed_gateway_costs_at_most_what_was_in_flight_and_no_record(bench):
    bench.create(1)

    with Load(bench.platform, threads=4) as load:
        load.wait_for_more(50)
        bench.kill("gateway-")
        load.wait_for_more(50)

    assert len(load.failed) <= 4
    bench.check_capture(load)


def test_an_update_under_load_fails_no_request(bench):
    bench.create(1)
    bench.config("c2", 2)

    with Load(bench.platform) as load:
        load.wait_for_more(50)
        bench.sagemaker.update_endpoint(EndpointName="iris", EndpointConfigName="c2")
        bench.wait_status("InService")
        load.wait_for_more(50)
        bench.wait_for(lambda: len(bench.processes(REPLICA)) == 2, 30)
        load.wait_for_more(50)

    assert [str(error) for error in load.failed] == []
    assert bench.sagemaker.describe_endpoint(EndpointName="iris")["EndpointConfigName"] == "c2"
    bench.check_capture(load)


def test_an_update_survives_the_death_of_the_worker_at_any_step(bench):
    bench.create(1)
    bench.config("c2", 1)

    with Load(bench.platform) as load:
        bench.sagemaker.update_endpoint(EndpointName="iris", EndpointConfigName="c2")
        for _ in range(4):
            load.wait_for_more(random.randrange(1, 20))
            bench.kill("worker")
        bench.wait_status("InService")
        load.wait_for_more(50)

    assert [str(error) for error in load.failed] == []
    assert bench.sagemaker.describe_endpoint(EndpointName="iris")["EndpointConfigName"] == "c2"
    bench.check_capture(load)


def test_a_platform_that_was_killed_whole_serves_again(bench):
    bench.create(1)
    with Load(bench.platform) as load:
        load.wait_for_more(50)

    supervisor = bench.platform.control.info()["pid"]  # its lifeline goes by the same command line
    running = bench.processes("")
    os.kill(supervisor, signal.SIGKILL)
    bench.wait_for(lambda: not any(psutil.pid_exists(pid) for pid in running), 10)
    bench.platform.farero("up", "-d")

    with Load(bench.platform) as again:
        again.wait_for_more(20)
    assert again.failed == []
    bench.check_capture(load)
    bench.check_capture(again)
