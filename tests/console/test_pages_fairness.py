"""Bias and attributions in the console, over a real platform: the reports' own figures, in both languages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.console import drift, fairness

from farero.console import reports
from farero.console.pages.monitor_clarify import Attributions, read_attributions, read_bias
from farero.console.texts import EN
from farero.console.units import number

if TYPE_CHECKING:
    from tests.console.conftest import Person, Stage

NAME = "console-loans"
BIAS, EXPLAIN = f"farero-bias-{NAME}", f"farero-explain-{NAME}"


@pytest.fixture(scope="module")
def watched(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("loans")
    fairness.watch(stage, NAME, folder)
    fairness.ask(stage, NAME, folder)
    return stage


def report_of(stage: Stage, execution: dict[str, Any]) -> dict[str, Any]:
    bucket, prefix = drift.place(stage, execution)
    found = stage.client("s3").get_object(Bucket=bucket, Key=f"{prefix}/drift_report.json")
    return json.loads(found["Body"].read())


def test_bias_stands_on_the_page_as_in_the_report(watched: Stage, told_by: Any) -> None:
    done = fairness.run_once(watched, BIAS)
    assert done["MonitoringExecutionStatus"] == "CompletedWithViolations", done
    told = report_of(watched, done)
    impact = next(one for one in told["bias"] if one["metric"] == "DI")
    assert impact["beyond_chance"]
    assert impact["value"] < 0.5 < impact["baseline"]

    async def story(person: Person) -> None:
        await person.open(f"/monitor/{BIAS}")
        await person.sees("Bias: sex 0, in the labels")
        await person.sees("Bias: sex 0, in the answers")
        await person.sees(impact["description"])
        await person.sees(number(impact["value"]))
        await person.sees(number(impact["baseline"]))
        await person.sees(f"{number(impact['low'])} … {number(impact['high'])}")
        shown = [one for one in person.texts if one == EN["bias_beyond"]]
        assert len(shown) == sum(one["beyond_chance"] for one in told["bias"])
        await person.sees(told["sentence"])
        await person.open(f"/monitor/{BIAS}", language="es")
        await person.sees("Sesgo: sex 0, en las respuestas")
        await person.sees("Impacto desigual (DI)")
        await person.sees(told["spanish"]["sentence"])
        missing = next(one for one in told["bias"] if one["reason"])
        await person.sees(missing["spanish"]["reason"])

    told_by(story)


def test_attributions_stand_on_the_page_as_in_the_report(watched: Stage, told_by: Any) -> None:
    done = fairness.run_once(watched, EXPLAIN)
    assert done["MonitoringExecutionStatus"] == "Completed", done
    told = report_of(watched, done)["attributions"]["label0"]
    assert told["changed"] is False

    async def story(person: Person) -> None:
        await person.open(f"/monitor/{EXPLAIN}")
        await person.sees("What the answers come from: label0")
        await person.sees("the order holds")
        await person.sees(f"NDCG {number(told['ndcg'])} against the baseline's order; from 0.9")
        for name in ("income", "age", "sex"):
            await person.sees(name)
            await person.sees(number(told["values"][name]))
            await person.sees(number(told["baseline"][name]))
        await person.open(f"/monitor/{EXPLAIN}", language="es")
        await person.sees("De qué salen las respuestas: label0")
        await person.sees("el orden se mantiene")

    told_by(story)


def test_several_runs_are_drawn_over_time(watched: Stage, told_by: Any) -> None:
    for beside in (2, 3):
        fairness.run_once(watched, BIAS, beside)
        fairness.run_once(watched, EXPLAIN, beside)

    async def story(person: Person) -> None:
        for page, title in ((BIAS, "sex 0: over time"), (EXPLAIN, "NDCG label0: over time")):
            await person.open(f"/monitor/{page}")
            await person.sees(title)

    told_by(story)


def test_reports_that_hold_anything_are_read_as_far_as_they_can_be() -> None:
    body = json.dumps({
        "bias": [
            7, {"metric": "DI", "facet": "sex", "facet_value": "0", "stage": "post_training", "value": "inf",
                "baseline": 0.5, "worse": "yes"},
        ],
        "attributions": {"label0": {"ndcg": 0.5}, "label1": 3},
    }).encode()  # fmt: skip
    report = reports.report(body)

    (one,) = read_bias(report.bias)

    assert (one.value, one.baseline, one.worse, one.described) == ("∞", 0.5, False, ("DI", "DI"))
    assert read_bias("nothing") == []
    assert read_attributions(report.attributions) == [
        Attributions("label0", 0.5, None, None, {}, {}),
        Attributions("label1", None, None, None, {}, {}),
    ]
