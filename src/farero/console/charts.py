"""Charts: what ECharts is told, made without a browser, and the element that draws it.

Colours are the style sheet's own variables, so a chart follows light and dark by itself; it is drawn as SVG. What a
tooltip tells is drawn, too: no text of ours or anybody's is ever read as HTML. Keys are ours alone, because NiceGUI
takes a key that begins with a colon for a program.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from farero.console import chart_parts, units
from farero.console.chart_parts import CARD, DIM, INK, LINE
from farero.console.units import number, rounded, spaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nicegui import ui

Json = dict[str, Any]
Point = tuple[float, float | None]

PALETTE = [f"var(--c{number})" for number in range(1, 9)]
#: Colours of states, as of pills.
STATES = {
    "OK": "var(--ok)", "ALARM": "var(--bad)", "INSUFFICIENT_DATA": "var(--dim)", "InService": "var(--ok)",
    "Failed": "var(--bad)", "deploy": "var(--busy)",
}  # fmt: skip
_AXIS_TIME = {
    "year": "{yyyy}", "month": "{yyyy}-{MM}", "day": "{MM}-{dd}", "hour": "{HH}:{mm}", "minute": "{HH}:{mm}",
    "second": "{HH}:{mm}:{ss}", "millisecond": "{HH}:{mm}:{ss}", "none": "{yyyy}-{MM}-{dd} {HH}:{mm}:{ss}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """One line: points are (milliseconds since 1970, value), oldest first; no value breaks the line."""

    name: str
    points: list[Point] = field(default_factory=list[Point])
    #: Of the query that it answers.
    id: str = ""
    #: "#rrggbb" or a variable of the style sheet; "": the next of the palette.
    colour: str = ""
    is_right: bool = False

    @property
    def last(self) -> float | None:
        """The newest value."""
        return next((value for _, value in reversed(self.points) if value is not None), None)

    @property
    def values(self) -> list[float]:
        """The values there are."""
        return [value for _, value in self.points if value is not None]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level to compare with; fill: "above" or "below" shades that side."""

    value: float
    label: str = ""
    colour: str = "var(--bad)"
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time, shaded; one that ends where it starts is a line."""

    start: float
    end: float
    label: str = ""
    colour: str = "var(--dim)"


def lines(  # noqa: PLR0913 - all but the first are options of a chart
    series: Sequence[Series],
    *,
    unit: str = "",
    start: float | None = None,
    end: float | None = None,
    thresholds: Iterable[Threshold] = (),
    bands: Iterable[Band] = (),
    stacked: bool = False,
) -> Json:
    """Return the chart of series over time; unit: CloudWatch's name of it or a sign; start, end: milliseconds."""
    return _over_time(
        "line", series, unit, span=(start, end), thresholds=thresholds, bands=bands, stacked=stacked
    )


def columns(  # noqa: PLR0913 - as lines
    series: Sequence[Series],
    *,
    unit: str = "",
    start: float | None = None,
    end: float | None = None,
    thresholds: Iterable[Threshold] = (),
    bands: Iterable[Band] = (),
    stacked: bool = True,
) -> Json:
    """Return columns over time, for what is counted."""
    return _over_time(
        "bar", series, unit, span=(start, end), thresholds=thresholds, bands=bands, stacked=stacked
    )


def bars(series: Sequence[Series], *, unit: str = "") -> Json:
    """Return a horizontal bar for each series' newest value."""
    shown, sign = _scaled(series, unit)
    data = [
        {"value": rounded(one.last), "itemStyle": {"color": _colour(one, place)}}
        for place, one in enumerate(shown)
    ]
    names = [one.name for one in shown]
    return {
        **chart_parts.base(),
        "grid": {"left": 8, "right": 24, "top": 8, "bottom": 8, "containLabel": True},
        "tooltip": chart_parts.tooltip("item"),
        "xAxis": chart_parts.value_axis(sign),
        "yAxis": {"type": "category", "data": names, "inverse": True, **chart_parts.axis_look()},
        "series": [
            {"type": "bar", "data": data, "barMaxWidth": 26, "emphasis": {"disabled": True}}
        ],
    }


def pie(series: Sequence[Series], *, unit: str = "") -> Json:
    """Return each series' share by its newest value."""
    shown, _ = _scaled(series, unit)
    data = [
        {"name": one.name, "value": rounded(max(one.last or 0, 0)), "itemStyle": {"color": _colour(one, place)}}
        for place, one in enumerate(shown)
    ]  # fmt: skip
    return {
        **chart_parts.base(),
        "tooltip": chart_parts.tooltip("item"),
        "legend": {**chart_parts.legend(), "bottom": 0},
        "series": [
            {
                "type": "pie",
                "radius": ["48%", "72%"],
                "center": ["50%", "45%"],
                "data": data,
                "label": {"color": INK},
                "itemStyle": {"borderColor": CARD, "borderWidth": 2},
                "emphasis": {"disabled": True},
            }
        ],
    }


def gauge(
    series: Sequence[Series], *, unit: str = "", least: float = 0.0, most: float = 100.0
) -> Json:
    """Return a gauge for each series' newest value, side by side."""
    sign = units.sign(unit)
    count = max(len(series), 1)
    dials = [
        {
            "type": "gauge",
            "min": least,
            "max": most if most > least else least + 1,
            "center": [f"{(place + 0.5) / count:.0%}", "62%"],
            "radius": f"{min(85, 150 // count)}%",
            "startAngle": 200,
            "endAngle": -20,
            "progress": {"show": True, "width": 12, "itemStyle": {"color": _colour(one, place)}},
            "axisLine": {"lineStyle": {"width": 12, "color": [[1, LINE]]}},
            "pointer": {"show": False},
            "axisTick": {"show": False},
            "splitLine": {"show": False},
            "axisLabel": {"show": False},
            "title": {"color": DIM, "offsetCenter": [0, "38%"], "fontSize": 12},
            "detail": {"color": INK, "offsetCenter": [0, "0%"], "fontSize": 24,
                       "formatter": "{value}" + (f" {sign}" if sign else "")},
            "data": [{"value": rounded(one.last), "name": one.name}],
        }
        for place, one in enumerate(series)
    ]  # fmt: skip
    return {**chart_parts.base(), "series": dials}


def spark(points: Sequence[Point], start: float, end: float, *, is_bar: bool = False) -> str:
    """Return an SVG path, 100 wide and 24 high, of points between two times; zero is at the bottom."""
    known = [(at, value) for at, value in points if value is not None]
    most = max((value for _, value in known), default=0) or 1
    wide = max(end - start, 1)
    parts: list[str] = []
    pen_up = True
    for at, value in points:
        if value is None:
            pen_up = True
            continue
        x = round(100 * min(max(at - start, 0), wide) / wide, 1)
        y = round(23 - 22 * max(value, 0) / most, 1)
        if is_bar:
            parts.append(f"M{x:g} 24V{y:g}")
        else:
            parts.append(f"{'M' if pen_up else 'L'}{x:g} {y:g}")
            if pen_up:
                parts.append("h.1")  # a lone point is seen, too
        pen_up = False
    return "".join(parts)


def told(series: Sequence[Series], unit: str = "") -> str:
    """Return in words what a chart shows, for who does not see it."""
    shown, sign = _scaled(series, unit)
    parts = [
        f"{one.name}: {number(one.last)}{spaced(sign)} (≥ {number(min(one.values))}, ≤ {number(max(one.values))})"
        for one in shown
        if one.values
    ]
    return "; ".join(parts[:12])


def chart(option: Json, label: str, height: str = "16rem") -> ui.element:
    """Draw a chart; label: what it shows, in words."""
    from nicegui import ui

    made: Any = ui.echart(option, renderer="svg")
    made.classes("f-chart").style(f"height:{height}")
    made.props["role"] = "img"
    made.props["aria-label"] = label
    return made


def redraw(made: ui.element, option: Json, label: str) -> None:
    """Show something else in a chart that is there, without making it anew."""
    drawn: Any = made
    if drawn.options == option:
        return
    drawn.options.clear()
    drawn.options.update(option)
    drawn.props["aria-label"] = label
    drawn.update()


def _over_time(  # noqa: PLR0913 - as lines
    kind: str,
    series: Sequence[Series],
    unit: str,
    *,
    span: tuple[float | None, float | None],
    thresholds: Iterable[Threshold],
    bands: Iterable[Band],
    stacked: bool,
) -> Json:
    shown, sign = _scaled(series, unit)
    factor, _ = _size(series, unit)
    drawn = [_drawn(kind, one, place, stacked) for place, one in enumerate(shown)]
    marks = _marks(thresholds, bands, factor)
    if marks:
        drawn.append({"type": "line", "data": [], "silent": True, **marks})
    has_right = any(one.is_right for one in shown)
    time_axis: Json = {
        "type": "time",
        **chart_parts.axis_look(),
        "axisLabel": {
            "color": DIM,
            "fontSize": 12,
            "formatter": dict(_AXIS_TIME),
            "hideOverlap": True,
        },
    }
    for key, at in zip(("min", "max"), span, strict=True):
        if at is not None:
            time_axis[key] = at
    legend = {**chart_parts.legend(), "top": 0, "left": 0, "data": [one.name for one in shown]}
    return {
        **chart_parts.base(),
        "grid": {"left": 4, "right": 14 if has_right else 20, "top": 40, "bottom": 4, "containLabel": True},
        "legend": legend,
        "tooltip": chart_parts.tooltip("axis"),
        "xAxis": time_axis,
        "yAxis": [chart_parts.value_axis(sign), *([chart_parts.value_axis("")] if has_right else [])],
        "series": drawn,
    }  # fmt: skip


def _drawn(kind: str, one: Series, place: int, stacked: bool) -> Json:  # noqa: FBT001
    colour = _colour(one, place)
    made: Json = {
        "type": kind,
        "name": one.name,
        "data": [[at, rounded(value)] for at, value in one.points],
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
    }
    if one.is_right:
        made["yAxisIndex"] = 1
    if stacked:
        made["stack"] = "right" if one.is_right else "left"
    if kind == "line":
        lonely = len(one.values) < 3
        made |= {
            "lineStyle": {"color": colour, "width": 1.8},
            "showSymbol": lonely,
            "symbolSize": 5,
        }
        if stacked:
            made["areaStyle"] = {"color": colour, "opacity": 0.25}
    else:
        made["barMaxWidth"] = 14
    return made


def _marks(thresholds: Iterable[Threshold], bands: Iterable[Band], factor: float) -> Json:
    levels: list[Json] = []
    areas: list[list[Json]] = []
    for one in thresholds:
        value = rounded(one.value * factor)
        look = {"color": one.colour, "type": "dashed", "width": 1.4}
        levels.append({"yAxis": value, "name": one.label, "lineStyle": look})
        if one.fill in ("above", "below"):
            edge = {"yAxis": "max" if one.fill == "above" else "min"}
            areas.append(
                [{"yAxis": value, "itemStyle": {"color": one.colour, "opacity": 0.08}}, edge]
            )
    for band in bands:
        if band.end > band.start:
            look = {"color": band.colour, "opacity": 0.12}
            areas.append(
                [{"xAxis": band.start, "name": band.label, "itemStyle": look}, {"xAxis": band.end}]
            )
        else:
            look = {"color": band.colour, "type": "dotted", "width": 1.4}
            levels.append({"xAxis": band.start, "name": band.label, "lineStyle": look})
    found: Json = {}
    label = {"color": DIM, "formatter": "{b}", "position": "insideEndTop", "fontSize": 11}
    if levels:
        found["markLine"] = {"symbol": "none", "data": levels, "label": label, "animation": False}
    if areas:
        shown = {"color": DIM, "fontSize": 11, "position": "insideTop"}
        found["markArea"] = {"data": areas, "label": shown, "animation": False}
    return found


def _size(series: Sequence[Series], unit: str) -> tuple[float, str]:
    return units.size((value for one in series for value in one.values), unit)


def _scaled(series: Sequence[Series], unit: str) -> tuple[list[Series], str]:
    factor, sign = _size(series, unit)
    if factor == 1.0:
        return list(series), sign
    return [
        replace(one, points=[(at, None if v is None else v * factor) for at, v in one.points])
        for one in series
    ], sign


def _colour(one: Series, place: int) -> str:
    return one.colour or PALETTE[place % len(PALETTE)]
