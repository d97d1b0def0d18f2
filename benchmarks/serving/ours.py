"""Farero as its users run it: `farero up` in a fresh folder, deployed with boto3, all requests captured, metrics on.

Environments of frameworks are kept in the benchmark's cache, so that PyTorch is not installed for each fresh folder.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import fresh
from benchmarks.fresh import BUCKET, ROLE
from benchmarks.serving import load, places, running
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from benchmarks.serving.models import Work

IMAGES = {
    "xgboost": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5",
    "pytorch": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
}
#: What asks for a model's acceleration.
ACCELERATE = {"FARERO_ACCELERATE": "onnx"}
#: Word in a command line → what it is.
ROLES = {
    "farero_container": "replica",
    "farero gateway": "gateway",
    "farero worker": "worker",
}


class Platform:
    """One running Farero."""

    def __init__(self, site: fresh.Site) -> None:
        self.site = site
        self.url, self.port, self.data, self.control = site.url, site.port, site.data, site.control
        #: The supervisor; everything else is its child.
        self.pid = int(site.control.info()["pid"])
        self._s3, self._sagemaker = site.client("s3"), site.client("sagemaker")

    def put_model(self, name: str, work: Work, *, accelerated: bool = False) -> None:
        """Upload a model and name it."""
        files = {work.file.name: work.file.read_bytes()}
        if accelerated and work.is_torch:
            files["sample.json"] = work.body
        made = fresh.archive(files)
        self._s3.put_object(Bucket=BUCKET, Key=f"models/{name}.tar.gz", Body=made)
        self._sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
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
        name = f"{work.name}-{'quick' if accelerated else 'default'}"
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
        SigV4Auth(fresh.owner(self.data), "sagemaker", fresh.REGION).add_auth(request)
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
def platform(**settings: object) -> Generator[Platform]:
    """Run Farero in a fresh folder until the block ends. Raises Failed.

    settings: those that are not the default ones.
    """
    with tempfile.TemporaryDirectory(prefix="farero-bench-", ignore_cleanup_errors=True) as scratch:
        site = fresh.Site(Path(scratch), **settings)
        site.data.mkdir(mode=0o700)
        envs = places.CACHE / "envs"
        envs.mkdir(exist_ok=True, mode=0o700)
        (site.data / "envs").symlink_to(envs)
        try:
            with site.running():
                yield Platform(site)
        except subprocess.CalledProcessError as error:
            raise load.Failed(f"{error}: {error.output.strip()[-600:]}") from error


def _role(pid: int) -> str:
    command = load.command_of(pid)
    return next((role for word, role in ROLES.items() if word in command), "else")


def _flat(value: object) -> list[float]:
    if isinstance(value, list):
        return [number for item in value for number in _flat(item)]
    return [float(value)]
