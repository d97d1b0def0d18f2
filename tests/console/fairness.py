"""An endpoint on the stage whose bias and attributions are watched: a model of loans, requests, and what came true."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from tests.console import drift

if TYPE_CHECKING:
    from pathlib import Path

    from tests.console.conftest import Stage

#: Income counts much, age a little, and sex not at all.
LOANS = """
def model_fn(folder):
    return 1


def transform_fn(model, body, kind, accept):
    text = body.decode() if isinstance(body, bytes) else body
    rows = [[float(value) for value in line.split(",")] for line in text.splitlines() if line.strip()]
    told = [min(1.0, max(0.0, 0.5 + 0.2 * income + 0.05 * age)) for sex, income, age in rows]
    return "\\n".join(f"{value:.6f}" for value in told) + "\\n", "text/csv"
"""


def watch(stage: Stage, name: str, folder: Path) -> None:
    """Deploy the model and take baselines; women are as well off as men then. Schedules of both kinds never run."""
    stage.model(name, LOANS)
    stage.deploy(name, name)
    assert stage.settled(name) == "InService"
    train = folder / "train.csv"
    rows = [f"{paid},{row}" for row, _, paid in _people(600, seed=1, apart=0.0)]
    train.write_text("\n".join(["paid,sex,income,age", *rows]), encoding="utf-8")
    farero = stage.platform.farero
    farero("monitor", "bias", name, str(train), "--facet", "sex=0")
    farero("monitor", "explain", name, str(train), "--rows", "100")
    for kind in ("--bias", "--explain"):
        farero("monitor", "add", name, kind, "--every", "cron(0 0 1 1 ? 2099)", "--anyway")


def ask(stage: Stage, name: str, folder: Path) -> None:
    """Put requests of ten minutes ago where captures lie, and their labels: women earn much less by now."""
    people = _people(500, seed=2, apart=2.0)
    drift.capture(stage, name, [f"{told:.6f},{row}" for row, told, _ in people])
    labels = folder / "labels.csv"
    lines = [f"made-up-{number},{paid}" for number, (_, _, paid) in enumerate(people)]
    labels.write_text("\n".join(["id,paid", *lines]), encoding="utf-8")
    stage.platform.farero("monitor", "label", name, str(labels), "--label-column", "paid")


def run_once(stage: Stage, schedule: str, beside: int = 1) -> dict[str, Any]:
    """Have a schedule's definition look at the last hour, as "Run now" does; return the execution when it has ended."""
    sagemaker = stage.client("sagemaker")
    config = sagemaker.describe_monitoring_schedule(MonitoringScheduleName=schedule)
    now = {
        "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H",
    }  # fmt: skip
    once = f"{schedule}-now-{beside}"
    sagemaker.create_monitoring_schedule(
        MonitoringScheduleName=once,
        MonitoringScheduleConfig={**config["MonitoringScheduleConfig"], "ScheduleConfig": now},
    )

    def ended() -> Any:
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName=once)
        done = found["MonitoringExecutionSummaries"]
        over = done and done[0]["MonitoringExecutionStatus"] not in {"Pending", "InProgress"}
        return done[0] if over else None

    return stage.platform.wait(ended, 120)


def _people(count: int, *, seed: int, apart: float) -> list[tuple[str, float, int]]:
    """Return features, the model's answer and what came true; apart: how much less women (0) earn."""
    draw = random.Random(seed)
    made: list[tuple[str, float, int]] = []
    for _ in range(count):
        sex = draw.randint(0, 1)
        income = draw.gauss(0.0 if sex else -apart, 1.0)
        age = draw.gauss(0.0, 1.0)
        told = min(1.0, max(0.0, 0.5 + 0.2 * income + 0.05 * age))
        made.append((f"{sex},{income:.4f},{age:.4f}", told, int(draw.random() < told)))
    return made
