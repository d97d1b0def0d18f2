"""Training jobs, and one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.layout import card, frame, heading, pill, table, words
from farero.console.pages.live import live

if TYPE_CHECKING:
    from farero.console.data import Cloud


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @ui.page("/jobs")
    async def page() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Jobs", "/jobs") as t:

            async def read() -> Any:
                found = await cloud.ask("sagemaker", "list_training_jobs", MaxResults=100)
                return found["TrainingJobSummaries"]

            await live(read, lambda found: _list(t, found))

    @ui.page("/jobs/{name}")
    async def one(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/jobs") as t:

            async def read() -> Any:
                return await cloud.ask("sagemaker", "describe_training_job", TrainingJobName=name)

            await live(read, lambda found: _job(t, found))


def _list(t: dict[str, str], found: list[Any]) -> None:
    with card():
        table(
            [t["name"], t["status"], t["created"]],
            [
                [
                    (one["TrainingJobName"], f"/jobs/{quote(one['TrainingJobName'])}"),
                    lambda state=one["TrainingJobStatus"]: pill(state),
                    f"{one['CreationTime']:%Y-%m-%d %H:%M:%S}",
                ]
                for one in found
            ],
            t["empty"],
        )


def _job(t: dict[str, str], found: dict[str, Any]) -> None:
    with card():
        pill(found["TrainingJobStatus"])
        if found.get("FailureReason"):
            words(found["FailureReason"]).classes("f-pre f-bad")
    with ui.element("div").classes("f-grid"):
        with card():
            heading(t["state"])
            rows = [
                [one["Status"], f"{one['StartTime']:%H:%M:%S}", one.get("StatusMessage", "")]
                for one in found.get("SecondaryStatusTransitions", [])
            ]
            table([t["status"], t["time"], ""], rows, t["empty"])
        with card():
            heading(t["metrics"])
            metrics = [
                [m["MetricName"], f"{m['Value']:.5g}"] for m in found.get("FinalMetricDataList", [])
            ]
            table([t["name"], ""], metrics, t["empty"])
    with card():
        heading(t["paths"])
        words(found.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")).classes("f-pre")
