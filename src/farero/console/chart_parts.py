"""What all charts have in common: colours, axes, legend, and the box that tells what is pointed at."""

from __future__ import annotations

from typing import Any

from farero.console.units import spaced

Json = dict[str, Any]

INK, DIM, LINE, CARD = "var(--ink)", "var(--dim)", "var(--line)", "var(--card)"


def base() -> Json:
    """Return what every chart begins with."""
    return {"animation": False, "textStyle": {"fontFamily": "system-ui, sans-serif", "color": INK}}


def legend() -> Json:
    """Return how names of series look."""
    return {
        "type": "scroll", "icon": "roundRect", "itemWidth": 10, "itemHeight": 10, "textStyle": {"color": DIM},
        "pageTextStyle": {"color": DIM}, "pageIconColor": DIM, "pageIconInactiveColor": LINE,
    }  # fmt: skip


def tooltip(trigger: str) -> Json:
    """Return how what is pointed at is told; trigger: "axis" or "item"."""
    return {
        "trigger": trigger, "renderMode": "richText", "backgroundColor": CARD, "borderColor": LINE, "borderWidth": 1,
        "confine": True, "shadowBlur": 0, "shadowColor": "transparent", "textStyle": {"color": INK, "fontSize": 12},
        "axisPointer": {"type": "line", "lineStyle": {"color": DIM, "type": "dashed"}},
    }  # fmt: skip


def axis_look() -> Json:
    """Return how an axis looks."""
    return {
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisTick": {"show": False},
        "axisLabel": {"color": DIM},
        "splitLine": {"show": False},
    }


def value_axis(sign: str) -> Json:
    """Return an axis of values; sign: their unit, or ""."""
    return {
        "type": "value",
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "splitNumber": 4,
        "minInterval": 0,
        "axisLabel": {"color": DIM, "formatter": "{value}" + spaced(sign)},
        "splitLine": {"lineStyle": {"color": LINE}},
    }
