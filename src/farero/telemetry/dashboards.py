"""Dashboards: what is wrong with a body, and the metric queries behind a widget. No database, no clock.

`expand_widget(properties)` writes the shortcuts of a metrics array out: `"."` repeats what stands at the same place in
the row above, `"..."` fills in what the row above has before the values that follow.
"""

from __future__ import annotations

import json
from typing import Any, TypeGuard

Json = dict[str, Any]

MOST_WIDGETS = 500
MOST_METRICS_OF_A_WIDGET = 500
MOST_METRICS = 2500
GRID_WIDTH = 24
MOST_HEIGHT = 1000
TYPES = ("metric", "text", "log", "alarm", "explorer", "custom")
VIEWS = ("timeSeries", "singleValue", "gauge", "bar", "pie", "table")
DEFAULT_STATISTIC = "Average"
DEFAULT_PERIOD = 300


class NoJsonError(ValueError):
    """The body is no JSON object."""


def parse(body: str) -> Json:
    """Return the body as a dict; raises NoJsonError if it is no JSON object."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise NoJsonError from None
    if not _is_object(parsed):
        raise NoJsonError
    return parsed


def expand_widget(properties: Json) -> list[Json]:
    """Return the MetricDataQueries of a metric widget, each with an Id, ready for GetMetricData.

    Hidden rows (`"visible": false`) get ReturnData False. A row's own stat and period win over the widget's.
    """
    queries: list[Json] = []
    taken = {row[-1]["id"] for row in _rows(properties) if _is_object(row[-1]) and "id" in row[-1]}
    above: list[str] = []
    for index, row in enumerate(_rows(properties), start=1):
        options: Json = row[-1] if _is_object(row[-1]) else {}
        words = [str(word) for word in row if not _is_object(word)]
        query: Json = {"Id": options.get("id") or _free(f"m{index}", taken)}
        if "label" in options:
            query["Label"] = str(options["label"])
        query["ReturnData"] = options.get("visible", True) is not False
        period = int(options.get("period") or properties.get("period") or DEFAULT_PERIOD)
        if "expression" in options:
            query["Expression"] = str(options["expression"])
            query["Period"] = period
        else:
            above = write_out(words, above)
            query["MetricStat"] = {
                "Metric": {
                    "Namespace": above[0],
                    "MetricName": above[1],
                    "Dimensions": [
                        {"Name": name, "Value": value}
                        for name, value in zip(above[2::2], above[3::2], strict=True)
                    ],
                },
                "Period": period,
                "Stat": str(options.get("stat") or properties.get("stat") or DEFAULT_STATISTIC),
            }
        queries.append(query)
    return queries


def write_out(words: list[str], above: list[str]) -> list[str]:
    """Return a row without its shortcuts; raises ValueError if it says nothing."""
    if "..." in words:
        at = words.index("...")
        rest = words[at + 1 :]
        kept = len(above) - len(rest)
        if kept < at:
            raise ValueError("'...' stands where the row above is too short")
        words = [*words[:at], *above[at:kept], *rest]
    full: list[str] = []
    for place, word in enumerate(words):
        if word == ".":
            if place >= len(above):
                raise ValueError("'.' stands where the row above has nothing")
            full.append(above[place])
        else:
            full.append(word)
    if len(full) < 2 or len(full) % 2:
        raise ValueError("a metric is a namespace, a name, and pairs of dimension name and value")
    return full


def problems(body: Json) -> list[tuple[str, str]]:
    """Return (DataPath, Message) of everything that is wrong with a body, in AWS's words."""
    found: list[tuple[str, str]] = []
    if "widgets" not in body:
        return [("/", "The dashboard body is invalid, there are no widgets.")]
    widgets = body["widgets"]
    if not _is_array(widgets):
        return [("/widgets", "Should be an array")]
    if len(widgets) > MOST_WIDGETS:
        found.append(("/widgets", f"Should NOT have more than {MOST_WIDGETS} items"))
    if body.get("periodOverride", "auto") not in ("auto", "inherit"):
        found.append(("/periodOverride", "Should be equal to one of the allowed values"))
    total = 0
    for index, widget in enumerate(widgets):
        path = f"/widgets/{index}"
        if not _is_object(widget):
            found.append((path, "Should be an object"))
            continue
        found += _widget_problems(path, widget)
        total += len(_rows(widget.get("properties", {})))
    if total > MOST_METRICS:
        found.append(("/widgets", f"The dashboard has more than {MOST_METRICS} metrics"))
    return found


def _widget_problems(path: str, widget: Json) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for member, least, most in (
        ("x", 0, GRID_WIDTH - 1),
        ("y", 0, None),
        ("width", 1, GRID_WIDTH),
        ("height", 1, MOST_HEIGHT),
    ):
        if member in widget:
            found += _number_problems(f"{path}/{member}", widget[member], least, most)
    if ("x" in widget) != ("y" in widget):
        found.append((path, "Should have both x and y, or neither"))
    kind = widget.get("type")
    if kind is None:
        return [*found, (path, "Should have required property 'type'")]
    if kind not in TYPES:
        return [*found, (f"{path}/type", "Should be equal to one of the allowed values")]
    properties = widget.get("properties")
    if properties is None:
        return [*found, (path, "Should have required property 'properties'")]
    if not _is_object(properties):
        return [*found, (f"{path}/properties", "Should be an object")]
    path = f"{path}/properties"
    required = {"text": "markdown", "log": "query", "alarm": "alarms"}.get(kind)
    if required and required not in properties:
        found.append((path, f"Should have required property '{required}'"))
    if kind == "alarm" and not _is_array(properties.get("alarms", [])):
        found.append((f"{path}/alarms", "Should be an array"))
    if kind == "metric":
        found += _metric_problems(path, properties)
    return found


def _metric_problems(path: str, properties: Json) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    alarms = properties.get("annotations", {})
    has_alarms = _is_object(alarms) and bool(alarms.get("alarms"))
    if "metrics" not in properties and not has_alarms:
        return [(path, "Should have required property 'metrics'")]
    if "view" in properties and properties["view"] not in VIEWS:
        found.append((f"{path}/view", "Should be equal to one of the allowed values"))
    period = properties.get("period", 60)
    if not _is_number(period) or period < 1 or (period not in (1, 5, 10, 20, 30) and period % 60):
        found.append((f"{path}/period", "Should be 1, 5, 10, 20, 30 or a multiple of 60"))
    metrics = properties.get("metrics", [])
    if not _is_array(metrics):
        return [*found, (f"{path}/metrics", "Should be an array")]
    if len(metrics) > MOST_METRICS_OF_A_WIDGET:
        found.append(
            (f"{path}/metrics", f"Should NOT have more than {MOST_METRICS_OF_A_WIDGET} items")
        )
    above: list[str] = []
    for index, row in enumerate(metrics):
        at = f"{path}/metrics/{index}"
        if not _is_array(row) or not row:
            found.append((at, "Should be an array of at least one item"))
            continue
        if _is_object(row[-1]) and "expression" in row[-1]:
            continue
        words = [word for word in row if not _is_object(word)]
        if not all(isinstance(word, str) for word in words):
            found.append((at, "Should be string"))
            continue
        try:
            above = write_out(words, above)
        except ValueError as error:
            found.append((at, f"Invalid metric field: {error}"))
    return found


def _number_problems(
    path: str, value: object, least: int, most: int | None
) -> list[tuple[str, str]]:
    if not _is_number(value):
        return [(path, "Should be number")]
    if value < least:
        return [(path, f"Should be >= {least}")]
    if most is not None and value > most:
        return [(path, f"Should be <= {most}")]
    return []


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rows(properties: object) -> list[list[Any]]:
    metrics: object = properties.get("metrics") if _is_object(properties) else None
    return [row for row in metrics if _is_array(row) and row] if _is_array(metrics) else []


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
