"""Endpoints: create, describe, list, update, reweigh, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.sagemaker.paging import list_query, page
from farero.aws.services.sagemaker.tags import read_tags
from farero.base.arns import sagemaker_arn
from farero.endpoints.fleets import size
from farero.records.endpoint import EndpointStatus
from farero.store import endpoints as rows

if TYPE_CHECKING:
    from typing import Any

    from farero.base.context import Context
    from farero.endpoints.commands import EndpointCommands
    from farero.records.endpoint import Endpoint, Fleet, Variant
    from farero.store.engine import Store

    Value = dict[str, Any]


class Endpoints:
    """The operations on endpoints of the service `sagemaker`."""

    def __init__(self, commands: EndpointCommands, store: Store) -> None:
        self._endpoints = commands
        self._store = store

    def create_endpoint(self, ctx: Context, req: Value) -> Value:
        """Ask for an endpoint; it is Creating until every replica answers."""
        endpoint = self._endpoints.create(
            ctx,
            req["EndpointName"],
            req["EndpointConfigName"],
            deployment=req.get("DeploymentConfig") or None,
            tags=read_tags(req),
        )
        return {"EndpointArn": endpoint.arn}

    def describe_endpoint(self, ctx: Context, req: Value) -> Value:
        """Return the endpoint as it is now."""
        name = req["EndpointName"]
        with self._store.read() as db:
            return describe(rows.get(db, name, _arn(ctx, name)))

    def list_endpoints(self, ctx: Context, req: Value) -> Value:
        """Return one page of endpoints, newest first unless asked otherwise."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_page(db, list_query(req))
        return page(req, "Endpoints", found, _summary)

    def update_endpoint(self, ctx: Context, req: Value) -> Value:
        """Ask for another endpoint config; the old fleet serves until the new one is ready."""
        excluded = req.get("ExcludeRetainedVariantProperties", [])
        endpoint = self._endpoints.update(
            ctx,
            req["EndpointName"],
            req["EndpointConfigName"],
            retains=req.get("RetainAllVariantProperties", False),
            excluded=[item["VariantPropertyType"] for item in excluded],
            deployment=req.get("DeploymentConfig") or None,
            retains_deployment=req.get("RetainDeploymentConfig", False),
        )
        return {"EndpointArn": endpoint.arn}

    def update_endpoint_weights_and_capacities(self, ctx: Context, req: Value) -> Value:
        """Ask for other weights and instance counts."""
        wishes = req["DesiredWeightsAndCapacities"]
        endpoint = self._endpoints.update_weights(ctx, req["EndpointName"], wishes)
        return {"EndpointArn": endpoint.arn}

    def delete_endpoint(self, ctx: Context, req: Value) -> Value:
        """Take the endpoint out of service at once; in any state."""
        self._endpoints.delete(ctx, req["EndpointName"])
        return {}


def describe(endpoint: Endpoint) -> Value:
    """Return an endpoint in AWS's form; what does not apply is left out."""
    shown = endpoint.current or endpoint.pending
    answer: Value = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status.value,
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.modified_at,
    }
    if shown is not None:
        answer["EndpointConfigName"] = shown.config_name
        if shown.capture is not None:
            answer["DataCaptureConfig"] = _capture(endpoint, shown.capture)
    if endpoint.current is not None:
        variants = [_variant(endpoint.current, one) for one in endpoint.current.variants]
        answer["ProductionVariants"] = variants
    if endpoint.status is EndpointStatus.UPDATING and endpoint.pending is not None:
        answer["PendingDeploymentSummary"] = _pending(endpoint.pending)
    if endpoint.failure_reason:
        answer["FailureReason"] = endpoint.failure_reason
    if endpoint.deployment:
        answer["LastDeploymentConfig"] = endpoint.deployment
    return answer


def _capture(endpoint: Endpoint, config: Value) -> Value:
    enabled = config.get("EnableCapture", True)
    is_on = enabled and endpoint.current is not None and endpoint.status != "Deleting"
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if is_on else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        # The one empty string that AWS sends, and botocore's model requires.
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def _variant(fleet: Fleet, variant: Variant) -> Value:
    answer: Value = {
        "VariantName": variant.name,
        "CurrentWeight": variant.current_weight,
        "DesiredWeight": variant.desired_weight,
        "CurrentInstanceCount": size(fleet, variant.current_count),
        "DesiredInstanceCount": variant.desired_count,
    }
    if variant.resolved_at is not None:
        answer["DeployedImages"] = [_image(variant)]
    if variant.serverless is not None:
        answer["CurrentServerlessConfig"] = variant.serverless
        answer["DesiredServerlessConfig"] = variant.serverless
    return answer


def _image(variant: Variant) -> Value:
    specified = variant.container.get("Image", "")
    # AWS resolves a tag to a digest; no image runs here, so what runs in its place is named.
    framework, _, version = variant.runs.partition(" ")
    resolved = f"farero/{framework}:{version}" if version else specified
    return {
        "SpecifiedImage": specified,
        "ResolvedImage": resolved,
        "ResolutionTime": variant.resolved_at,
    }


def _pending(fleet: Fleet) -> Value:
    status: Value = {"Status": "Creating", "StartTime": fleet.began_at}
    if fleet.shifted_at is not None:
        status = {
            "Status": "Baking",
            "StatusMessage": f"{fleet.share:.0%} of the requests",
            "StartTime": fleet.shifted_at,
        }
    variants = [
        {
            "VariantName": variant.name,
            "DesiredWeight": variant.desired_weight,
            "DesiredInstanceCount": variant.desired_count,
            "VariantStatus": [status],
        }
        for variant in fleet.variants
    ]
    return {
        "EndpointConfigName": fleet.config_name,
        "ProductionVariants": variants,
        "StartTime": fleet.began_at,
    }


def _summary(endpoint: Endpoint) -> Value:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.modified_at,
        "EndpointStatus": endpoint.status.value,
    }


def _arn(ctx: Context, name: str) -> str:
    return sagemaker_arn(ctx.region, ctx.account, "endpoint", name)
