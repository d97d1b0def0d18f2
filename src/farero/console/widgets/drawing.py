"""What ECharts is told of a metric widget: axes, annotations, views. Pure; the page puts it on the screen."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from farero.console import charts
from farero.console.charts import Band, Series
from farero.console.widgets.marks import Mark, horizontal, limits, moment, vertical
from farero.console.widgets.metrics import CannotDrawError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.time_range import Range
    from farero.console.widgets.metrics import Graph

Json = dict[str, Any]

_LABEL = {"color": charts.DIM, "formatter": "{b}", "position": "insideEndTop", "fontSize": 11}
_MOST_SERIES = 200
_UNSEEN: Json = {
    "type": "line", "lineStyle": {"opacity": 0}, "showSymbol": False, "silent": True, "tooltip": {"show": False},
}  # fmt: skip


def option(
    graph: Graph, series: Sequence[Series], chosen: Range, levels: Sequence[Mark] = ()
) -> Json:
    """Return the chart of a graph; levels: limits beside those of its annotations. Raises CannotDrawError."""
    shown = list(series[:_MOST_SERIES])
    match graph.view:
        case "bar":
            return _bars(shown)
        case "pie":
            return _pie(shown)
        case "gauge":
            ends = limits(graph.properties, "left")
            if not ends.keys() >= {"min", "max"} or ends["min"] >= ends["max"]:
                raise CannotDrawError("a gauge needs yAxis.left.min and max")
            return _gauge(shown, ends)
        case _:
            return over_time(graph, shown, chosen, levels)


def over_time(
    graph: Graph,
    series: Sequence[Series],
    chosen: Range,
    levels: Sequence[Mark] = (),
    bands: Sequence[Band] = (),
) -> Json:
    """Return a chart over time with the annotations of its properties, and other levels and bands."""
    properties = graph.properties
    start, end = chosen.start_ms, chosen.end_ms
    drawn = charts.lines(
        _dimmed(graph, series),
        start=start,
        end=end,
        bands=[*bands, *(_band(mark, start, end) for mark in vertical(properties))],
        stacked=properties.get("stacked") is True,
    )
    drawn["series"] += _filled(graph, series)
    for mark in [*horizontal(properties), *levels]:
        drawn["series"].append(_level(mark, start, end, len(drawn["yAxis"]) - 1))
    if properties.get("stacked") is not True:
        drawn["yAxis"][0] |= _headroom(series, levels)
    for place, side in enumerate(("left", "right")[: len(drawn["yAxis"])]):
        drawn["yAxis"][place] |= limits(properties, side)
        if "name" in drawn["yAxis"][place]:
            drawn["grid"]["top"] = 62
            drawn["yAxis"][place]["nameTextStyle"] = {"color": charts.DIM}
    legend = properties.get("legend")
    if isinstance(legend, dict) and legend.get("position") == "hidden":  # pyright: ignore[reportUnknownMemberType]
        drawn["legend"]["show"] = False
        drawn["grid"]["top"] = 12
    return drawn


def _bars(series: Sequence[Series]) -> Json:
    drawn = charts.bars(series)
    drawn["xAxis"]["splitNumber"] = 3
    drawn["xAxis"]["axisLabel"]["hideOverlap"] = True
    return drawn


def _pie(series: Sequence[Series]) -> Json:
    """Return a pie whose legend has the shares."""
    total = sum(max(one.last or 0.0, 0.0) for one in series)
    named = [
        replace(one, name=f"{one.name} {max(one.last or 0.0, 0.0) / total:.0%}") if total else one
        for one in series
    ]
    drawn = charts.pie(named)
    drawn["series"][0]["label"] = {"show": False}
    return drawn


def _gauge(series: Sequence[Series], ends: Json) -> Json:
    drawn = charts.gauge(series, least=ends["min"], most=ends["max"])
    for one in drawn["series"]:
        one["detail"]["fontSize"] = 18
    return drawn


def of_rows(rows: Sequence[dict[str, str]], view: str, chosen: Range) -> Json | None:
    """Return the chart of a log query's rows, or None if they are better told by a table.

    The first column that is no number names a row, the columns of numbers are drawn.
    """
    if view not in ("bar", "pie", "timeSeries") or not rows:
        return None
    names = list(rows[0])
    counted = [
        name for name in names if all(_figure(row.get(name, "")) is not None for row in rows)
    ]
    told = [name for name in names if name not in counted]
    if not counted or not told:
        return None
    if view == "timeSeries":
        series = [
            Series(
                name,
                sorted(
                    (at, _figure(row.get(name, "")))
                    for row in rows
                    if (at := moment(row.get(told[0], ""))) is not None
                ),
            )
            for name in counted
        ]
        drawn = charts.columns(series, start=chosen.start_ms, end=chosen.end_ms)
        return drawn if any(one.points for one in series) else None
    series = [
        Series(" ".join(row.get(name, "") for name in told)[:80], [(0, _figure(row[counted[0]]))])
        for row in rows[:50]
    ]
    return _bars(series) if view == "bar" else _pie(series)


def _figure(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _headroom(series: Sequence[Series], levels: Sequence[Mark]) -> Json:
    """Return an end for the axis if a level is the highest of all, so that the side above it is seen."""
    top = max((mark.at for mark in levels if mark.is_band and mark.at is not None), default=0.0)
    if top <= 0 or any(value > top for one in series for value in one.values):
        return {}
    size = 10.0 ** math.floor(math.log10(top))
    steps = (step * size for step in (1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12))
    return {"max": next(step for step in steps if step >= top * 1.1)}


def _dimmed(graph: Graph, series: Sequence[Series]) -> list[Series]:
    """Return the series; the ends of a band are dim."""
    bands = _bands_of(graph)
    return [
        replace(one, colour=charts.DIM) if one.id in bands and not one.colour else one
        for one in series
    ]


def _bands_of(graph: Graph) -> set[str]:
    return {q["Id"] for q in graph.queries if "ANOMALY_DETECTION_BAND" in q.get("Expression", "")}


def _filled(graph: Graph, series: Sequence[Series]) -> list[Json]:
    """Return what fills the space between the two ends of each band: a line, and a stack upon it."""
    found: list[Json] = []
    for id_ in sorted(_bands_of(graph)):
        ends = [dict(one.points) for one in series if one.id == id_]
        if len(ends) != 2:
            continue
        lower: list[list[float]] = []
        height: list[list[float]] = []
        for at, one in ends[0].items():
            other = ends[1].get(at)
            if one is not None and other is not None:
                lower.append([at, min(one, other)])
                height.append([at, abs(one - other)])
        for data, opacity in ((lower, 0.0), (height, 0.14)):
            found.append(
                {
                    **_UNSEEN,
                    "data": data,
                    "stack": f"band {id_}",
                    "stackStrategy": "all",
                    "areaStyle": {"color": charts.DIM, "opacity": opacity},
                }
            )
    return found


def _band(mark: Mark, start: float, end: float) -> Band:
    colour = mark.colour or charts.DIM
    if not mark.is_band:
        return Band(mark.at or start, mark.at or start, mark.label, colour)
    return Band(
        start if mark.at is None else mark.at, end if mark.to is None else mark.to, mark.label, colour
    )  # fmt: skip


def _level(mark: Mark, start: float, end: float, most_axis: int) -> Json:
    """A level is a line of its own, so that the axis reaches it."""
    colour = mark.colour or "var(--bad)"
    values = [value for value in (mark.at, mark.to) if value is not None]
    lines = [{"yAxis": value, "name": mark.label if value == values[0] else ""} for value in values]
    made: Json = {
        **_UNSEEN,
        "name": mark.label or charts.number(values[0]),
        "data": [[at, value] for value in values for at in (start, end)],
        "itemStyle": {"color": colour},
        "yAxisIndex": most_axis if mark.is_right else 0,
        "markLine": {
            "symbol": "none",
            "data": lines,
            "label": _LABEL,
            "animation": False,
            "lineStyle": {"color": colour, "type": "dashed", "width": 1.4},
        },
    }
    if mark.is_band:
        look = {"color": colour, "opacity": 0.08}
        corners: list[Json] = [{"xAxis": start, "itemStyle": look}, {"xAxis": end}]
        for corner, value in zip(corners, (mark.at, mark.to), strict=True):
            if value is not None:  # without it, the corner is the edge of the graph
                corner["yAxis"] = value
        made["markArea"] = {
            "data": [corners],
            "animation": False,
        }
    return made
