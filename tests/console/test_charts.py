"""What charts are told: series, units, levels, gaps; nothing in them is HTML or a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from farero.console import charts, metrics, units
from farero.console.charts import Band, Series, Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator

BAD = "<img src=x onerror=alert(1)>"


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, held in value.items():
            yield key
            yield from _keys(held)
    elif isinstance(value, list):
        for held in value:
            yield from _keys(held)


def test_lines_keep_points_and_gaps() -> None:
    option = charts.lines(
        [Series("a", [(0, 1.0), (60_000, None), (120_000, 3.0)])], start=0, end=180_000
    )
    assert option["series"][0]["data"] == [[0, 1.0], [60_000, None], [120_000, 3.0]]
    assert (option["xAxis"]["min"], option["xAxis"]["max"]) == (0, 180_000)
    assert option["tooltip"]["renderMode"] == "richText"


def test_stacked_columns_share_a_stack() -> None:
    option = charts.columns([Series("a", [(0, 1)]), Series("b", [(0, 2)])])
    assert [(one["type"], one["stack"]) for one in option["series"]] == [("bar", "left")] * 2


@pytest.mark.parametrize(
    ("unit", "value", "shown", "sign"),
    [
        ("Microseconds", 1500.0, 1.5, "ms"),
        ("Microseconds", 4_000_000.0, 4.0, "s"),
        ("Bytes", 3_500_000.0, 3.5, "MB"),
        ("Percent", 12.0, 12.0, "%"),
        ("None", 12.0, 12.0, ""),
        ("apples", 12.0, 12.0, "apples"),
    ],
)
def test_a_unit_is_shown_in_a_size_that_can_be_read(
    unit: str, value: float, shown: float, sign: str
) -> None:
    option = charts.lines([Series("a", [(0, value)])], unit=unit, thresholds=[Threshold(value)])
    assert option["series"][0]["data"][0][1] == shown
    assert option["yAxis"][0]["axisLabel"]["formatter"] == ("{value} " + sign).strip()
    level = option["series"][-1]["markLine"]["data"][0]
    assert level["yAxis"] == shown


def test_levels_and_bands_are_drawn_once_for_all_series() -> None:
    option = charts.lines(
        [Series("a", [(0, 1)])],
        thresholds=[Threshold(5, "p99 > 5", fill="above")],
        bands=[Band(0, 60_000, "ALARM", charts.STATES["ALARM"]), Band(30_000, 30_000, "deploy")],
    )
    marks = option["series"][-1]
    assert [line.get("yAxis", line.get("xAxis")) for line in marks["markLine"]["data"]] == [
        5,
        30_000,
    ]
    assert [area[0].get("name") for area in marks["markArea"]["data"]] == [None, "ALARM"]
    assert marks["markArea"]["data"][0][1] == {"yAxis": "max"}


def test_a_series_on_the_right_has_an_axis_of_its_own() -> None:
    option = charts.lines([Series("a", [(0, 1)]), Series("b", [(0, 900)], is_right=True)])
    assert len(option["yAxis"]) == 2
    assert option["series"][1]["yAxisIndex"] == 1


@pytest.mark.parametrize(
    "draw", [charts.lines, charts.columns, charts.bars, charts.pie, charts.gauge]
)
@pytest.mark.parametrize(
    "points", [[], [(0, None)], [(0, float("nan"))], [(0, float("inf"))], [(0, -1.0)]]
)
def test_every_chart_is_json_whatever_the_points(draw: Any, points: list[Any]) -> None:
    option = draw([Series(BAD, points), Series(":x", points)], unit=":unit")
    json.dumps(option, allow_nan=False)
    assert [key for key in _keys(option) if key.startswith(":")] == []


def test_charts_of_shares_show_the_newest_value() -> None:
    series = [Series("a", [(0, 1), (1, 3), (2, None)]), Series("b", [])]
    assert [one["value"] for one in charts.bars(series)["series"][0]["data"]] == [3, None]
    assert [one["value"] for one in charts.pie(series)["series"][0]["data"]] == [3, 0]
    dials = charts.gauge(series, unit="Percent", most=50)["series"]
    assert [(dial["data"][0]["value"], dial["max"]) for dial in dials] == [(3, 50), (None, 50)]


def test_a_sparkline_has_the_peak_at_the_top_and_zero_at_the_bottom() -> None:
    assert charts.spark([(0, 0), (50, 10), (100, 5)], 0, 100) == "M0 23h.1L50 1L100 12"


def test_a_sparkline_breaks_where_nothing_is() -> None:
    path = charts.spark([(0, 1), (50, None), (100, 1)], 0, 100)
    assert path.count("M") == 2
    assert "L" not in path


def test_what_a_chart_shows_is_told_in_words() -> None:
    told = charts.told(
        [Series("p99", [(0, 2000.0), (1, 1000.0)]), Series("none", [])], "Microseconds"
    )
    assert told == "p99: 1 ms (≥ 1, ≤ 2)"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0, "0"), (0.125, "0.125"), (12.345, "12.3"), (12345.6, "12,346"), (2e-5, "2.0e-05")]
)  # fmt: skip
def test_numbers_are_short(value: float | None, shown: str) -> None:
    assert units.number(value) == shown


def test_a_gap_breaks_the_line() -> None:
    assert metrics.broken([(0, 1), (60_000, 2), (240_000, 3)], 60) == [
        (0, 1), (60_000, 2), (120_000, None), (240_000, 3),
    ]  # fmt: skip


def test_a_query_gets_the_ranges_period_but_keeps_its_own() -> None:
    query = metrics.stat("a", "Invocations", "Sum", {"EndpointName": "e"})
    assert metrics.with_period(query, 300)["MetricStat"]["Period"] == 300
    assert metrics.with_period(metrics.with_period(query, 60), 300)["MetricStat"]["Period"] == 60
    assert metrics.with_period({"Id": "b", "Expression": "a*2"}, 60)["Period"] == 60
    assert metrics.period_of([metrics.with_period(query, 300)], "a") == 300
