"""`farero deploy` and `farero invoke`: the same AWS calls that boto3 code would make, in one line."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farero.base.arns import parse_s3_uri
from farero.base.errors import Invalid
from farero.cli import updating
from farero.cli.engines import engines_of
from farero.cli.output import FAILED, WRONG_USAGE, fail, options, result, say, step
from farero.cli.session import client, guarded, is_aws, owner_key, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Image names as `sagemaker.image_uris.retrieve` gives them for us-east-1; only repository and tag count here.
IMAGES = {
    "xgboost": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5",
    "sklearn": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
    "pytorch": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
}
ROLE = "AmazonSageMaker-ExecutionRole-farero"


def deploy(
    model: Annotated[str, typer.Argument(help="Model file, folder, model.tar.gz or s3:// URI.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Endpoint name; from the model's file name.")
    ] = None,
    framework: Annotated[str | None, typer.Option(help="xgboost, sklearn or pytorch.")] = None,
    code: Annotated[Path | None, typer.Option(help="inference.py or a folder with it.")] = None,
    requirements: Annotated[Path | None, typer.Option(help="requirements.txt of the code.")] = None,
    capture: Annotated[
        int | None, typer.Option(min=0, max=100, help="Percent of requests captured.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Model server processes.")] = 1,
    serverless: Annotated[
        bool, typer.Option("--serverless", help="A serverless endpoint.")
    ] = False,
    memory: Annotated[int, typer.Option(help="MemorySizeInMB of a serverless endpoint.")] = 2048,
    max_concurrency: Annotated[
        int, typer.Option(help="MaxConcurrency of a serverless endpoint.")
    ] = 10,
    provisioned: Annotated[
        int | None,
        typer.Option(help="ProvisionedConcurrency of a serverless endpoint: always warm."),
    ] = None,
    accelerate: Annotated[
        bool,
        typer.Option(
            "--accelerate",
            help="Predict in a quicker way that is proven to give the same answers: XGBoost and TorchScript.",
        ),
    ] = False,
    sample: Annotated[
        Path | None,
        typer.Option(help="Rows of the input (.json, .csv, .npy), to accelerate TorchScript."),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Replace a running endpoint.")] = False,
    canary: Annotated[
        str, typer.Option(help="An update gets this part of the requests first: 10%.")
    ] = "",
    rolling: Annotated[
        str,
        typer.Option(help="An update replaces this part of the replicas at a time: 25%."),
    ] = "",
    bake: Annotated[str, typer.Option(help="How long each part of an update is watched: 5m.")] = "",
    rollback_on: Annotated[
        str,
        typer.Option(help="What takes an update back: 'errors>1%,p99>200ms', names of alarms."),
    ] = "",
) -> None:
    """Take a model to a live endpoint: upload, CreateModel, CreateEndpointConfig, CreateEndpoint, wait."""
    endpoint = _endpoint_name(name or _stem(model))
    if provisioned is not None and not serverless:
        fail("E-OPTION", "only a serverless endpoint has a provisioned concurrency", where="--provisioned",
             fix="add --serverless, or give --workers instead", status=WRONG_USAGE)  # fmt: skip
    rollout = updating.asked(canary, rolling, bake, rollback_on, is_serverless=serverless)
    if not is_aws():
        owner_key()
    sagemaker = client("sagemaker")
    exists = guarded(lambda: _exists(sagemaker, endpoint))
    updating.check(rollout, endpoint, exists=exists)
    if exists and not (update or options.yes) and not _agreed(endpoint):
        fail(
            "E-EXISTS",
            f"endpoint {endpoint} exists",
            fix=f"farero deploy {model} --name {endpoint} --update",
        )
    if accelerate:
        _check_can_accelerate(framework or "xgboost", code)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="farero-") as scratch:
        added = {"code": code, "requirements": requirements, "sample": sample}
        uri, kind = _upload(model, endpoint, framework, added, Path(scratch))
    if accelerate:
        _check_can_accelerate(kind, code)
    stamp = time.strftime("%Y%m%d%H%M%S")
    resource = f"{endpoint[:45].rstrip('-')}-{stamp}"
    instances = {"InstanceType": "ml.m5.large", "InitialInstanceCount": workers}
    limits = {"MemorySizeInMB": memory, "MaxConcurrency": max_concurrency}
    if provisioned is not None:
        limits["ProvisionedConcurrency"] = provisioned
    variant: dict[str, Any] = {
        "VariantName": "AllTraffic",
        "ModelName": resource,
        "InitialVariantWeight": 1.0,
        **({"ServerlessConfig": limits} if serverless else instances),
    }
    config: dict[str, Any] = {"EndpointConfigName": resource, "ProductionVariants": [variant]}
    if capture is not None:
        config["DataCaptureConfig"] = _capture_config(capture)
    container: dict[str, Any] = {"Image": IMAGES[kind], "ModelDataUrl": uri}
    if code is not None:
        # a script of any name is packed under this one
        container["Environment"] = {"SAGEMAKER_PROGRAM": "inference.py"}
    if accelerate:
        container["Environment"] = {"FARERO_ACCELERATE": "onnx"}
    with step("create model, configuration, endpoint"):
        guarded(lambda: sagemaker.create_model(
            ModelName=resource, ExecutionRoleArn=role_arn(), PrimaryContainer=container))  # fmt: skip
        guarded(lambda: sagemaker.create_endpoint_config(**config))
        call = sagemaker.update_endpoint if exists else sagemaker.create_endpoint
        how = updating.how(client("cloudwatch"), rollout, endpoint, resource) if rollout else {}
        guarded(lambda: call(EndpointName=endpoint, EndpointConfigName=resource, **how))
    with step("load model, health check") as waiting:
        described = updating.wait_in_service(
            sagemaker, endpoint, resource, waiting, waits_s=rollout.waits_s if rollout else 0
        )
    seconds = time.monotonic() - started
    told = engines_of(sagemaker, described["EndpointArn"]) if accelerate else {}
    result({"endpoint": endpoint, "status": described["EndpointStatus"], "seconds": round(seconds, 2),
            "model": resource, "model_data": uri} | ({"engines": told} if accelerate else {}))  # fmt: skip
    say(f"[bold]{endpoint}[/] is InService after {seconds:.1f} s")
    for engine in told.values():
        say(engine)
    say(f"next: farero invoke {endpoint} -d '1,2,3,4'")
    say(f"      aws sagemaker-runtime invoke-endpoint --endpoint-name {endpoint} --content-type text/csv "
        "--body fileb://row.csv out.txt")  # fmt: skip


def invoke(
    endpoint: str,
    data: Annotated[
        str, typer.Option("--data", "-d", help="The body, @FILE, or - for standard input.")
    ],
    *,
    content_type: Annotated[
        str | None, typer.Option(help="Guessed from the body when not given.")
    ] = None,
    accept: Annotated[str, typer.Option(help="Accept header.")] = "*/*",
    variant: Annotated[str | None, typer.Option(help="TargetVariant.")] = None,
    inference_id: Annotated[
        str | None, typer.Option(help="InferenceId, kept in captured records.")
    ] = None,
    curl: Annotated[
        bool, typer.Option("--curl", help="Print the signed curl line instead.")
    ] = False,
    n: Annotated[int, typer.Option("-n", min=1, help="Send it this many times.")] = 1,
) -> None:
    """Call an endpoint and print its answer."""
    body = _body(data)
    kind = content_type or guess_content_type(body)
    if curl:
        _print_curl(endpoint, body, kind, accept)
        return
    runtime = client("sagemaker-runtime")
    extra = {"TargetVariant": variant, "InferenceId": inference_id}
    given = {key: value for key, value in extra.items() if value}
    times: list[float] = []
    answer: Any = None
    payload = b""
    for _ in range(n):
        began = time.monotonic()
        answer = guarded(
            lambda: runtime.invoke_endpoint(
                EndpointName=endpoint, Body=body, ContentType=kind, Accept=accept, **given
            )
        )
        payload = answer["Body"].read()
        times.append((time.monotonic() - began) * 1000)
    text = payload.decode("utf-8", errors="replace")
    if options.as_json:
        result({"body": text, "content_type": answer["ContentType"], "variant": answer["InvokedProductionVariant"],
                "milliseconds": [round(t, 2) for t in times],
                "request_id": answer["ResponseMetadata"]["RequestId"]})  # fmt: skip
        return
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    if note := headers.get("x-farero-compat"):
        say(f"[dim]note: {note} (AWS's own container would refuse this body)[/]")
    if n > 1:
        times.sort()
        say(f"[dim]{n} calls: median {times[n // 2]:.1f} ms, slowest {times[-1]:.1f} ms[/]")


def guess_content_type(body: bytes) -> str:
    """Say what a body most likely is: JSON, NPY, or CSV."""
    if body.startswith(b"\x93NUMPY"):
        return "application/x-npy"
    if body.lstrip()[:1] in (b"{", b"["):
        return "application/json"
    return "text/csv"


def _body(data: str) -> bytes:
    if data == "-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        path = Path(data[1:])
        if not path.exists():
            fail("E-FILE", f"{path} does not exist", where=str(Path.cwd()), status=WRONG_USAGE)
        return path.read_bytes()
    return data.encode()


def _print_curl(endpoint: str, body: bytes, kind: str, accept: str) -> None:
    url = f"{settings().url}/endpoints/{endpoint}/invocations"
    lines = [
        "# AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: " + str(settings().keys_dir / "owner.json"),
        (
            f'curl -sS --aws-sigv4 "aws:amz:{settings().region}:sagemaker" '
            '-u "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\'
        ),
        f"  -H 'Content-Type: {kind}' -H 'Accept: {accept}' \\",
        f"  --data-binary {shlex.quote(body.decode('utf-8', errors='replace'))} \\",
        f"  {url}",
    ]
    result({"curl": "\n".join(lines)})
    if not options.as_json:
        sys.stdout.write("\n".join(lines) + "\n")


def _check_can_accelerate(kind: str, code: Path | None) -> None:
    if is_aws():
        fail("E-ACCELERATE", "AWS's own containers cannot be accelerated", where="--accelerate",
             fix="leave --accelerate out", status=WRONG_USAGE)  # fmt: skip
    if kind == "sklearn" or code is not None:
        what = f"a {kind} model" if code is None else "a model with code of its own"
        fail("E-ACCELERATE", f"{what} cannot be accelerated; XGBoost's trees and TorchScript can",
             where="--accelerate", fix="leave --accelerate out", status=WRONG_USAGE)  # fmt: skip


def _exists(sagemaker: Any, endpoint: str) -> bool:
    pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=endpoint)
    return any(one["EndpointName"] == endpoint for page in pages for one in page["Endpoints"])


def _agreed(endpoint: str) -> bool:
    if options.as_json or not sys.stdin.isatty():
        return False
    return typer.confirm(
        f"Endpoint {endpoint} exists. Update it without losing a request?", default=True
    )


def _stem(model: str) -> str:
    name = model.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"(\.tar)?\.[A-Za-z0-9]+$", "", name)


def _endpoint_name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")[:63]
    if not name:
        fail(
            "E-NAME", f"'{text}' gives no endpoint name", fix="add --name NAME", status=WRONG_USAGE
        )
    return re.sub(r"-{2,}", "-", name)


def _upload(
    model: str, endpoint: str, framework: str | None, added: Mapping[str, Path | None], scratch: Path
) -> tuple[str, str]:  # fmt: skip
    if model.startswith("s3://"):
        if added["sample"] is not None:
            fail("E-OPTION", "nothing can be added to a model that is in S3 already", where="--sample",
                 fix="put sample.json, sample.csv or sample.npy into its model.tar.gz", status=WRONG_USAGE)  # fmt: skip
        try:
            parse_s3_uri(model)
        except Invalid as error:
            fail("E-URI", str(error), status=WRONG_USAGE)
        return model, _known(framework or "xgboost")
    path = Path(model)
    if not path.exists():
        fail("E-FILE", f"{model} does not exist", where=str(Path.cwd()), status=WRONG_USAGE)
    with step("pack model") as packing:
        archive = scratch / "model.tar.gz"
        report = pack_archive(path, archive, **added)
        kind = _known(framework or report.get("framework") or "xgboost")
        packing.note(f"{archive.stat().st_size / 1e6:.1f} MB, {kind}")
    bucket = f"sagemaker-{settings().region}-{_account()}"
    key = f"farero-deploy/{endpoint}-{time.strftime('%Y%m%d%H%M%S')}/model.tar.gz"
    with step("upload"):
        guarded(lambda: client("s3").upload_file(str(archive), bucket, key))
    return f"s3://{bucket}/{key}", kind


def pack_archive(path: Path, archive: Path, **added: Path | None) -> dict[str, Any]:
    """Make `archive` from a model file, folder or tar; ends the command with the packer's own reason.

    added: code, requirements and sample, as `farero_container pack` takes them.
    """
    argv = [sys.executable, "-m", "farero_container", "pack", str(path), str(archive)]
    for name, given in added.items():
        argv += [f"--{name}", str(given)] if given is not None else []
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    report = _last_json(done.stdout)
    if done.returncode != 0:
        fail(report.get("cause", "E-PACK"), report.get("message", done.stderr.strip() or "packing failed"),
             where=str(path), fix=report.get("fix", ""), status=FAILED)  # fmt: skip
    return report


def _last_json(text: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def _known(framework: str) -> str:
    if framework not in IMAGES:
        fail("E-FRAMEWORK", f"framework '{framework}' is not known", fix="--framework " + "|".join(IMAGES),
             status=WRONG_USAGE)  # fmt: skip
    return framework


def _account() -> str:
    return (
        guarded(lambda: client("sts").get_caller_identity()["Account"])
        if is_aws()
        else settings().account
    )


def role_arn() -> str:
    """Return the role that models and jobs run with: Farero's own, or on AWS the one signed in with."""
    if not is_aws():
        return f"arn:aws:iam::{settings().account}:role/{ROLE}"
    arn = guarded(lambda: client("sts").get_caller_identity()["Arn"])
    found = re.match(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/", arn)
    if not found:
        fail(
            "E-ROLE",
            f"{arn} is no role that SageMaker could assume",
            fix="sign in with a SageMaker execution role",
        )
    return guarded(lambda: client("iam").get_role(RoleName=found.group(2))["Role"]["Arn"])


def _capture_config(percent: int) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": f"s3://sagemaker-{settings().region}-{_account()}/model-monitor/data-capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }
