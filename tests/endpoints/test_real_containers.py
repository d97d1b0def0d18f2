"""Endpoints with the real container program: what a user's own mistakes look like in FailureReason.

All endpoints are created at once on one platform and looked at one by one, which saves most of the waiting.
"""

import io
import os
import pickle
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from tests.conftest import PATIENCE

from farero.app.core import App, prepare
from farero.app.gateway import GatewayApp
from farero.app.worker import WorkerApp
from farero.base.clock import SystemClock
from farero.base.config import Settings
from farero.base.context import Context, Principal
from farero.records.endpoint import EndpointStatus
from farero.store import endpoints as rows

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
OWNER = Principal(access_key_id="AKIA", arn="arn", user_id="id", is_owner=True)


def pack(**files):
    """A model.tar.gz of files; `script` is code/inference.py."""
    names = {
        "script": "code/inference.py",
        "requirements": "code/requirements.txt",
        "xgb": "xgboost-model",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            body = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(names.get(name, name))
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return made.getvalue()


def booster():
    rows_ = np.random.default_rng(1).normal(size=(50, 4))
    model = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows_, label=rows_[:, 0]), 3)
    return bytes(model.save_raw("json"))


MODEL_FN = "def model_fn(model_dir):\n"
#: Name → image, archive, and words that FailureReason must hold. Names end up in endpoint names.
FAILURES = {
    "import": (
        SKLEARN,
        pack(script="import os\n\nimport lightgbm_not_there\n"),
        ("E-IMPORT: code/inference.py line 3: ", "lightgbm_not_there", "requirements.txt"),
    ),
    "syntax": (
        SKLEARN,
        pack(script="x = 1\ndef model_fn(:\n"),
        ("E-SYNTAX: code/inference.py line 2: ",),
    ),
    "model-fn-missing": (
        SKLEARN,
        pack(script="x = 1\n"),
        ("E-NO-MODEL-FILE",),
    ),
    "model-fn-raises": (
        SKLEARN,
        pack(script=MODEL_FN + "    return {}['weights']\n"),
        ("E-MODEL-FN: code/inference.py line 2: ", "weights"),
    ),
    "arity": (
        SKLEARN,
        pack(script="def model_fn():\n    return 1\n"),
        ("E-HANDLER-ARITY: code/inference.py",),
    ),
    "no-model-file": (XGBOOST, pack(**{"readme.md": "hello"}), ("E-NO-MODEL-FILE",)),
    "model-load": (XGBOOST, pack(xgb=b"this is no booster"), ("E-MODEL-LOAD", "xgboost-model")),
    "gzip": (XGBOOST, b"PK\x03\x04 this is a zip file", ("E-TAR-GZIP",)),
    "truncated": (XGBOOST, pack(xgb=os.urandom(50_000))[:30_000], ("E-TAR-TRUNCATED",)),
    "unsafe": (XGBOOST, pack(**{"../../evil": "x"}), ("E-TAR-UNSAFE", "evil")),
    "bomb": (XGBOOST, pack(zeros=bytes(300 << 20)), ("E-TAR-BOMB",)),
    "empty": (XGBOOST, pack(), ("E-TAR-EMPTY",)),
    "requirements": (
        SKLEARN,
        pack(script=MODEL_FN + "    return 1\n", requirements="--no-index\nno-such-thing==1\n"),
        ("E-REQ-INSTALL: code/requirements.txt line 2 (no-such-thing==1): ",),
    ),
    "ping-timeout": (
        SKLEARN,
        pack(script=MODEL_FN + "    import time\n    time.sleep(600)\n"),
        (
            "E-PING-TIMEOUT: /ping gave no answer within 3 s",
            "ContainerStartupHealthCheckTimeoutInSeconds",
        ),
    ),
    "memory": (
        SKLEARN,
        pack(script=MODEL_FN + "    return bytearray(b'x') * (1400 << 20)\n"),
        ("E-OOM", "memory"),
    ),
    "layout": (
        SKLEARN,
        pack(**{"export/code/inference.py": "x = 1", "export/model.joblib": "x"}),
        ("E-TAR-LAYOUT", "'export/'"),
    ),
    "pickle": (
        SKLEARN,
        pack(
            **{
                "model.joblib": pickle.dumps(LogisticRegression()).replace(
                    b"LogisticRegression", b"LogisticRegressioX"
                )
            }
        ),
        ("E-",),
    ),
}


class World:
    """One platform in a folder of its own: supervisor as a process, worker in a thread."""

    def __init__(self, folder):
        self.settings = Settings(data_dir=folder / "data")
        env = {**os.environ, "FARERO_DATA_DIR": str(self.settings.data_dir)}
        self.clock = SystemClock()
        prepare(self.settings, self.clock)
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "farero.supervisor", "--bare"], env=env
        )
        self.wait((self.settings.run_dir / "supervisor.sock").exists)
        self.app = App(self.settings, self.clock)
        self.worker, self.gateway = WorkerApp(self.app), GatewayApp(self.app)
        self.ear = self.worker.wake_socket()
        self.thread = threading.Thread(target=self.worker.worker.run_forever, args=(self.ear.wait,))
        self.thread.start()
        self.app.objects.ensure_bucket("models")
        self.operation = self.gateway.rooms["sagemaker"].find_operation

    def wait(self, claim, seconds=60):
        deadline = time.monotonic() + PATIENCE * seconds
        while not claim():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def call(self, name, **members):
        ctx = Context(
            account="123456789012",
            region="us-east-1",
            request_id="r",
            now=self.clock.now(),
            principal=OWNER,
        )
        return self.operation(name)(ctx, members)

    def deploy(self, name, image, body, **changes):
        self.app.objects.put("models", f"{name}.tar.gz", body)
        container = {"Image": image, "ModelDataUrl": f"s3://models/{name}.tar.gz"}
        if "code/" in str(body) or image == SKLEARN:
            container["Environment"] = (
                {"SAGEMAKER_PROGRAM": "inference.py"} if changes.pop("script", True) else {}
            )
        self.call("create_model", ModelName=name, PrimaryContainer=container)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            **(changes or {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}),
        }
        self.call("create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant])
        self.call("create_endpoint", EndpointName=name, EndpointConfigName=name)

    def endpoint(self, name):
        with self.app.store.read() as db:
            return rows.find(db, name)

    def settled(self, name):
        self.wait(lambda: self.endpoint(name).status is not EndpointStatus.CREATING)
        return self.endpoint(name)

    def close(self):
        self.ear.stop()
        self.thread.join()
        self.ear.close()
        self.worker.close()
        self.gateway.close()
        self.app.close()
        self.supervisor.terminate()
        self.supervisor.wait(30)


CHANGES = {
    "ping-timeout": {
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": 3,
    },
    "memory": {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
    "pickle": {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "script": False},
    "layout": {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "script": False},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    saved = {
        name: os.environ.get(name) for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
    }
    folder = tmp_path_factory.mktemp("w")
    os.environ |= {name: str(folder / name) for name in saved}
    made = World(folder)
    for name, (image, body, _) in FAILURES.items():
        made.deploy(f"bad-{name}", image, body, **CHANGES.get(name, {}))
    yield made
    made.close()
    for name, value in saved.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.mark.parametrize("name", FAILURES)
def test_a_mistake_has_its_cause_in_the_users_words(world, name):
    endpoint = world.settled(f"bad-{name}")

    assert endpoint.status == "Failed", endpoint
    reason = endpoint.failure_reason
    assert reason.startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint. Cause E-"
    )
    for words in FAILURES[name][2]:
        assert words in reason
    assert len(reason) <= 1024


def test_xgboost_is_in_service_and_its_log_says_what_runs(world):
    world.deploy("good", XGBOOST, pack(xgb=booster()))

    assert world.settled("good").status == "InService"
    told = world.call("describe_endpoint", EndpointName="good")
    (image,) = told["ProductionVariants"][0]["DeployedImages"]
    assert image["SpecifiedImage"] == XGBOOST
    assert image["ResolvedImage"] == f"farero/xgboost:{xgboost.__version__}"
    (path,) = (world.settings.logs_dir / "endpoints" / "good").iterdir()
    log = Path(path).read_text()
    assert f"asks for xgboost 1.7; what runs here is xgboost {xgboost.__version__}" in log
