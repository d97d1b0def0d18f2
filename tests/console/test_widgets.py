"""Dashboards' bodies, however odd, become widgets at places, queries and plain text."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.console import time_range
from farero.console.charts import Series
from farero.console.data import UnavailableError
from farero.console.widgets import asking, drawing, markdown
from farero.console.widgets.body import range_query
from farero.console.widgets.grid import place
from farero.console.widgets.markdown import Block, Span
from farero.console.widgets.marks import Mark
from farero.console.widgets.metrics import CannotDrawError, calls, plan

METRIC = {"metrics": [["AWS/SageMaker", "Invocations", "EndpointName", "iris"]], "stat": "Sum"}
WIDE = {"period": 60, "seconds": 10800, "is_auto": True}


def widget(x: int, y: int, width: int, height: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "text", "x": x, "y": y, "width": width, "height": height,
        "properties": {"markdown": "hello"}, **more,
    }  # fmt: skip


def test_widgets_keep_their_places_without_gaps_or_overlap():
    placed = place(
        {
            "widgets": [
                widget(12, 0, 12, 6),
                widget(0, 0, 12, 3),
                widget(0, 2, 12, 4),
                widget(0, 50, 24, 2),
            ]
        }
    )
    assert [(w.x, w.y, w.width, w.height) for w in placed] == [
        (0, 0, 12, 3), (12, 0, 12, 6), (0, 3, 12, 4), (0, 7, 24, 2),
    ]  # fmt: skip


def test_widgets_without_places_flow():
    bare = {"type": "text", "width": 10, "height": 2, "properties": {"markdown": ""}}
    assert [(w.x, w.y) for w in place({"widgets": [bare, bare, bare]})] == [(0, 0), (10, 0), (0, 2)]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"widgets": ["<script>"]}, ["widget: Should be an object"]),
        ({"widgets": [{"type": "<img>"}]}, ["type: Should be equal to one of the allowed values"]),
        ({"widgets": [widget(-5, 10**30, 99, 10**9)]}, [""]),
        ({"widgets": [widget(float("nan"), 0, float("inf"), 1)]}, [""]),  # type: ignore[arg-type]
        ({"widgets": [{"type": "metric", "properties": []}]}, ["properties: Should be an object"]),
        ({"widgets": {"a": 1}}, []),
        ({}, []),
    ],
)
def test_odd_bodies_are_placed_and_told(body: dict[str, Any], problems: list[str]):
    placed = place(body)
    assert [w.problem for w in placed] == problems
    assert all(
        w.x >= 0 and w.width >= 1 and w.x + w.width <= 24 and 1 <= w.height <= 60 for w in placed
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(["...", ".", "m1"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["metrics", "view", "period", "stat", "id", "expression", "color", "yAxis", "label", "title"]),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    properties=st.dictionaries(st.sampled_from(["metrics", "view", "period", "stat"]), JSON),
    at=JSON,
)
def test_any_widget_is_planned_or_refused(properties: dict[str, Any], at: Any):
    (placed,) = place({"widgets": [{"type": "metric", "x": at, "y": at, "properties": properties}]})
    try:
        graph = plan(placed.properties, **WIDE)
    except CannotDrawError:
        return
    assert set(graph.rows) == {query["Id"] for query in graph.queries}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="*_`[](){}#|-> \n\tahttps:/.<!&\"'1.", max_size=200))
def test_markdown_loses_no_word_and_links_nowhere_odd(text: str):
    blocks = markdown.read(text)
    shown = "".join(span.text for block in blocks for cell in block.cells for span in cell)
    assert shown.count("a") <= text.count("a")
    assert all(
        span.address.startswith(("http://", "https://"))
        for block in blocks for cell in block.cells for span in cell if span.style in ("link", "button")
    )  # fmt: skip


def test_markdown_is_read_as_people_write_it():
    text = "# One *two*\n\nA **b** `c` and\n[d](https://e.f/g?h=1).\n- x\n  2. y\n> q\n---\n```\n<b>\n```\n|a|b|\n|-|-|\n|1|2|"
    assert markdown.read(text) == [
        Block("heading", [[Span("One "), Span("two", "slant")]], 1),
        Block("text", [[Span("A "), Span("b", "bold"), Span(" "), Span("c", "code"), Span(" and "),
                        Span("d", "link", "https://e.f/g?h=1"), Span(".")]]),
        Block("item", [[Span("x")]]),
        Block("number", [[Span("y")]], 2),
        Block("quote", [[Span("q")]]),
        Block("rule"),
        Block("code", [[Span("<b>", "code")]]),
        Block("head", [[Span("a")], [Span("b")]]),
        Block("row", [[Span("1")], [Span("2")]]),
    ]  # fmt: skip
    assert markdown.spans("[button:primary:Go](https://a.b)") == [
        Span("Go", "button", "https://a.b")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))", "[x](JAVASCRIPT:alert)", "[x](data:text/html,hi)", "[x](//evil.example)",
        "[x](/logout)", "[x](https:evil)", "[x](https://)", "![x](https://evil.example/a.png)", "<img src=x onerror=alert(1)>",
        "[x](https://a.b/\x01c)", "[x](https://[bad)",
    ],
)  # fmt: skip
def test_what_is_no_plain_link_stays_text(text: str):
    assert "".join(span.text for span in markdown.spans(text)) == text
    assert {span.style for span in markdown.spans(text)} == {""}


@pytest.mark.parametrize(
    "part", ["[", "*a ", "`", "**", "_a", "[a](", "| ", "> ", "# ", "\n", " -"]
)
def test_markdown_of_any_length_is_read_at_once(part: str):
    began = time.process_time()
    markdown.read(part * 100_000)
    assert time.process_time() - began < 3


def test_pages_ask_in_as_few_calls_as_can_be():
    plain = plan(METRIC, **WIDE)
    hidden = plan(
        {
            "metrics": [
                ["A", "B", {"id": "m1", "visible": False}],
                ["A", "C", {"id": "m2", "yAxis": "right", "color": "#abc"}],
            ]
        },
        **WIDE,
    )
    summed = plan(
        {"metrics": [["A", "B", {"id": "m1"}], [{"expression": "m1/60", "id": "e1"}]]}, **WIDE
    )
    found = calls({1: plain, 2: hidden, 5: summed})
    assert [[query["Id"] for query in queries] for queries, _ in found] == [
        ["w1_0", "w2_1"],
        ["m1", "e1"],
    ]
    assert found[0][1] == {"w1_0": (1, "m1"), "w2_1": (2, "m2")}
    assert (hidden.rows["m2"].is_right, hidden.rows["m2"].colour) == (True, "#abc")
    many = plan({"metrics": [["A", f"m{i}"] for i in range(300)]}, **WIDE)
    assert [len(queries) for queries, _ in calls({1: many, 2: many})] == [300, 300]


@pytest.mark.parametrize(
    ("properties", "fitting", "is_auto", "period"),
    [
        ({}, 60, True, 300), ({"period": 60}, 300, True, 300), ({"period": 60}, 300, False, 60),
        ({"period": 60, "view": "singleValue", "setPeriodToTimeRange": True}, 60, True, 10800),
    ],
)  # fmt: skip
def test_periods(
    properties: dict[str, Any],
    fitting: int,
    is_auto: bool,  # noqa: FBT001 - a case of a table
    period: int,
):
    graph = plan({**METRIC, **properties}, period=fitting, seconds=10790, is_auto=is_auto)
    assert graph.queries[0]["MetricStat"]["Period"] == period


@pytest.mark.parametrize(
    "properties",
    [
        {"metrics": [["A"]]}, {"metrics": [[".", "B"]]}, {"metrics": "x"}, {}, {"metrics": [["A", "B", {"period": "x"}]]},
        {"metrics": [["A", "B", {"id": {}}]]}, {"metrics": [["A", "B", {"id": "m"}], ["A", "C", {"id": "m"}]]},
        {"metrics": [["A", "B", {"period": -60}]]}, {"metrics": [["A", "B", {"period": 1e400}]]},
        {"metrics": [["A", f"m{i}"] for i in range(501)]},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_says_why(properties: dict[str, Any]):
    with pytest.raises(CannotDrawError, match=r".+"):
        plan(json.loads(json.dumps(properties)), **WIDE)


def test_sources_of_log_queries():
    assert asking.sources("SOURCE '/a' | SOURCE \"b\" | fields @message | limit 5") == (
        ["/a", "b"], "fields @message | limit 5",
    )  # fmt: skip
    assert asking.sources("source '/a', '/b' | stats count(*)") == (["/a", "/b"], "stats count(*)")
    with pytest.raises(CannotDrawError, match="no log group"):
        asking.sources("fields @message")


def test_what_has_no_label_is_named_by_what_sets_it_apart():
    def names(*rows: Any) -> list[str]:
        return [query["Label"] for query in plan({"metrics": list(rows)}, **WIDE).queries]

    assert names(["A", "Calls", "E", "iris", "V", "blue"], ["...", "green"]) == ["blue", "green"]
    assert names(["A", "Calls", "E", "iris"], ["A", "Errors", "E", "rose"]) == [
        "Calls iris",
        "Errors rose",
    ]
    assert names(
        ["A", "Calls", {"stat": "p50"}], [".", ".", {"stat": "p99"}], ["A", "x", {"label": "own"}]
    ) == ["p50", "p99", "own"]
    assert names(["A", "Calls"]) == ["Calls"]
    assert names([{"expression": "SEARCH('{A,E,V} Calls', 'Sum', 60)"}]) == [
        "${LABEL} ${PROP('Dim.E')} ${PROP('Dim.V')}"
    ]


class Answers:
    """A gateway that knows two metrics and refuses any call with a third."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, _service: str, _operation: str, **params: Any) -> Any:
        self.asked += 1
        names = [
            query["MetricStat"]["Metric"]["MetricName"] for query in params["MetricDataQueries"]
        ]
        if "bad" in names:
            raise UnavailableError("ValidationError: bad")
        found = [
            {"Id": query["Id"], "Label": name, "Timestamps": [params["StartTime"]], "Values": [1.0]}
            for query, name in zip(params["MetricDataQueries"], names, strict=True)
        ]
        return {"MetricDataResults": found}


def test_one_graphs_mistake_costs_the_others_nothing():
    def graph(name: str) -> Any:
        return plan({"metrics": [["A", name, {"id": "x", "color": "#123456"}]]}, **WIDE)

    chosen, cloud = time_range.latest("3h"), Answers()
    got = asyncio.run(asking.series(cloud, {0: graph("a"), 4: graph("b")}, chosen))  # type: ignore[arg-type]
    assert cloud.asked == 1
    assert {key: [(one.id, one.name, one.colour) for one in found] for key, found in got.items()} == {
        0: [("x", "a", "#123456")], 4: [("x", "b", "#123456")],
    }  # fmt: skip
    got = asyncio.run(asking.series(cloud, {0: graph("a"), 4: graph("bad")}, chosen))  # type: ignore[arg-type]
    assert got[4] == "ValidationError: bad"
    assert [one.name for one in got[0]] == ["a"]


def test_annotations_and_axes_reach_the_chart():
    graph = plan(
        {
            "metrics": [["A", "a"], ["A", "b", {"yAxis": "right"}]],
            "yAxis": {"left": {"min": 0, "max": "x", "label": "ms"}, "right": {"max": 9}},
            "annotations": {
                "horizontal": [{"value": 5, "label": "limit", "fill": "above"}, [{"value": 3}, {"value": 1}],
                               {"value": "<b>"}, "x", {"value": 2, "yAxis": "right", "color": "red;x"}],
                "vertical": [{"value": "2026-01-01T00:00:00Z", "label": "deploy"}, {"value": 7}],
            },
        },
        **WIDE,
    )  # fmt: skip
    series = [Series("a", [(0, 1.0)], "m1"), Series("b", [(0, 2.0)], "m2", is_right=True)]
    option = drawing.option(graph, series, time_range.latest("3h"))
    assert option["yAxis"][0] | {"min": 0.0, "name": "ms"} == option["yAxis"][0]
    assert "max" not in option["yAxis"][0]
    assert option["yAxis"][1]["max"] == 9.0
    levels = [one for one in option["series"] if "markLine" in one and one["data"]]
    assert [(one["name"], one["yAxisIndex"], one["itemStyle"]["color"]) for one in levels] == [
        ("limit", 0, "var(--bad)"), ("1", 0, "var(--bad)"), ("2", 1, "var(--bad)"),
    ]  # fmt: skip
    corners = levels[0]["markArea"]["data"][0]
    assert (corners[0]["yAxis"], "yAxis" in corners[1]) == (5.0, False)
    assert [point[1] for point in levels[1]["data"]] == [1.0, 1.0, 3.0, 3.0]
    (moment,) = option["series"][2]["markLine"]["data"]
    assert (moment["xAxis"], moment["name"]) == (1767225600000.0, "deploy")


def test_gauges_without_ends_say_so():
    graph = plan({**METRIC, "view": "gauge"}, **WIDE)
    with pytest.raises(CannotDrawError, match="min and max"):
        drawing.option(graph, [Series("a")], time_range.latest("3h"))


def test_rows_of_log_queries_as_charts():
    rows = [{"level": "INFO", "n": "3"}, {"level": "<b>", "n": "4"}]
    chosen = time_range.latest("3h")
    bars = drawing.of_rows(rows, "bar", chosen)
    assert bars is not None
    assert bars["yAxis"]["data"] == ["INFO", "<b>"]
    assert drawing.of_rows(rows, "table", chosen) is None
    assert drawing.of_rows([{"n": "3"}], "bar", chosen) is None
    timed = drawing.of_rows(
        [{"bin(5m)": "2026-01-01 00:05:00.000", "n": "3"}], "timeSeries", chosen
    )
    assert timed is not None
    assert timed["series"][0]["data"] == [[1767225900000.0, 3.0]]


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"start": "-PT3H"}, {"range": "3h"}), ({"start": "-P7D"}, {"range": "1w"}), ({"start": "-PT2H"}, {"range": "3h"}),
        ({"start": "-P1M"}, {"range": "1w"}), ({"start": "2026-01-01T00:00:00Z"}, {"start": "2026-01-01T00:00:00Z"}),
        ({"start": "<script>"}, {}), ({"start": 5}, {}), ({"start": "-P"}, {}), ({}, {}),
    ],
)  # fmt: skip
def test_the_body_chooses_the_first_range(body: dict[str, Any], query: dict[str, str]):
    assert range_query(body, time_range.KEYS) == query


@pytest.mark.parametrize(
    ("values", "limit", "most"),
    [([5.0], 200.0, 250.0), ([0.01], 0.09, 0.1), ([300.0], 200.0, None), ([1.0], -1.0, None)],
)
def test_the_bad_side_of_a_limit_is_seen(values: list[float], limit: float, most: float | None):
    series = [Series("a", [(0, value) for value in values], "m1")]
    mark = Mark(at=limit, is_band=True)
    option = drawing.over_time(plan(METRIC, **WIDE), series, time_range.latest("3h"), [mark])
    assert option["yAxis"][0].get("max") == most


def test_the_space_between_the_ends_of_a_band_is_filled():
    band = {"expression": "ANOMALY_DETECTION_BAND(m1, 2)", "id": "ad1"}
    graph = plan({"metrics": [["A", "a", {"id": "m1"}], [band]]}, **WIDE)
    series = [
        Series("a", [(0, 3.0)], "m1"),
        Series("upper", [(0, 4.0), (1, None), (2, 5.0)], "ad1"),
        Series("lower", [(0, 1.0), (1, 1.0), (2, -2.0)], "ad1"),
    ]
    option = drawing.over_time(graph, series, time_range.latest("3h"))
    filled = [one for one in option["series"] if one.get("stack") == "band ad1"]
    assert [one["data"] for one in filled] == [[[0, 1.0], [2, -2.0]], [[0, 3.0], [2, 7.0]]]
    assert [one["itemStyle"]["color"] for one in option["series"][:3]] == [
        "var(--c1)",
        "var(--dim)",
        "var(--dim)",
    ]


PART = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(10**400), 10**400) | st.text(max_size=6)
    | st.sampled_from(["above", "below", "before", "right", "2026-01-01T00:00:00Z", "#abc", "hidden", 5, -3.5]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["value", "label", "fill", "color", "yAxis", "visible", "horizontal", "vertical", "left",
                         "right", "min", "max", "position"]),
        inner, max_size=5,
    ),
    max_leaves=14,
)  # fmt: skip


def keys(option: Any) -> set[str]:
    if isinstance(option, dict):
        return set(option) | {key for value in option.values() for key in keys(value)}
    return {key for value in option for key in keys(value)} if isinstance(option, list) else set()


@settings(max_examples=300, deadline=None)
@given(
    more=st.dictionaries(
        st.sampled_from(["annotations", "yAxis", "legend", "stacked", "sparkline"]), PART
    ),
    view=st.sampled_from(["timeSeries", "gauge", "bar", "pie"]),
)
def test_any_annotation_is_drawn_or_left_out(more: dict[str, Any], view: str):
    graph = plan({**METRIC, **more, "view": view}, **WIDE)
    series = [Series("<b>", [(0.0, 1.0), (1.0, None), (2.0, -4.0)], "m1", "#123456", is_right=True)]
    try:
        option = drawing.option(graph, series, time_range.latest("3h"))
    except CannotDrawError:
        return
    json.dumps(option, allow_nan=False)  # what is no number would stop the page
    assert not [key for key in keys(option) if not key.isalnum()]  # a key with a colon would be run
