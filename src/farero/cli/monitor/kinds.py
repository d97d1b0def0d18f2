"""The four kinds of schedules that `farero monitor add` makes, and the job definition of each. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farero.cli.monitor.places import Place

_ANALYZER = "156813124566.dkr.ecr.{}.amazonaws.com/sagemaker-model-monitor-analyzer"
_CLARIFY = "205585389593.dkr.ecr.{}.amazonaws.com/sagemaker-clarify-processing:1.0"
#: What reads an endpoint's answers: the JSON that a baseline leaves of how they are read.
ANSWERS = "answers.json"
#: Above it a probability is a positive answer.
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a schedule judges."""

    #: The option of `add`; empty for the one that is made without.
    flag: str
    #: SageMaker's word for it, which its members begin with.
    family: str
    #: Its part of the API's operations: `create_<operations>_job_definition`.
    operations: str
    #: What comes before the endpoint in the schedule's name. In front, as long names are cut at their end.
    prefix: str
    #: Below the endpoint's own prefix: where its baseline lies, and where its reports go.
    baseline: str
    reports: str
    image: str = _ANALYZER


DATA = Kind(
    flag="", family="DataQuality", operations="data_quality", prefix="farero-",
    baseline="baseline", reports="reports",
)  # fmt: skip
QUALITY = Kind(
    flag="--quality", family="ModelQuality", operations="model_quality", prefix="farero-quality-",
    baseline="quality-baseline", reports="quality",
)  # fmt: skip
BIAS = Kind(
    flag="--bias", family="ModelBias", operations="model_bias", prefix="farero-bias-",
    baseline="bias-baseline", reports="bias", image=_CLARIFY,
)  # fmt: skip
EXPLAIN = Kind(
    flag="--explain", family="ModelExplainability", operations="model_explainability",
    prefix="farero-explain-", baseline="explain-baseline", reports="explain", image=_CLARIFY,
)  # fmt: skip
KINDS = (DATA, QUALITY, BIAS, EXPLAIN)
WITH_LABELS = (QUALITY, BIAS)


def schedule_name(kind: Kind, endpoint: str) -> str:
    """Return the name of the schedule that `add` makes."""
    return f"{kind.prefix}{endpoint}"[:63].rstrip("-")


def image(kind: Kind, region: str) -> str:
    """Return the image that judges."""
    return kind.image.format(region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a definition needs beside its kind and place."""

    role: str
    region: str
    #: Prefix of the baseline's files, with a slash at its end.
    baseline: str
    #: Where labels lie; for the kinds that need them.
    labels: str = ""
    #: How long after a window labels are waited for, and how long that window is.
    late: dt.timedelta = dt.timedelta(0)
    span: dt.timedelta | None = None
    #: Which value of an answer is what, and of which problem: what a baseline has left in answers.json.
    answers: dict[str, str] = field(default_factory=dict[str, str])


def definition(kind: Kind, where: Place, name: str, asked: Asked) -> dict[str, Any]:
    """Return the request that creates a job definition."""
    output = {
        "S3Output": {
            "S3Uri": where.uri(f"{where.prefix}{kind.reports}"),
            "LocalPath": "/opt/ml/processing/output",
        }
    }
    made: dict[str, Any] = {
        "JobDefinitionName": name,
        "RoleArn": asked.role,
        f"{kind.family}AppSpecification": _app(kind, where, asked),
        f"{kind.family}BaselineConfig": _baseline(kind, where, asked),
        f"{kind.family}JobInput": _input(kind, where, asked),
        f"{kind.family}JobOutputConfig": {"MonitoringOutputs": [output]},
        "JobResources": {
            "ClusterConfig": {
                "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20,
            }
        },
    }  # fmt: skip
    return made


def iso(span: dt.timedelta) -> str:
    """Return an offset as SageMaker takes it: to be subtracted, of days, hours and minutes."""
    minutes = round(span.total_seconds() / 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    return "-P" + (f"{days}D" if days or not time else "") + (f"T{time}" if time else "")


def _app(kind: Kind, where: Place, asked: Asked) -> dict[str, Any]:
    variables = {"publish_cloudwatch_metrics": "Enabled"}
    made: dict[str, Any] = {"ImageUri": image(kind, asked.region), "Environment": variables}
    if kind is QUALITY:
        made["ProblemType"] = asked.answers["problem"]
        if positive := asked.answers.get("positive"):
            variables["positive_label"] = positive
    if kind in {BIAS, EXPLAIN}:
        made["ConfigUri"] = f"{where.uri(asked.baseline)}analysis_config.json"
    return made


def _baseline(kind: Kind, where: Place, asked: Asked) -> dict[str, Any]:
    base = where.uri(asked.baseline)
    file = "analysis.json" if kind in {BIAS, EXPLAIN} else "constraints.json"
    made = {"ConstraintsResource": {"S3Uri": base + file}}
    if kind is DATA:
        made["StatisticsResource"] = {"S3Uri": f"{base}statistics.json"}
    return made


def _input(kind: Kind, where: Place, asked: Asked) -> dict[str, Any]:
    endpoint: dict[str, Any] = {
        "EndpointName": where.endpoint, "LocalPath": "/opt/ml/processing/input/endpoint",
    }  # fmt: skip
    made: dict[str, Any] = {"EndpointInput": endpoint}
    if kind not in WITH_LABELS:
        return made
    prediction, probability = asked.answers.get("prediction"), asked.answers.get("probability")
    if prediction:
        endpoint["InferenceAttribute"] = prediction
    if probability:
        endpoint["ProbabilityAttribute"] = probability
        endpoint["ProbabilityThresholdAttribute"] = float(asked.answers.get("threshold") or THRESHOLD)  # fmt: skip
    if asked.late:
        if asked.span is not None:
            endpoint["StartTimeOffset"] = iso(asked.late + asked.span)
        endpoint["EndTimeOffset"] = iso(asked.late)
    made["GroundTruthS3Input"] = {"S3Uri": asked.labels}
    return made
