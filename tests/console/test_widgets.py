"""Dashboards' bodies, however odd, become widgets at places, queries and plain text."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.console.widgets import asking, figures, markdown
from farero.console.widgets.grid import place
from farero.console.widgets.markdown import Block, Span
from farero.console.widgets.metrics import CannotDrawError, Line, calls, plan

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


def test_figures_are_short():
    shown = [
        figures.short(value)
        for value in (None, 0, 12, 0.03125, 1234.5, 12345, 4.5e6, 7e-9, -2e4, float("nan"))
    ]
    assert shown == ["—", "0", "12", "0.03125", "1234", "12.35k", "4.5M", "7.00e-09", "-20k", "—"]
    assert figures.summary(Line("a", "a", [(0, 1.0), (1, 3.0)])) == ["3", "1", "2", "3", "4"]
    assert figures.last(Line("a", "a", [])) is None
