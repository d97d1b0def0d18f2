"""The processing jobs of an execution, as AWS makes them: names, inputs, environment, outputs. Pure.

Names, paths and variables follow requests of AWS's own jobs (`groundtruth-merge-…`, then `model-quality-monitoring-…`).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from farero.records.job import Input, JobSpec, Output
from farero.records.monitoring import MonitoringType

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from farero.monitoring.captured import Folder
    from farero.monitoring.plans import Plan
    from farero.records.monitoring import Execution

BASELINE = "/opt/ml/processing/baseline"
INPUT = "/opt/ml/processing/input"
OUTPUT = "/opt/ml/processing/output"
LABELS = "/opt/ml/processing/groundtruth"
CONFIG = f"{INPUT}/config"
HISTORY = f"{INPUT}/history"
MERGER = "156813124566.dkr.ecr.{}.amazonaws.com/sagemaker-model-monitor-groundtruth-merger"
_PREFIX = {
    MonitoringType.DATA_QUALITY: "model-monitoring",
    MonitoringType.MODEL_QUALITY: "model-quality-monitoring",
    MonitoringType.MODEL_BIAS: "model-bias-monitoring",
    MonitoringType.MODEL_EXPLAINABILITY: "model-explainability-monitoring",
}
_ANALYSIS = {
    MonitoringType.DATA_QUALITY: "DATA_QUALITY",
    MonitoringType.MODEL_QUALITY: "MODEL_QUALITY",
    MonitoringType.MODEL_BIAS: "MODEL_BIAS",
    MonitoringType.MODEL_EXPLAINABILITY: "MODEL_EXPLAINABILITY",
}
_BOTH = ("endpointInput", "endpointOutput")
#: Longest name of a processing job: that of an explainability execution would be longer.
LONGEST_NAME = 63


def job_name(execution: Execution) -> str:
    """Return the name of an execution's processing job: the same however often it is asked for."""
    return f"{_PREFIX[execution.kind]}-{_stamp(execution)}"[:LONGEST_NAME]


def merge_name(execution: Execution) -> str:
    """Return the name of the job that merges an execution's labels with what was captured."""
    return f"groundtruth-merge-{_stamp(execution)}"


def merge_root(plan: Plan) -> str:
    """Return where merged records go; below it they lie as the captures do."""
    return f"{plan.output_uri}/merge"


def merging(
    plan: Plan, captured: Sequence[Folder], labels: Sequence[Folder], *, region: str
) -> JobSpec:
    """Return the job that joins what was captured with its labels."""
    inputs = [*_folders("groundtruth_input", labels, LABELS)]
    inputs += _folders("endpoint_input", captured, plan.local_path)
    environment = {
        "dataset_source": plan.local_path, "ground_truth_source": LABELS, "output_path": OUTPUT,
    }  # fmt: skip
    if plan.batch_uri:
        environment["dataset_format"] = json.dumps(plan.batch_format, separators=(",", ":"))
    return JobSpec(
        image=MERGER.format(region), role_arn=plan.role_arn,
        instance_type=plan.resources["ClusterConfig"]["InstanceType"],
        max_runtime_s=plan.max_runtime_s, inputs=tuple(inputs),
        environment=environment,
        outputs=(Output(name="result", s3_uri=merge_root(plan), local_path=OUTPUT),),
    )  # fmt: skip


def analyzing(
    execution: Execution, plan: Plan, data: Sequence[Folder], extras: Sequence[Input]
) -> JobSpec:
    """Return the job that judges a window. extras: baseline, scripts and configuration, by name."""
    return JobSpec(
        image=plan.image, role_arn=plan.role_arn,
        instance_type=plan.resources["ClusterConfig"]["InstanceType"],
        max_runtime_s=plan.max_runtime_s, entrypoint=plan.entrypoint, arguments=plan.arguments,
        environment=_environment(execution, plan, {entry.name for entry in extras}),
        inputs=(*_folders("endpoint_input", data, plan.local_path), *extras),
        outputs=(Output(name="result", s3_uri=report_uri(execution, plan), local_path=plan.output_path),),
    )  # fmt: skip


def report_uri(execution: Execution, plan: Plan) -> str:
    """Return where an execution's report goes."""
    at = execution.scheduled_at
    parts = [plan.output_uri, execution.endpoint, execution.schedule, f"{at:%Y/%m/%d/%H}"]
    if at.minute or at.second:
        parts.append(f"{at:%M}")  # several runs an hour are an extension; each keeps its own report
    return "/".join(part for part in parts if part)


def shown(spec: JobSpec, plan: Plan) -> dict[str, Any]:
    """Return what DescribeProcessingJob shows of a monitoring job, as CreateProcessingJob would have said it."""
    app: dict[str, Any] = {"ImageUri": spec.image}
    if spec.entrypoint:
        app["ContainerEntrypoint"] = [*spec.entrypoint]
    if spec.arguments:
        app["ContainerArguments"] = [*spec.arguments]
    made: dict[str, Any] = {
        "ProcessingInputs": [
            {
                "InputName": entry.name,
                "S3Input": {
                    "S3Uri": entry.s3_uri, "LocalPath": entry.local_path, "S3DataType": entry.data_type,
                    "S3InputMode": "File", "S3DataDistributionType": "FullyReplicated",
                    "S3CompressionType": "None",
                },
            }
            for entry in spec.inputs
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": output.name,
                    "S3Output": {
                        "S3Uri": output.s3_uri, "LocalPath": output.local_path, "S3UploadMode": "EndOfJob",
                    },
                }
                for output in spec.outputs
            ]
        },
        "ProcessingResources": plan.resources,
        "AppSpecification": app,
        "Environment": spec.environment,
        "RoleArn": spec.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_runtime_s},
    }  # fmt: skip
    return made | ({"NetworkConfig": plan.network} if plan.network else {})


def _stamp(execution: Execution) -> str:
    text = f"{execution.schedule} {execution.scheduled_at.isoformat()}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    return f"{execution.scheduled_at:%Y%m%d%H%M}-{digest}"


def _folders(name: str, folders: Sequence[Folder], local_path: str) -> list[Input]:
    return [
        Input(
            name=f"{name}_{number}",
            s3_uri=one.uri,
            local_path=f"{local_path}/{one.path}",
            data_type="ManifestFile" if one.manifest else "S3Prefix",
        )
        for number, one in enumerate(folders, 1)
    ]


def _environment(execution: Execution, plan: Plan, extras: set[str]) -> dict[str, str]:
    of_batch = bool(plan.batch_uri)
    made = {
        "publish_cloudwatch_metrics": "Disabled",
        **plan.environment,
        "dataset_format": json.dumps(_format(plan), separators=(",", ":")),
        "dataset_source": plan.local_path,
        "output_path": plan.output_path,
        "start_time": _iso(execution.start),
        "end_time": _iso(execution.end),
        "metric_time": _iso(execution.start),
        "monitoring_input_type": "BATCH_TRANSFORM_INPUT" if of_batch else "ENDPOINT_INPUT",
        "analysis_type": _ANALYSIS[plan.kind],
        "sagemaker_monitoring_schedule_name": execution.schedule,
        **plan.attributes,
    }
    if plan.endpoint:
        made["sagemaker_endpoint_name"] = plan.endpoint
    if plan.problem_type:
        made["problem_type"] = plan.problem_type
    for name, variable in (
        ("constraints", "baseline_constraints"), ("stats", "baseline_statistics"), ("sample", "baseline_sample"),
        ("estimate", "baseline_estimate"),
    ):  # fmt: skip
        if name in extras:
            made[variable] = f"{BASELINE}/{name}"
    if any(name.startswith("history_") for name in extras):
        made["history_source"] = HISTORY
    if "analysis_config" in extras:
        made["analysis_config"] = CONFIG
    for name in ("record_preprocessor_script", "post_analytics_processor_script"):
        if name in extras:
            made[name] = f"{INPUT}/{name}_input"
    return made


def _format(plan: Plan) -> dict[str, Any]:
    if plan.batch_uri and plan.ground_truth_uri:
        return {"sagemakerMergeJson": {"captureIndexNames": ["batchTransformOutput"]}}
    if plan.batch_uri:
        return plan.batch_format
    if plan.ground_truth_uri:
        wanted = _BOTH[1:] if plan.kind is MonitoringType.MODEL_QUALITY else _BOTH
        return {"sagemakerMergeJson": {"captureIndexNames": [*wanted]}}
    return {"sagemakerCaptureJson": {"captureIndexNames": [*_BOTH]}}


def _iso(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
