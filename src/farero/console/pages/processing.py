"""A processing job, as a monitor's run or one's own script: what it ran, its files, hardware and log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.data import UnavailableError
from farero.console.layout import card, frame, heading, page_at, pill, table, words
from farero.console.pages.endpoint_figures import took
from farero.console.pages.job_parts import files, hardware, log_tail, moment
from farero.console.pages.live import live

if TYPE_CHECKING:
    from farero.console.data import Cloud

Json = dict[str, Any]

GROUP = "/aws/sagemaker/ProcessingJobs"


def register(cloud: Cloud) -> None:
    """Make the page known."""

    @page_at("/jobs/processing/{name}")
    async def one(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/jobs") as t:

            async def read() -> Any:
                return await cloud.ask(
                    "sagemaker", "describe_processing_job", ProcessingJobName=name
                )

            await live(read, lambda found: _job(t, found))
            await _hardware(cloud, t, name)
            await log_tail(cloud, t, GROUP, name)


def address(name: str) -> str:
    """Return the address of a job's page."""
    return f"/jobs/processing/{quote(name, safe='')}"


def _job(t: dict[str, str], found: Json) -> None:
    app: Json = found.get("AppSpecification", {})
    start, end = found.get("ProcessingStartTime"), found.get("ProcessingEndTime")
    with card():
        with ui.element("div").classes("f-facts"):
            pill(found["ProcessingJobStatus"])
            for text in (
                f"{t['created']} {moment(found['CreationTime'])}",
                f"{t['duration']} {took(end - start)}" if start and end else "",
                found.get("ProcessingResources", {})
                .get("ClusterConfig", {})
                .get("InstanceType", ""),
                app.get("ImageUri", "").rpartition("/")[2],
            ):
                if text:
                    words(text).classes("f-dim")
        for reason in (found.get("FailureReason"), found.get("ExitMessage")):
            if reason:
                words(reason).classes("f-pre f-bad")
        files(_paths(t, found))
    with card():
        heading(t["environment"])
        command = [*app.get("ContainerEntrypoint", []), *app.get("ContainerArguments", [])]
        rows = [[t["command"], " ".join(command)]] if command else []
        rows += [[key, value] for key, value in sorted(found.get("Environment", {}).items())]
        table([t["name"], ""], rows, t["empty"])


def _paths(t: dict[str, str], found: Json) -> list[tuple[str, str]]:
    inputs = [
        (f"{t['inputs']}: {one.get('InputName', '')}", one.get("S3Input", {}).get("S3Uri", ""))
        for one in found.get("ProcessingInputs", [])
    ]
    outputs = [
        (f"{t['outputs']}: {one.get('OutputName', '')}", one.get("S3Output", {}).get("S3Uri", ""))
        for one in found.get("ProcessingOutputConfig", {}).get("Outputs", [])
    ]
    return [*inputs, *outputs]


async def _hardware(cloud: Cloud, t: dict[str, str], name: str) -> None:
    try:
        job = await cloud.ask("sagemaker", "describe_processing_job", ProcessingJobName=name)
    except UnavailableError:
        return
    if start := job.get("ProcessingStartTime"):
        end = job.get("ProcessingEndTime")
        await hardware(cloud, t, group=GROUP, job=name, start=start, end=end)
