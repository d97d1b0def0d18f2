"""All jobs, and one training job: steps, metrics round by round, hardware, log, files."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.charts import Series, chart, lines, told
from farero.console.data import UnavailableError
from farero.console.layout import card, frame, heading, page_at, pill, table, words
from farero.console.pages import processing
from farero.console.pages.endpoint_figures import took
from farero.console.pages.job_parts import files, hardware, log_tail, moment
from farero.console.pages.live import live

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.console.data import Cloud

Json = dict[str, Any]

GROUP = "/aws/sagemaker/TrainingJobs"
_MOST_PAGES = 5
#: SageMaker lists the oldest first unless asked otherwise.
_NEWEST: Json = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 100}


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @page_at("/jobs")
    async def page() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Jobs", "/jobs") as t:

            async def trained() -> Any:
                found = await cloud.ask("sagemaker", "list_training_jobs", **_NEWEST)
                return [_row(one, "Training", _address) for one in found["TrainingJobSummaries"]]

            async def processed() -> Any:
                found = await cloud.ask("sagemaker", "list_processing_jobs", **_NEWEST)
                return [
                    _row(one, "Processing", processing.address)
                    for one in found["ProcessingJobSummaries"]
                ]

            await live(trained, lambda found: _list(t, t["training"], found))
            await live(processed, lambda found: _list(t, t["processing"], found))

    @page_at("/jobs/{name}")
    async def one(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/jobs") as t:

            async def read() -> Any:
                return await cloud.ask("sagemaker", "describe_training_job", TrainingJobName=name)

            await live(read, lambda found: _job(t, found))

            async def series() -> Any:
                found = await read()
                return progress(await _events(cloud, name), found)

            await live(series, lambda found: _progress(t, found), 3.0)
            await _hardware(cloud, t, name)

            await log_tail(cloud, t, GROUP, name)


def _address(name: str) -> str:
    return f"/jobs/{quote(name, safe='')}"


def _row(one: Json, kind: str, address: Callable[[str], str]) -> list[Any]:
    """Return (name, its page), state, when it was made and how long it took, of a summary of that kind."""
    name, end = one[f"{kind}JobName"], one.get(f"{kind}EndTime")
    lasted = took(end - one["CreationTime"]) if end else ""
    return [(name, address(name)), one[f"{kind}JobStatus"], moment(one["CreationTime"]), lasted]


def _list(t: dict[str, str], title: str, found: list[list[Any]]) -> None:
    with card():
        heading(title)
        rows = [[name, lambda state=state: pill(state), *times] for name, state, *times in found]
        table([t["name"], t["status"], t["created"], t["duration"]], rows, t["empty"])


def _job(t: dict[str, str], found: Json) -> None:
    with card():
        with ui.element("div").classes("f-facts"):
            pill(found["TrainingJobStatus"])
            for text in (
                f"{t['created']} {moment(found['CreationTime'])}"
                if "CreationTime" in found
                else "",
                found.get("ResourceConfig", {}).get("InstanceType", ""),
                found.get("AlgorithmSpecification", {}).get("TrainingImage", "").rpartition("/")[2],
            ):
                if text:
                    words(text).classes("f-dim")
        if found.get("FailureReason"):
            words(found["FailureReason"]).classes("f-pre f-bad")
        _steps(t, found.get("SecondaryStatusTransitions", []))
        _files(t, found)
    with ui.element("div").classes("f-grid"):
        with card():
            heading(t["metrics"])
            metrics = [
                [m["MetricName"], f"{m['Value']:.5g}"] for m in found.get("FinalMetricDataList", [])
            ]
            table([t["name"], ""], metrics, t["empty"])
        with card():
            heading(t["hyperparameters"])
            table([t["name"], ""], sorted(found.get("HyperParameters", {}).items()), t["empty"])


def _steps(t: dict[str, str], steps: list[Json]) -> None:
    rows = [
        [
            lambda state=one["Status"]: pill(state),
            f"{one['StartTime'].astimezone():%H:%M:%S}",
            took(one["EndTime"] - one["StartTime"]) if one.get("EndTime") else t["now"],
            one.get("StatusMessage", ""),
        ]
        for one in steps
    ]
    table([t["status"], t["time"], t["duration"], ""], rows, t["empty"])


def _files(t: dict[str, str], found: Json) -> None:
    paths = [(t["artefact"], found.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""))]
    for channel in found.get("InputDataConfig", []):
        uri = channel.get("DataSource", {}).get("S3DataSource", {}).get("S3Uri", "")
        paths.append((f"{t['inputs']}: {channel.get('ChannelName', '')}", uri))
    files(paths)


async def _events(cloud: Cloud, name: str) -> list[Json]:
    found: list[Json] = []
    token: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        try:
            answer = await cloud.ask(
                "logs",
                "filter_log_events",
                logGroupName=GROUP,
                logStreamNamePrefix=f"{name}/",
                **token,
            )
        except UnavailableError as error:
            if "ResourceNotFound" in str(error):
                return []
            raise
        found += answer.get("events", [])
        if not answer.get("nextToken"):
            break
        token = {"nextToken": answer["nextToken"]}
    return found


def progress(events: Sequence[Json], job: Json) -> list[tuple[str, list[Series]]]:
    """Return (what is measured, a series each of its sources), a point each time the log tells the metric."""
    from farero.jobs.metrics import MetricScanner  # here, as the first page would wait for it
    from farero.records.job import MetricDefinition

    algorithm = job.get("AlgorithmSpecification", {})
    definitions = [
        MetricDefinition(name=one["Name"], regex=one["Regex"])
        for one in algorithm.get("MetricDefinitions", [])
    ]
    scanner = MetricScanner(
        definitions, reads_xgboost="xgboost" in algorithm.get("TrainingImage", "")
    )
    values: dict[str, list[float]] = {}
    for event in events:
        for name, value in scanner.values(str(event.get("message", ""))):
            values.setdefault(name, []).append(value)
    charts: dict[str, list[Series]] = {}
    for name, found in values.items():
        measured = name.rpartition(":")[2]
        points = [(float(place), value) for place, value in enumerate(found)]
        charts.setdefault(measured, []).append(Series(name, [*points]))
    return list(charts.items())


def _progress(t: dict[str, str], found: list[tuple[str, list[Series]]]) -> None:
    with ui.element("div").classes("f-charts"):
        for measured, series in found[:12]:
            if max(len(one.points) for one in series) < 2:
                continue
            with card():
                heading(f"{t['progress']}: {measured}")
                option = lines(series)
                rounds = option["xAxis"]
                rounds |= {"type": "value", "minInterval": 1, "axisLabel": {**rounds["axisLabel"]}}
                del rounds["axisLabel"]["formatter"]
                chart(option, f"{measured}. {told(series)}", "14rem")


async def _hardware(cloud: Cloud, t: dict[str, str], name: str) -> None:
    try:
        job = await cloud.ask("sagemaker", "describe_training_job", TrainingJobName=name)
    except UnavailableError:
        return
    if isinstance(start := job.get("TrainingStartTime"), datetime):
        end = job.get("TrainingEndTime")
        await hardware(cloud, t, group=GROUP, job=name, start=start, end=end)
