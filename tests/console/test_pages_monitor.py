"""Drift in the console, over a real platform: run, looked at, stopped and started, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.console import drift

if TYPE_CHECKING:
    from tests.console.conftest import Person, Stage

NAME = "console-drift"


@pytest.fixture(scope="module")
def watched(stage: Stage) -> Stage:
    drift.watch(stage, NAME)
    drift.run_once(stage, NAME)
    return stage


def test_a_run_is_asked_for_and_its_verdict_appears(watched: Stage, told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open(f"/monitor/{NAME}")
        await person.sees("data quality")
        before = len(drift.ran(watched, NAME))
        person.press("Run now")
        await person.until(lambda: len(drift.ran(watched, NAME)) > before, 60)
        await person.sees("2 of 3 columns changed: height, colour, in 500 records.")
        await person.sees("The mean moved by +0.")
        await person.sees("asked for")
        charts = [one for one in person.elements if one.tag == "nicegui-echart"]
        labels = [str(one.props.get("aria-label")) for one in charts]
        assert any("violet: 0 % → 3" in one for one in labels), labels
        await person.open(f"/monitor/{NAME}?feature=height")
        await person.sees("Feature: height")
        links = [str(one.props.get("href")) for one in person.elements]
        assert any(one.startswith("/download?bucket=") and "report.html" in one for one in links)
        await person.open("/monitor", language="es")
        await person.sees("Deriva")
        await person.sees("2 de 3 columnas cambiaron")
        assert not any("-now-" in one for one in person.texts), (
            "runs asked for stand beside their schedule"
        )

    told_by(story)


def test_sagemakers_own_verdict_stands_beside_and_the_alert_goes_by_it(
    watched: Stage, told_by: Any
) -> None:
    async def story(person: Person) -> None:
        await person.open(f"/monitor/{NAME}")
        await person.sees("By SageMaker's own rules")
        assert (await person.sees("Baseline drift distance: ")).endswith("exceeds threshold: 0.1")
        pills = [one for one in person.texts if one.endswith((" > 0.1", " ≤ 0.1"))]
        assert len(pills) == 3, person.texts  # a distance for each feature, far or not
        assert sum(one.endswith(" > 0.1") for one in pills) == 2
        await person.sees("raised while 1 of the last 1 runs found violations")
        await person.sees("It was never raised.")
        await person.open(f"/monitor/{NAME}-now-1")
        await person.sees("in alert")
        await person.open(f"/monitor/{NAME}-now-1", language="es")
        await person.sees("en alerta")
        await person.sees("Según las reglas de SageMaker")

    told_by(story)


def test_a_schedule_whose_alert_is_raised_is_marked_in_the_list(stage: Stage, told_by: Any) -> None:
    name = "console-once"
    drift.watch(stage, name)
    alone = f"{name}-alone"
    config = stage.client("sagemaker").describe_monitoring_schedule(MonitoringScheduleName=name)
    now = {
        "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H",
    }  # fmt: skip
    stage.client("sagemaker").create_monitoring_schedule(
        MonitoringScheduleName=alone,
        MonitoringScheduleConfig={**config["MonitoringScheduleConfig"], "ScheduleConfig": now},
    )

    async def story(person: Person) -> None:
        await person.until(lambda: drift.ran(stage, name), 60)
        await person.open("/monitor")
        await person.sees(alone)
        await person.sees("in alert")

    told_by(story)


def test_a_schedule_is_stopped_and_started(watched: Stage, told_by: Any) -> None:
    def status() -> str:
        found = watched.client("sagemaker").describe_monitoring_schedule(
            MonitoringScheduleName=NAME
        )
        return found["MonitoringScheduleStatus"]

    async def story(person: Person) -> None:
        await person.open(f"/monitor/{NAME}")
        await person.sees("Scheduled")
        person.press("Stop")
        await person.until(lambda: status() == "Stopped")
        await person.sees("Stopped")
        person.press("Start")
        await person.until(lambda: status() == "Scheduled")

    told_by(story)


def test_an_endpoint_and_home_lead_to_its_drift(watched: Stage, told_by: Any) -> None:
    del watched

    async def story(person: Person) -> None:
        for page in ("/", f"/endpoints/{NAME}"):
            await person.open(page)
            await person.until(
                lambda: f"/monitor/{NAME}" in [one.props.get("href") for one in person.elements]
            )
        await person.open("/endpoints/echo")
        await person.sees("Nobody watches its data.")

    told_by(story)


def test_a_schedule_without_runs_says_so(stage: Stage, told_by: Any) -> None:
    drift.watch(stage, "console-new")

    async def story(person: Person) -> None:
        await person.open("/monitor/console-new")
        await person.sees("It has not run yet.")

    told_by(story)


def test_a_schedule_that_is_not_there_is_told(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/monitor/no-such")
        await person.sees("no-such")
        await person.sees("ResourceNotFound")

    told_by(story)


def test_a_report_that_somebody_broke_is_told_and_harms_nothing(stage: Stage, told_by: Any) -> None:
    name = "console-broken"
    drift.watch(stage, name)
    done = drift.run_once(stage, name)
    bucket, prefix = drift.place(stage, done)
    stage.client("s3").put_object(
        Bucket=bucket, Key=f"{prefix}/drift_report.json", Body=b'{"rows": []}'
    )

    async def story(person: Person) -> None:
        await person.open(f"/monitor/{name}")
        await person.sees("drift_report.json: Expected")
        await person.sees("CompletedWithViolations")

    told_by(story)
