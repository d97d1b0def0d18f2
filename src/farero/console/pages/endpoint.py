"""One endpoint: state, traffic, figures, history, a form to try it, captured requests, code to call it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console import time_range
from farero.console.data import Cloud, UnavailableError
from farero.console.layout import button, card, frame, heading, page_at, pill, popup, table, words
from farero.console.pages import endpoint_figures, endpoint_requests, monitor
from farero.console.pages.asking import attempt
from farero.console.pages.live import live

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
#: What the keys of tags begin with that say what predicts behind a variant.
_ENGINE = "farero:engine:"


def register(cloud: Cloud) -> None:
    """Make the page known."""

    @page_at("/endpoints/{name}")
    async def page(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        shown = time_range.from_query(ui.context.client.request.query_params)
        with frame(name, "/") as t:

            async def read() -> Any:
                return await _read(cloud, name)

            await live(read, lambda found: _state(cloud, t, *found))
            time_range.picker(t, shown)
            variants = await _variants(cloud, name)
            await endpoint_figures.figures_of(cloud, t, name, variants, shown)
            await endpoint_figures.errors_of(cloud, t, name, shown)
            await monitor.of_endpoint(cloud, t, name)
            await endpoint_figures.timeline(cloud, t, name)
            trial = endpoint_requests.Trial(cloud, t, name, await _samples(cloud, name))
            shadows = {
                one: one not in variants for one in await _all_variants(cloud, name, variants)
            }
            await endpoint_requests.captured(cloud, t, name, trial, shadows)


async def _samples(cloud: Cloud, name: str) -> list[endpoint_requests.Captured]:
    try:
        return await endpoint_requests.newest(cloud, name)
    except UnavailableError:
        return []


async def _read(cloud: Cloud, name: str) -> tuple[Json, Json, dict[str, Json]]:
    """Return the endpoint, its configuration, and the models of its variants; what is gone is empty."""
    found = await cloud.ask("sagemaker", "describe_endpoint", EndpointName=name)
    config = await _or_nothing(
        cloud, "describe_endpoint_config", EndpointConfigName=found.get("EndpointConfigName", "")
    )
    models = [v["ModelName"] for v in config.get("ProductionVariants", []) if "ModelName" in v]
    told = await asyncio.gather(
        *(_or_nothing(cloud, "describe_model", ModelName=model) for model in models)
    )
    made = dict(zip(models, told, strict=True))
    found["Engines"] = await _engines(cloud, found["EndpointArn"], made)
    return found, config, made


async def _engines(cloud: Cloud, arn: str, models: dict[str, Json]) -> list[str]:
    """Return what replicas say of the engine they predict with, where a model asks for another than its own."""
    containers = [model.get("PrimaryContainer", {}) for model in models.values()]
    if not any("FARERO_ACCELERATE" in one.get("Environment", {}) for one in containers):
        return []
    tags: list[Json] = (await _or_nothing(cloud, "list_tags", ResourceArn=arn)).get("Tags", [])
    return [
        f"{tag['Key'].removeprefix(_ENGINE)}: {tag['Value']}"
        for tag in tags
        if tag["Key"].startswith(_ENGINE)
    ]


async def _or_nothing(cloud: Cloud, operation: str, **params: Any) -> Json:
    try:
        return await cloud.ask("sagemaker", operation, **params)
    except UnavailableError:
        return {}


async def _variants(cloud: Cloud, name: str) -> list[str]:
    try:
        found, config, _ = await _read(cloud, name)
    except UnavailableError:
        return ["AllTraffic"]
    variants = found.get("ProductionVariants") or config.get("ProductionVariants", [])
    return [v["VariantName"] for v in variants] or ["AllTraffic"]


async def _all_variants(cloud: Cloud, name: str, variants: list[str]) -> list[str]:
    """Return an endpoint's variants, then its shadows."""
    found = await _or_nothing(cloud, "describe_endpoint", EndpointName=name)
    return [*variants, *(one["VariantName"] for one in found.get("ShadowProductionVariants", []))]


def _state(
    cloud: Cloud, t: dict[str, str], found: Json, config: Json, models: dict[str, Json]
) -> None:
    variants = found.get("ProductionVariants", [])
    weights: dict[str, ui.number] = {}
    wanted = {v.get("VariantName"): v for v in config.get("ProductionVariants", [])}

    def weight(variant: Json) -> Callable[[], None]:
        def draw() -> None:
            field = ui.number(value=variant.get("DesiredWeight", 1), min=0, step=0.1).props("dense")
            field.props["aria-label"] = t["weight"]
            weights[variant["VariantName"]] = field.style("max-width:7rem")

        return draw

    with card():
        with ui.element("div").classes("f-facts"):
            pill(found["EndpointStatus"])
            words(f"{t['created']} {_local(found['CreationTime'])}").classes("f-dim")
            words(f"{t['last']} {_local(found['LastModifiedTime'])}").classes("f-dim")
            words(f"{t['config']} {found.get('EndpointConfigName', '')}").classes("f-dim")
        if summary := coming(t, found):
            words(summary)
        if found.get("FailureReason"):
            words(found["FailureReason"]).classes("f-pre f-bad")
        if variants:
            heads = [t["variant"], t["instances"], t["runs_on"], t["model"], t["weight"]]
            rows = [
                [
                    v["VariantName"], v.get("CurrentInstanceCount", ""),
                    _hardware(wanted.get(v["VariantName"], {})),
                    wanted.get(v["VariantName"], {}).get("ModelName", ""), weight(v),
                ]
                for v in variants
            ]  # fmt: skip
            table(heads, rows, t["empty"])
            for engine in found["Engines"]:
                words(engine).classes("f-dim")
            button(
                t["apply"], lambda: _confirm(cloud, t, found["EndpointName"], weights), quiet=True
            )
        _paths(t, config, models)


def coming(t: dict[str, str], found: Json) -> str:
    """Say what takes an endpoint's place, and what part of the requests it has; "" if nothing does."""
    pending = found.get("PendingDeploymentSummary")
    if not pending:
        return ""
    statuses = [
        status
        for one in pending.get("ProductionVariants", [])
        for status in one.get("VariantStatus", [])
    ]
    shares = (one.get("StatusMessage", "").partition(" ")[0] for one in statuses)
    return t["coming"].format(config=pending["EndpointConfigName"], share=next(shares, "") or "0%")


def _paths(t: dict[str, str], config: Json, models: dict[str, Json]) -> None:
    """Draw where files lie: each model's, and what is captured."""
    found: list[tuple[str, str]] = []
    for name, model in models.items():
        containers = [model.get("PrimaryContainer", {}), *model.get("Containers", [])]
        found += [(name, one["ModelDataUrl"]) for one in containers if one.get("ModelDataUrl")]
    if capture := config.get("DataCaptureConfig", {}).get("DestinationS3Uri"):
        found.append((t["captured"], capture))
    if found:
        with ui.element("details").classes("f-more"):
            with ui.element("summary"):
                words(t["paths"])
            rows = [
                [name, (uri, storage_link(uri)) if storage_link(uri) else uri]
                for name, uri in found
            ]
            table(["", ""], rows, t["empty"])


def storage_link(uri: str) -> str:
    """Return the page that shows where an S3 URI lies, or "" for anything else."""
    if not uri.startswith("s3://"):
        return ""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    last = key.rpartition("/")[2]
    prefix = key.rpartition("/")[0] if "." in last else key.rstrip("/")
    prefix = f"{prefix}/" if prefix else ""
    return f"/storage?bucket={quote(bucket, safe='')}&prefix={quote(prefix, safe='')}"


def _hardware(variant: Json) -> str:
    if serverless := variant.get("ServerlessConfig"):
        return f"serverless {serverless.get('MemorySizeInMB', '')} MB x {serverless.get('MaxConcurrency', '')}"
    return str(variant.get("InstanceType", ""))


def _local(at: Any) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _confirm(cloud: Cloud, t: dict[str, str], name: str, weights: dict[str, ui.number]) -> None:
    wanted = [
        {"VariantName": variant, "DesiredWeight": float(field.value or 0)}
        for variant, field in weights.items()
    ]

    async def apply() -> None:
        dialog.close()
        await attempt(
            lambda: cloud.do(
                "sagemaker", "update_endpoint_weights_and_capacities",
                EndpointName=name, DesiredWeightsAndCapacities=wanted,
            )
        )  # fmt: skip

    with popup() as dialog, card():
        heading(t["confirm_weights"])
        for one in wanted:
            words(f"{one['VariantName']}: {one['DesiredWeight']:g}")
        with ui.element("div").classes("f-answers"):
            button(t["apply"], apply)
            button(t["cancel"], dialog.close, quiet=True)
    dialog.on("hide", lambda _: dialog.delete())
    dialog.open()
