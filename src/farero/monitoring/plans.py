"""What a job definition asks for, whatever its family and form. Pure.

A family's members carry its name (`ModelQualityJobInput`), those of a definition inside a schedule do not
(`MonitoringInputs`); their content is the same. Facts: CreateDataQualityJobDefinition and its three siblings,
MonitoringJobDefinition (API reference).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from farero.base.errors import Invalid
from farero.monitoring import windows
from farero.records.monitoring import MonitoringType

Json = dict[str, Any]

#: Families whose answers are compared with labels that come later.
WITH_LABELS = (MonitoringType.MODEL_QUALITY, MonitoringType.MODEL_BIAS)
#: Members of an input's description that the analyzer is told, and the variables it knows them by.
_ATTRIBUTES = {
    "FeaturesAttribute": "features_attribute",
    "InferenceAttribute": "inference_attribute",
    "ProbabilityAttribute": "probability_attribute",
    "ProbabilityThresholdAttribute": "probability_threshold_attribute",
    "ExcludeFeaturesAttribute": "exclude_features_attribute",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job definition, read."""

    kind: MonitoringType
    image: str
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict[str, str])
    preprocessor: str | None = None
    postprocessor: str | None = None
    #: Clarify's analysis_config.json.
    config_uri: str | None = None
    problem_type: str | None = None
    #: The endpoint that is watched; empty for batch transform.
    endpoint: str = ""
    #: Where captures of batch transform jobs lie; empty for an endpoint.
    batch_uri: str = ""
    #: Value of `dataset_format` for batch transform.
    batch_format: Json = field(default_factory=dict[str, Any])
    #: Where the container finds the data.
    local_path: str
    #: `inference_attribute` and the like, as the container is told them.
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    start_offset: str | None = None
    end_offset: str | None = None
    ground_truth_uri: str = ""
    constraints_uri: str | None = None
    statistics_uri: str | None = None
    baselining_job: str | None = None
    output_uri: str
    output_path: str
    role_arn: str
    resources: Json
    network: Json
    max_runtime_s: int


def of_definition(kind: MonitoringType, given: Json) -> Plan:
    """Read the members of a Create…JobDefinition request. Raises Invalid for what cannot be run."""
    return _read(
        kind, app=given[f"{kind}AppSpecification"], source=given[f"{kind}JobInput"],
        baseline=given.get(f"{kind}BaselineConfig") or {},
        outputs=given[f"{kind}JobOutputConfig"], resources=given["JobResources"], given=given,
    )  # fmt: skip


def of_inline(kind: MonitoringType, given: Json) -> Plan:
    """Read a MonitoringJobDefinition, as older code writes it into the schedule. Raises Invalid."""
    app = given["MonitoringAppSpecification"] | {"Environment": given.get("Environment") or {}}
    return _read(
        kind, app=app, source=given["MonitoringInputs"][0], baseline=given.get("BaselineConfig") or {},
        outputs=given["MonitoringOutputConfig"], resources=given["MonitoringResources"], given=given,
    )  # fmt: skip


def _read(  # noqa: PLR0913 - by name
    kind: MonitoringType, *, app: Json, source: Json, baseline: Json, outputs: Json, resources: Json, given: Json
) -> Plan:  # fmt: skip
    endpoint: Json = source.get("EndpointInput") or {}
    batch: Json = source.get("BatchTransformInput") or {}
    if bool(endpoint) == bool(batch):
        raise Invalid("Exactly one of EndpointInput and BatchTransformInput must be given.")
    data = endpoint or batch
    labels: Json = source.get("GroundTruthS3Input") or {}
    if kind in WITH_LABELS and not labels.get("S3Uri"):
        raise Invalid(
            f"{kind} needs GroundTruthS3Input.S3Uri: the labels its answers are compared with."
        )
    if kind is MonitoringType.MODEL_BIAS and batch:
        raise Invalid(
            f"{kind} joins labels with what an endpoint captured; BatchTransformInput is for DataQuality, ModelQuality "
            "and ModelExplainability."
        )
    if kind in WITH_LABELS and "Parquet" in (batch.get("DatasetFormat") or {}):
        raise Invalid(
            f"{kind} joins labels by the inference id that a batch transform job appends to its rows, which it does in "
            "CSV and JSON: DatasetFormat cannot be Parquet."
        )
    if kind is MonitoringType.MODEL_QUALITY and not app.get("ProblemType"):
        raise Invalid(
            "ModelQualityAppSpecification needs ProblemType: Regression, BinaryClassification or "
            "MulticlassClassification."
        )
    windows.check_offsets(data.get("StartTimeOffset"), data.get("EndTimeOffset"))
    stopping: Json = given.get("StoppingCondition") or {}
    output: Json = outputs["MonitoringOutputs"][0]["S3Output"]
    return Plan(
        kind=kind, image=app["ImageUri"],
        entrypoint=tuple(app.get("ContainerEntrypoint") or ()),
        arguments=tuple(app.get("ContainerArguments") or ()),
        environment=dict(app.get("Environment") or {}),
        preprocessor=app.get("RecordPreprocessorSourceUri"),
        postprocessor=app.get("PostAnalyticsProcessorSourceUri"),
        config_uri=app.get("ConfigUri"), problem_type=app.get("ProblemType"),
        endpoint=endpoint.get("EndpointName", ""),
        batch_uri=batch.get("DataCapturedDestinationS3Uri", ""),
        batch_format=_format(batch.get("DatasetFormat") or {}) if batch else {},
        local_path=str(data["LocalPath"]).rstrip("/"),
        attributes={
            variable: str(data[member])
            for member, variable in _ATTRIBUTES.items()
            if data.get(member) is not None
        },
        start_offset=data.get("StartTimeOffset"), end_offset=data.get("EndTimeOffset"),
        ground_truth_uri=labels.get("S3Uri", ""),
        constraints_uri=_uri(baseline, "ConstraintsResource"),
        statistics_uri=_uri(baseline, "StatisticsResource"),
        baselining_job=baseline.get("BaseliningJobName"),
        output_uri=str(output["S3Uri"]).rstrip("/"), output_path=output["LocalPath"],
        role_arn=given["RoleArn"], resources=resources, network=given.get("NetworkConfig") or {},
        max_runtime_s=stopping.get("MaxRuntimeInSeconds", 3600),
    )  # fmt: skip


def _uri(baseline: Json, member: str) -> str | None:
    resource: Json = baseline.get(member) or {}
    return resource.get("S3Uri")


def _format(given: Json) -> Json:
    """Return a DatasetFormat as the analyzer is told it."""
    named = [name for name in ("Csv", "Json", "Parquet") if given.get(name) is not None]
    if len(named) != 1:
        raise Invalid("DatasetFormat needs exactly one of Csv, Json and Parquet.")
    details: Json = given[named[0]]
    if named[0] == "Csv":
        return {"csv": {"header": bool(details.get("Header", False))}}
    if named[0] == "Json":
        return {"json": {"lines": bool(details.get("Line", False))}}
    return {"parquet": {}}
