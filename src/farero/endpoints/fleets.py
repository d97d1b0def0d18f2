"""Fleets, purely: what an endpoint config and its models ask for, and what an update keeps of the old one."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from farero.base.errors import Invalid
from farero.records.endpoint import Fleet, Variant

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping, Sequence

    from farero.records.endpoint import EndpointConfig, Model

#: SageMaker waits this long for /ping to answer 200 ("Use Your Own Inference Code with Hosting Services").
STARTUP_TIMEOUT_S = 240
#: What rounding may add to a part of a whole number of replicas.
_ROUNDING = 1e-6


def make_fleet(
    config: EndpointConfig, models: Mapping[str, Model], *, generation: int, now: dt.datetime
) -> Fleet:
    """Bring an endpoint config together with its models. Raises Invalid for what cannot be served yet."""
    if "AsyncInferenceConfig" in config.given:
        raise Invalid("Asynchronous inference endpoints are not there yet.")
    if "ShadowProductionVariants" in config.given:
        raise Invalid("Shadow production variants are not there yet.")
    variants = tuple(
        _variant(given, models[given["ModelName"]]) for given in config.given["ProductionVariants"]
    )
    return Fleet(
        generation=generation,
        config_name=config.name,
        config=config.given,
        variants=variants,
        began_at=now,
    )


def _variant(given: dict[str, Any], model: Model) -> Variant:
    containers = model.containers
    if len(containers) != 1:
        raise Invalid(
            f"Model {model.name} is an inference pipeline of {len(containers)} containers; pipelines are not "
            "there yet."
        )
    if containers[0].get("Mode") == "MultiModel":
        raise Invalid(
            f"Model {model.name} is a multi-model; multi-model endpoints are not there yet."
        )
    serverless = given.get("ServerlessConfig")
    return Variant(
        name=given["VariantName"],
        model_name=model.name,
        role_arn=model.given.get("ExecutionRoleArn", ""),
        container=containers[0],
        data=model.data,
        instance_type=given.get("InstanceType", ""),
        serverless=serverless,
        desired_count=1 if serverless else given["InitialInstanceCount"],
        desired_weight=float(given.get("InitialVariantWeight", 1.0)),
        startup_timeout_s=given.get(
            "ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S
        ),
    )


def retain(fleet: Fleet, old: Fleet, excluded: Collection[str]) -> Fleet:
    """Return `fleet` with the properties of `old` that RetainAllVariantProperties keeps.

    excluded: names of VariantPropertyType that are not kept: DesiredInstanceCount, DesiredWeight,
    DataCaptureConfig.
    """
    before = {variant.name: variant for variant in old.variants}
    variants: list[Variant] = []
    for variant in fleet.variants:
        was = before.get(variant.name)
        if was is None or was.serverless or variant.serverless:
            variants.append(variant)
            continue
        count = variant.desired_count if "DesiredInstanceCount" in excluded else was.desired_count
        weight = variant.desired_weight if "DesiredWeight" in excluded else was.desired_weight
        variants.append(dataclasses.replace(variant, desired_count=count, desired_weight=weight))
    config = fleet.config
    if "DataCaptureConfig" not in excluded:
        config = {key: value for key, value in config.items() if key != "DataCaptureConfig"}
        if old.capture is not None:
            config["DataCaptureConfig"] = old.capture
    return dataclasses.replace(fleet, variants=tuple(variants), config=config)


def reweigh(fleet: Fleet, wishes: Sequence[dict[str, Any]]) -> Fleet:
    """Return the fleet with other desired weights and counts. Raises Invalid for an unknown variant."""
    by_name = {variant.name: variant for variant in fleet.variants}
    for wish in wishes:
        name = wish["VariantName"]
        if name not in by_name:
            raise Invalid(
                f'The variant name(s) "{name}" is/are not present within endpoint configuration '
                f'"{fleet.config_name}".'
            )
        by_name[name] = _reweigh_variant(by_name[name], wish)
    if sum(variant.desired_weight for variant in by_name.values()) <= 0:
        raise Invalid("At least one production variant must have a weight above 0.")
    return dataclasses.replace(fleet, variants=tuple(by_name.values()))


def _reweigh_variant(variant: Variant, wish: dict[str, Any]) -> Variant:
    weight = float(wish.get("DesiredWeight", variant.desired_weight))
    count = wish.get("DesiredInstanceCount", variant.desired_count)
    serverless = variant.serverless
    if serverless is not None:
        if "DesiredInstanceCount" in wish:
            raise Invalid(f"Variant {variant.name} is serverless and has no instance count.")
        serverless = serverless | wish.get("ServerlessUpdateConfig", {})
    return dataclasses.replace(
        variant, desired_weight=weight, desired_count=count, serverless=serverless
    )


def size(fleet: Fleet, count: int) -> int:
    """Return how many replicas the fleet's part of `count` is; at least one of any, so that none is without."""
    return math.ceil(fleet.part * count - _ROUNDING)


def settle(fleet: Fleet) -> Fleet:
    """Return the fleet with everything desired become current, no longer on its way in."""
    return dataclasses.replace(
        fleet,
        share=0.0,
        shifted_at=None,
        part=1.0,
        variants=tuple(
            dataclasses.replace(
                variant,
                current_count=variant.desired_count,
                current_weight=variant.desired_weight,
            )
            for variant in fleet.variants
        ),
    )


def give_way(fleet: Fleet) -> Fleet:
    """Return the fleet with desired weights and counts set back to the current ones."""
    return dataclasses.replace(
        fleet,
        variants=tuple(
            dataclasses.replace(
                variant,
                desired_count=variant.current_count,
                desired_weight=variant.current_weight,
            )
            for variant in fleet.variants
        ),
    )
