"""A bench for kill -9: a model whose every answer is known beforehand, and load that keeps each byte it sent and got."""

import collections
import contextlib
import http.client
import json
import math
import os
import random
import signal
import threading
import time
from pathlib import Path

import botocore.session
import numpy as np
import pytest
import xgboost
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from tests.conftest import PATIENCE, load_script

from farero.endpoints.replicas import ping

pack = load_script("fresh", "benchmarks").archive

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
SEED = int(os.environ.get("FARERO_CHAOS_SEED", random.randrange(10**6)))
#: The long form: half a minute of load at 200 requests a second for each test, and what takes an hour.
NIGHTLY = os.environ.get("FARERO_NIGHTLY") == "1"
#: Random moments at which each fault happens.
KILLS = 20
#: The machine of the test may be busy with others.
A_SECOND = 2.5 * float(os.environ.get("FARERO_TEST_PATIENCE", "2"))
FEATURES = 4
#: Starts quickly and answers with its input turned round, so that no two answers are alike.
TURNS_ROUND = b"""
def model_fn(model_dir): return None
def input_fn(data, content_type): return data
def predict_fn(data, model): return data[::-1]
def output_fn(prediction, accept): return prediction, "text/csv"
"""


def pytest_collection_modifyitems(items):
    """Let the long form take its hours."""
    for item in items if NIGHTLY else ():
        item.add_marker(pytest.mark.timeout(0))


@pytest.fixture
def chance(request):
    """Chance that FARERO_CHAOS_SEED repeats, test by test; the seed is in the test's output."""
    print("FARERO_CHAOS_SEED", SEED)  # noqa: T201 - the way to see this again
    return random.Random(f"{SEED} {request.node.name}")


def moments(chance, count=KILLS):
    """Wait a random while, `count` times: the moments are what is tested. Spread over 30 s in the long form."""
    longest = 60.0 / count if NIGHTLY else 0.3
    for number in range(count):
        threading.Event().wait(chance.uniform(0.0, longest))
        yield number


@pytest.fixture(scope="session")
def booster():
    """A small trained model."""
    rows = np.random.default_rng(7).random((300, FEATURES), dtype=np.float32)
    return xgboost.train({"max_depth": 3, "nthread": 1}, xgboost.DMatrix(rows, rows.sum(axis=1)), 5)


def is_alive(pid):
    """Say whether a process runs; a zombie does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


class RequestError(Exception):
    """One request that got no 200: `kind` is refused, broken, cut or the status; `sent`: when all of it had left."""

    def __init__(self, kind, detail, sent=math.inf):
        super().__init__(f"{kind}: {detail}")
        self.kind, self.sent = kind, sent


class RawCaller:
    """One keep-alive connection, signed requests, no retry: every failure shows as it is."""

    def __init__(self, platform):
        self._address = ("127.0.0.1", platform.port)
        self._url = platform.url
        owner = platform.owner
        session = botocore.session.Session()
        session.set_credentials(owner["access_key_id"], owner["secret_access_key"])
        self._auth = SigV4Auth(session.get_credentials(), "sagemaker", "us-east-1")
        self._connection = None

    def call(self, endpoint, body):
        """Return the answer's bytes. Raises RequestError."""
        path = f"/endpoints/{endpoint}/invocations"
        request = AWSRequest("POST", self._url + path, {"Content-Type": "text/csv"}, body)
        self._auth.add_auth(request)
        sent = math.inf
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(*self._address, timeout=30)
                self._connection.connect()
            self._connection.request("POST", path, body, dict(request.headers))
            sent = time.monotonic()
            answer = self._connection.getresponse()
            payload = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            kinds = {ConnectionRefusedError: "refused", http.client.IncompleteRead: "cut"}
            raise RequestError(kinds.get(type(error), "broken"), repr(error), sent) from error
        if answer.status != 200:
            raise RequestError(str(answer.status), payload[:200], sent)
        if answer.getheader("Connection") == "close":
            self.close()
        return payload

    def close(self):
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class BotoCaller:
    """boto3 with its standard retries, as most programs have them."""

    def __init__(self, platform):
        self._client = platform.client("sagemaker-runtime", retries={"mode": "standard"})

    def call(self, endpoint, body):
        """Return the answer's bytes. Raises RequestError."""
        try:
            answer = self._client.invoke_endpoint(
                EndpointName=endpoint, ContentType="text/csv", Body=body
            )
            return answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise RequestError("boto3", str(error)) from error

    def close(self):
        """Hang up."""
        self._client.close()


class Load:
    """Requests from several connections at a steady rate; no two have the same body.

    `endpoint` may be changed at any time. `answered` holds (body, answer, seconds); `failed` holds RequestError;
    `sent` every body, and whom it was sent to.
    """

    def __init__(
        self, platform, endpoint, *, connections=8, rate=120.0, caller=RawCaller, total=None
    ):
        self.endpoint = endpoint
        self.sent, self.answered, self.failed = {}, [], []
        if NIGHTLY and total is None:
            connections, rate = 2 * connections, 200.0 * connections / 8
        self._draw = np.random.default_rng([SEED, *endpoint.encode()])
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._left = total
        self._pause = connections / rate
        callers = [caller(platform) for _ in range(connections)]
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in callers]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __len__(self):
        return len(self._threads)

    def __exit__(self, *_):
        if self._left is None:
            self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def faults(self):
        """What went wrong, as text, with the seed."""
        return [f"{failure} (seed {SEED})" for failure in self.failed]

    def stop(self):
        """Send nothing more."""
        self._stop.set()

    def wait_for_more(self, count, seconds=30):
        """Return once `count` further requests were answered, whoever they were for."""
        wanted, deadline = len(self.answered) + count, time.monotonic() + PATIENCE * seconds
        while len(self.answered) < wanted:
            assert time.monotonic() < deadline, (self.faults[-3:], len(self.answered))
            time.sleep(0.005)

    def _next_body(self):
        with self._lock:
            if self._left is not None:
                if not self._left:
                    return None
                self._left -= 1
            row = self._draw.random(FEATURES, dtype=np.float32)
            body = ",".join(repr(float(value)) for value in row).encode()
            self.sent[body] = self.endpoint
            return body

    def _run(self, caller):
        while not self._stop.is_set() and (body := self._next_body()) is not None:
            began = time.monotonic()
            try:
                answer = caller.call(self.sent[body], body)
                self.answered.append((body, answer, time.monotonic() - began))
            except RequestError as failure:
                self.failed.append(failure)
                self._stop.wait(0.02)
            self._stop.wait(max(0.0, self._pause - (time.monotonic() - began)))
        caller.close()


class Bench:
    """A running platform, and what a test needs to deploy on it, load it and kill parts of it."""

    def __init__(self, platform, booster):
        self.platform, self.booster = platform, booster
        self.s3, self.sagemaker = platform.client("s3"), platform.client("sagemaker")
        self._role = platform.client("iam").list_roles()["Roles"][0]["Arn"]

    def model(self, name, files=None, environment=None):
        """Make a model: the trained one, or one of other files."""
        files = files or {"xgboost-model": bytes(self.booster.save_raw("ubj"))}
        self.s3.put_object(Bucket=self.platform.bucket, Key=f"{name}.tar.gz", Body=pack(files))
        container = {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{self.platform.bucket}/{name}.tar.gz",
            "Environment": environment or {},
        }
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=self._role, PrimaryContainer=container
        )
        return name

    def config(self, name, model, count=1, *, serverless=None, startup_s=None):
        """Make an endpoint config that captures everything."""
        instances = {"InstanceType": "ml.m5.large", "InitialInstanceCount": count}
        if startup_s is not None:
            instances["ContainerStartupHealthCheckTimeoutInSeconds"] = startup_s
        kind = {"ServerlessConfig": serverless} if serverless else instances
        variant = {"VariantName": "AllTraffic", "ModelName": model, **kind}
        capture = {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{self.platform.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], DataCaptureConfig=capture
        )
        return name

    def deploy(self, name, count=1, **model):
        """Bring an endpoint into service, model and all."""
        config = self.config(name, self.model(name, **model), count)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.wait_status(name, "InService")
        return name

    def deploy_script(self, names, count=1, script=TURNS_ROUND):
        """Bring endpoints into service that share one model, a script."""
        config = self.config(names[0], self.model(names[0], {"code/inference.py": script}), count)
        for name in names:
            self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        for name in names:
            self.wait_status(name, "InService", 60)
        return names

    def remove(self, names):
        """Delete endpoints and see them gone."""
        for name in names:
            self.sagemaker.delete_endpoint(EndpointName=name)
        for name in names:
            self.platform.wait(lambda name=name: not self.pids("replica", name))

    def status(self, endpoint):
        """Return EndpointStatus."""
        return self.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]

    def wait_status(self, endpoint, status, seconds=30):
        """Wait for a status, or end with what the endpoint says of itself."""

        def stands():
            found = self.sagemaker.describe_endpoint(EndpointName=endpoint)
            is_lost = found["EndpointStatus"] == "Failed" != status
            assert not is_lost, (found["FailureReason"], f"seed {SEED}")
            return found["EndpointStatus"] == status

        self.platform.wait(stands, seconds)

    def log(self, endpoint, words):
        """Return the lines of the endpoint's log group with these words."""
        found = self.platform.client("logs").filter_log_events(
            logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}", filterPattern=f'"{words}"'
        )
        return [event["message"] for event in found["events"]]

    def load(self, endpoint, **how):
        """Return load on an endpoint, for a with block."""
        return Load(self.platform, endpoint, **how)

    def pids(self, part, endpoint=""):
        """Return the pids of `gateway`, `worker`, `replica` (of an endpoint), `supervisor` or `all`."""
        info = self.platform.control.info()
        running = {
            p["name"]: p["pid"] for p in info["processes"] if p["pid"] and p["state"] == "running"
        }
        match part:
            case "gateway":
                return [pid for pid in info["gateways"] if pid]
            case "worker":
                return [info["worker"]] if info["worker"] else []
            case "supervisor":
                return [info["pid"]]
            case "replica":
                prefix = f"endpoint/{endpoint}/"
                return [pid for name, pid in running.items() if name.startswith(prefix)]
        return [info["pid"], *running.values()]

    def kill(self, part, endpoint="", *, chance=random):
        """Kill one such process by -9; return its pid."""
        while True:
            victim = chance.choice(self.platform.wait(lambda: self.pids(part, endpoint)))
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(victim, signal.SIGKILL)
                return victim

    def ready(self, endpoint):
        """Return the pids of the endpoint's replicas that answer /ping."""
        info = self.platform.control.info()
        running = [p for p in info["processes"] if p["pid"] and p["state"] == "running"]
        sockets = self.platform.data_dir / "run" / "r"
        return [
            one["pid"]
            for one in running
            if one["name"].startswith(f"endpoint/{endpoint}/")
            and ping(str(sockets / f"{one['name'].split('/')[3]}.sock")) == 200
        ]

    def expect(self, body):
        """Return what the model itself says to a body, as the container writes it."""
        row = np.array([[float(value) for value in body.split(b",")]], dtype=np.float32)
        return str(self.booster.predict(xgboost.DMatrix(row)).tolist()[0]).encode()

    def captured(self, endpoint):
        """Return every captured pair (input, output) that lies in the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.platform.bucket, Prefix=f"capture/{endpoint}/"
        )
        keys = [info["Key"] for page in pages for info in page.get("Contents", [])]
        bodies = [
            self.s3.get_object(Bucket=self.platform.bucket, Key=key)["Body"].read() for key in keys
        ]
        records = [json.loads(line)["captureData"] for body in bodies for line in body.splitlines()]
        return [
            (r["endpointInput"]["data"].encode(), r["endpointOutput"]["data"].encode())
            for r in records
        ]

    def check_capture(self, endpoint, *loads, seconds=8, exact=True):
        """See every answered request in the bucket once, byte for byte; no others unless `exact` is False.

        A gateway that dies between a record and its reply leaves a record whose client has no answer.
        """
        answered = collections.Counter(
            (body, answer)
            for load in loads
            for body, answer, _ in load.answered
            if load.sent[body] == endpoint
        )
        # Their number alone says nothing: records of no answer may be there before those of answers.
        with contextlib.suppress(AssertionError):
            self.platform.wait(
                lambda: not answered - collections.Counter(self.captured(endpoint)), seconds
            )
        found = collections.Counter(self.captured(endpoint))
        assert not answered - found, f"{(answered - found).total()} lost, seed {SEED}"
        extra = found - answered
        if exact:
            assert not extra, f"{extra.total()} too many, seed {SEED}"
        assert {body for body, _ in extra} <= {body for load in loads for body in load.sent}

    def check_answers(self, load, expect=None):
        """See that each answer is the model's own for just this request. expect: body → answer."""
        expect = expect or self.expect
        wrong = [(b, a) for b, a, _ in load.answered if a.strip() != expect(b)]
        assert not wrong, (wrong[:3], SEED)


@pytest.fixture
def bench(platform, booster):
    """A platform of the test's own, to be killed whole."""
    return Bench(platform, booster)


@pytest.fixture(scope="session")
def shared_bench(shared_platform, booster):
    """A platform that outlives the test; parts of it may die."""
    return Bench(shared_platform, booster)
