"""What the pages make of reports and statistics, which lie in S3 and may hold anything."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from farero.console import compare, reports
from farero.console.pages import monitor, monitor_quality
from farero.console.pages.monitor_figures import by_change, storage_file
from farero.console.pages.monitor_quality import Figure
from farero.console.runs import Run, beside, once
from farero.console.texts import EN


def sketch(*levels: list[float]) -> dict[str, Any]:
    return {
        "distribution": {"kll": {"sketch": {"data": levels}}},
        "common": {"num_present": 3, "num_missing": 1},
    }


def side(*levels: list[float]) -> reports.Side:
    content = {"features": [{"name": "x", "numerical_statistics": sketch(*levels)}]}
    found = reports.statistics(json.dumps(content).encode()).feature("x")
    assert found is not None
    return found.side


def test_a_value_of_a_higher_level_stands_for_more() -> None:
    assert side([3.0], [1.0, 2.0]).numbers() == [(1.0, 2.0), (2.0, 2.0), (3.0, 1.0)]
    assert side([3.0]).missing == 25.0


def test_both_histograms_have_the_same_bins_and_hold_everything() -> None:
    found = compare.histogram(
        [(0.0, 1.0), (1.0, 1.0), (2.0, 2.0)], [(1.0, 4.0), (4.0, 4.0)], bins=4
    )
    assert found == compare.Histogram(
        [0.0, 1.0, 2.0, 3.0, 4.0], then=[25.0, 25.0, 50.0, 0.0], now=[0.0, 50.0, 0.0, 50.0]
    )


def test_far_ends_do_not_stretch_a_histogram() -> None:
    middle = [(float(at), 1.0) for at in range(1000)]
    found = compare.histogram([*middle, (1e9, 1.0)], middle)
    assert found is not None
    assert found.edges[-1] <= 1000
    assert 98 < sum(found.then) < 100


@pytest.mark.parametrize(("then", "now"), [([], [(1.0, 1.0)]), ([(1.0, 1.0)], [])])
def test_a_side_without_numbers_is_not_drawn(then: Any, now: Any) -> None:
    assert compare.histogram(then, now) is None


def test_one_value_alone_is_a_histogram() -> None:
    found = compare.histogram([(5.0, 3.0)], [(5.0, 1.0)])
    assert found is not None
    assert (sum(found.then), sum(found.now)) == (100.0, 100.0)


def test_new_and_gone_texts_are_named_so() -> None:
    found = compare.most_different({"a": 9, "b": 1}, {"a": 6, "c": 4}, most=3)
    assert found == [compare.Bar("a", 90, 60), compare.Bar("b", 10, 0), compare.Bar("c", 0, 40)]
    assert compare.draw_bars(EN, found)["yAxis"]["data"] == ["a", "b (gone)", "c (new)"]


def test_what_changed_comes_first_and_then_what_changed_more() -> None:
    told = reports.report(
        json.dumps(
            {
                "limits": {"shift": 0.05, "new": 0.005},
                "columns": [
                    {"name": "same", "state": "same", "effects": {"shift": 1.0}},
                    {"name": "little", "state": "changed", "effects": {"shift": -0.06}},
                    {"name": "much", "state": "changed", "effects": {"new": 0.05, "shift": None, "odd": 9.0}},
                ],
            }
        ).encode()
    )  # fmt: skip
    assert [one.name for one in by_change(told)] == ["much", "little", "same"]
    assert told.scores(told.columns[2]) == {"new": 10.0}
    assert told.score(told.columns[1]) == pytest.approx(1.2)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"\xff", b'{"rows": "many"}', b'{"columns": [{}]}', b'{"findings": {}}', b"[" * 100_000,
     b'{"columns": [{"name": "x", "effects": {"shift": NaN}}]}'],
)  # fmt: skip
def test_a_report_that_is_none_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(reports.UnreadableError, match=r"drift_report\.json: ."):
        reports.report(body)


def test_a_distribution_that_is_none_is_refused_when_it_is_drawn() -> None:
    content = {"features": [{"name": "x", "numerical_statistics": {"distribution": {"kll": [1]}}}]}
    found = reports.statistics(json.dumps(content).encode()).features[0].side
    with pytest.raises(reports.UnreadableError):
        found.numbers()


def test_violations_stand_in_where_there_is_no_report() -> None:
    body = {"violations": [{"feature_name": "f", "constraint_check_type": "t", "description": "d"}]}
    assert reports.violations(json.dumps(body).encode()) == [
        reports.Finding("warning", "t", "f", "d")
    ]


@pytest.mark.parametrize(
    ("content", "figures"),
    [
        ({"figures": {"auc": {"value": 0.9, "low": 0.8, "high": 1.0, "reference": 0.95, "state": "worse",
                              "least": 0.93, "most": None}}},
         {"auc": Figure(0.9, 0.8, 1.0, 0.95, "worse", least=0.93)}),
        ({"metrics": {"mae": {"value": 1.96, "standard_deviation": 1.0}}}, {"mae": Figure(1.96, 0.0, 3.92)}),
        ({"figures": {"a": {"value": None}, "b": "x", "c": math.inf, "d": True, "e": 1}}, {"e": Figure(1.0)}),
        ({"figures": [1]}, {}),
    ],
)  # fmt: skip
def test_quality_is_read_whatever_else_stands_there(content: Any, figures: Any) -> None:
    found = monitor_quality.read(content)
    assert found is not None
    assert found.figures == figures


@pytest.mark.parametrize("content", [None, {}, [], "text", 3])
def test_no_quality_is_none(content: Any) -> None:
    assert monitor_quality.read(content) is None


def test_files_are_downloaded_and_nothing_else_is_linked() -> None:
    link = storage_file("page", "s3://b/a b/report.html")
    assert link == ("page", "/download?bucket=b&key=a%20b%2Freport.html")
    for uri in ("javascript:alert(1)", "https://x/y", "s3://b", "s3:///k", ""):
        assert storage_file("page", uri) == ""


@pytest.mark.parametrize("schedule", ["short", "s" * 44, "s" * 45, "s" * 63])
def test_a_run_asked_for_is_known_by_its_name_which_is_short_enough(schedule: str) -> None:
    name = once(schedule, datetime(2026, 5, 1, 10, tzinfo=UTC))
    assert len(name) <= 63
    assert name.startswith(beside(schedule))
    assert name.endswith("-now-20260501100000")


NOW = datetime(2026, 5, 1, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "status", "expected"),
    [
        ("cron(0 * ? * * *)", "Scheduled", NOW.replace(hour=11, minute=0)),
        ("cron(0 * ? * * *)", "Stopped", None),
        ("NOW", "Scheduled", None),
        ("rate(7 minutes)", "Scheduled", NOW + timedelta(minutes=4)),
    ],
)
def test_the_next_run_is_told(expression: str, status: str, expected: datetime | None) -> None:
    schedule = {
        "MonitoringScheduleName": "s", "MonitoringScheduleStatus": status, "CreationTime": NOW - timedelta(days=9),
        "MonitoringScheduleConfig": {"ScheduleConfig": {"ScheduleExpression": expression}},
    }  # fmt: skip
    done = [Run(schedule="s", at=NOW - timedelta(minutes=3), status="Completed")]
    assert monitor.next_run(schedule, done, NOW) == expected
