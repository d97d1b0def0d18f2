"""Farero as its users run it: `farero up` in a fresh folder, deployed with boto3, all requests captured, metrics on.

Environments of frameworks are kept in the benchmark's cache, so that PyTorch is not installed for each fresh folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from benchmarks.serving import load, places, running
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from farero.compute.control import Control

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from benchmarks.serving.models import Work

IMAGES = {
    "xgboost": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5",
    "pytorch": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
}
REGION = "us-east-1"
BUCKET = "sagemaker-us-east-1-123456789012"
#: What turns ONNX Runtime on for a model.
ACCELERATE = {"FARERO_ACCELERATE": "onnx"}
#: Word in a command line → what it is.
ROLES = {
    "farero_container": "replica",
    "processes gateway": "gateway",
    "processes worker": "worker",
}


class Platform:
    """One running Farero."""

    def __init__(self, folder: Path, port: int, pid: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        #: The supervisor; everything else is its child.
        self.pid = pid
        self.data = folder / "data"
        owner = json.loads((self.data / "keys" / "owner.json").read_text(encoding="utf-8"))
        self._keys = Credentials(owner["access_key_id"], owner["secret_access_key"])
        session = boto3.Session(
            owner["access_key_id"], owner["secret_access_key"], region_name=REGION
        )
        path_style = Config(s3={"addressing_style": "path"})
        self._s3, self._sagemaker, iam = (
            session.client(name, endpoint_url=self.url, config=path_style)
            for name in ("s3", "sagemaker", "iam")
        )
        self._role = iam.list_roles()["Roles"][0]["Arn"]

    def put_model(self, name: str, work: Work, *, accelerated: bool = False) -> None:
        """Upload a model and name it."""
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as tar:
            tar.add(work.file, work.file.name)
        self._s3.put_object(Bucket=BUCKET, Key=f"models/{name}.tar.gz", Body=made.getvalue())
        self._sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self._role,
            PrimaryContainer={
                "Image": IMAGES["pytorch" if work.is_torch else "xgboost"],
                "ModelDataUrl": f"s3://{BUCKET}/models/{name}.tar.gz",
                "Environment": ACCELERATE if accelerated else {},
            },
        )

    def put_config(self, model: str, *, replicas: int = 1) -> None:
        """Make the configuration of endpoints that serve `model`, all requests captured."""
        self._sagemaker.create_endpoint_config(
            EndpointConfigName=model,
            ProductionVariants=[{
                "VariantName": "AllTraffic", "ModelName": model, "InstanceType": "ml.m5.large",
                "InitialInstanceCount": replicas, "InitialVariantWeight": 1.0,
            }],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": f"s3://{BUCKET}/capture",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
            },
        )  # fmt: skip

    def put_serverless(self, model: str, *, memory_mb: int, most: int) -> None:
        """Make the configuration of serverless endpoints that serve `model`."""
        limits = {"MemorySizeInMB": memory_mb, "MaxConcurrency": most}
        variant = {"VariantName": "AllTraffic", "ModelName": model, "ServerlessConfig": limits}
        self._sagemaker.create_endpoint_config(
            EndpointConfigName=model, ProductionVariants=[variant]
        )

    def put_endpoints(self, config: str, names: list[str]) -> None:
        """Create endpoints and wait until all are in service. Raises Failed."""
        for name in names:
            self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.wait(names)

    def wait(self, names: list[str], *, limit_s: float = 300.0) -> None:
        """Wait until endpoints have all their replicas. Raises Failed."""
        limit = time.monotonic() + limit_s
        for name in names:
            while (said := self._describe(name))["EndpointStatus"] == "Creating":
                if time.monotonic() > limit:
                    raise load.Failed(f"endpoint {name} is not in service after {limit_s:.0f} s")
                time.sleep(0.05)
            if said["EndpointStatus"] != "InService":
                raise load.Failed(
                    f"endpoint {name}: {said.get('FailureReason', said['EndpointStatus'])}"
                )

    def _describe(self, name: str) -> Mapping[str, Any]:
        return self._sagemaker.describe_endpoint(EndpointName=name)

    def deploy(
        self,
        work: Work,
        *,
        replicas: int = 1,
        accelerated: bool = False,
        limit_s: float = running.START_LIMIT_S,
    ) -> tuple[str, float]:
        """Take a model to an endpoint of its own; return its name and the seconds from CreateEndpoint to its answer.

        Raises Failed where it does not come into service or answers something else than the model.
        """
        name = f"{work.name}-{'onnx' if accelerated else 'default'}"
        self.put_model(name, work, accelerated=accelerated)
        self.put_config(name, replicas=replicas)
        target = self.target(name, work)

        def ask() -> list[float]:
            if (said := self._describe(name))["EndpointStatus"] == "Failed":
                raise load.Failed(f"endpoint {name}: {said['FailureReason']}")
            return read(running.post(target.url, target.body, target.headers()))

        began = time.monotonic()
        self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        running.first_answer(ask, work.expected, self.pid, limit_s=limit_s)
        seconds = time.monotonic() - began
        self.wait([name])
        return name, seconds

    def target(self, endpoint: str, work: Work) -> load.Target:
        """Return where wrk sends what."""
        url = f"{self.url}/endpoints/{endpoint}/invocations"
        return load.Target(
            url=url,
            body=work.body,
            headers=lambda: self.sign(url, work.body),
            pid=self.pid,
            role=_role,
        )

    def sign(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of a signed request; they hold for five minutes."""
        headers = {"Content-Type": "application/json", "Host": f"127.0.0.1:{self.port}"}
        request = AWSRequest("POST", url, data=body, headers=headers)
        SigV4Auth(self._keys, "sagemaker", REGION).add_auth(request)
        return dict(request.headers.items())

    def served(self) -> str:
        """Return what the newest replica says it serves, in its log file."""
        files = sorted((self.data / "logs").rglob("*"), key=lambda path: path.stat().st_mtime)
        for path in reversed([path for path in files if path.is_file()]):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if "farero: serving " in line:
                    return line.partition("farero: serving ")[2].rpartition(" after ")[0]
        return ""


def read(answer: object) -> list[float]:
    """Return the numbers of an answer: `{"predictions": [{"score": …}]}`, or PyTorch's bare lists."""
    if isinstance(answer, dict):
        answer = [item["score"] for item in answer["predictions"]]
    return _flat(answer)


@contextlib.contextmanager
def platform(*, gateways: int = 1) -> Generator[Platform]:
    """Run Farero in a fresh folder until the block ends."""
    with tempfile.TemporaryDirectory(prefix="farero-bench-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / "data").mkdir(mode=0o700)
        envs = places.CACHE / "envs"
        envs.mkdir(exist_ok=True, mode=0o700)
        (folder / "data" / "envs").symlink_to(envs)
        environ = {
            **os.environ,
            "FARERO_DATA_DIR": str(folder / "data"),
            "FARERO_PORT": str(_free_port()),
            "FARERO_CONSOLE_PORT": "0",
            "FARERO_GATEWAYS": str(gateways),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
            "AWS_CONFIG_FILE": str(folder / "config"),
        }
        farero = [sys.executable, "-m", "farero"]
        try:
            done = subprocess.run(
                [*farero, "up", "-d"], check=False, env=environ, capture_output=True, text=True
            )
            if done.returncode:
                raise load.Failed(f"farero up: {(done.stdout + done.stderr).strip()[-600:]}")
            pid = int(Control(folder / "data" / "run" / "supervisor.sock").info()["pid"])
            yield Platform(folder, int(environ["FARERO_PORT"]), pid)
        finally:
            subprocess.run([*farero, "down"], check=False, env=environ, capture_output=True)


def _role(pid: int) -> str:
    command = load.command_of(pid)
    return next((role for word, role in ROLES.items() if word in command), "else")


def _flat(value: object) -> list[float]:
    if isinstance(value, list):
        return [number for item in value for number in _flat(item)]
    return [float(value)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
