"""What the event bus is told of endpoints, their configs and models, in the transaction of the change.

Follows "Events that Amazon SageMaker AI sends to Amazon EventBridge": states in upper case with underscores, times in
milliseconds, tags as a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.endpoints.fleets import size
from farero.store import tags as tag_rows
from farero.work import outbox

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from farero.records.endpoint import Endpoint, EndpointConfig, Fleet, Model, Variant

SOURCE = "aws.sagemaker"


def tell_endpoint(
    db: Connection, endpoint: Endpoint, now: dt.datetime, *, is_gone: bool = False
) -> None:
    """Tell an endpoint's state. is_gone: it has just been deleted."""
    if not outbox.is_heard(db):
        return
    fleet = endpoint.current or endpoint.pending
    detail: dict[str, Any] = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": fleet.config_name if fleet else None,
        "ProductionVariants": [_variant(fleet, one) for one in fleet.variants] if fleet else [],
        "EndpointStatus": "DELETED" if is_gone else endpoint.status.name,
        "FailureReason": endpoint.failure_reason,
        "CreationTime": _millis(endpoint.created_at),
        "LastModifiedTime": _millis(now),
        "Tags": _tags(db, endpoint.arn),
    }
    if endpoint.current is not None and endpoint.pending is not None:
        detail["PendingDeploymentSummary"] = _deployment(endpoint.pending)
    outbox.event(
        db,
        queue=f"endpoint/{endpoint.name}",
        source=SOURCE,
        detail_type="SageMaker Endpoint State Change",
        detail=detail,
        resources=[endpoint.arn],
        now=now,
    )


def tell_model(db: Connection, model: Model, now: dt.datetime) -> None:
    """Tell that a model was created or, its tags gone already, deleted."""
    if outbox.is_heard(db):
        names = ("PrimaryContainer", "Containers", "ExecutionRoleArn", "VpcConfig")
        detail = {
            "ModelName": model.name,
            **{name: model.given.get(name) for name in names},
            "ModelArn": model.arn,
        }
        _tell_definition(db, "Model", model, detail, now)


def tell_config(db: Connection, config: EndpointConfig, now: dt.datetime) -> None:
    """Tell that an endpoint config was created or, its tags gone already, deleted."""
    if outbox.is_heard(db):
        names = ("ProductionVariants", "DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig")
        detail = {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": config.arn,
            **{name: config.given.get(name) for name in names},
        }
        _tell_definition(db, "Endpoint Config", config, detail, now)


def _tell_definition(
    db: Connection,
    kind: str,
    made: Model | EndpointConfig,
    detail: Mapping[str, Any],
    now: dt.datetime,
) -> None:
    whole = {
        **detail,
        "CreationTime": _millis(made.created_at),
        "Tags": _tags(db, made.arn),
    }
    outbox.event(
        db,
        queue=f"sagemaker/{made.arn.rpartition(':')[2]}",
        source=SOURCE,
        detail_type=f"SageMaker {kind} State Change",
        detail=whole,
        resources=[made.arn],
        now=now,
    )


def _variant(fleet: Fleet, variant: Variant) -> dict[str, Any]:
    return {
        "VariantName": variant.name,
        "CurrentWeight": variant.current_weight,
        "DesiredWeight": variant.desired_weight,
        "CurrentInstanceCount": size(fleet, variant.current_count),
        "DesiredInstanceCount": variant.desired_count,
    }


def _deployment(fleet: Fleet) -> dict[str, Any]:
    return {
        "EndpointConfigName": fleet.config_name,
        "StartTime": _millis(fleet.began_at),
        "ProductionVariants": [_variant(fleet, one) for one in fleet.variants],
    }


def _tags(db: Connection, arn: str) -> dict[str, str]:
    return {tag.key: tag.value for tag in tag_rows.find(db, arn)}


def _millis(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)
