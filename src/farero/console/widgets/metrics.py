"""What metric widgets ask for: the queries of a page, in as few GetMetricData calls as can be.

Widgets without expressions share one call; the ids of the others stand in their expressions, so each has its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from farero.telemetry.dashboards import expand_widget

Json = dict[str, Any]

#: GetMetricData takes no more queries at once.
MOST_QUERIES = 500
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
#: The namespace and the dimensions that a SEARCH is about.
_SEARCHED = re.compile(r"^\s*SEARCH\s*\(\s*'\s*\{([^{}]{1,500})\}")
#: Views that show one figure of each metric.
FIGURES = ("singleValue", "gauge", "bar", "pie", "table")


class CannotDrawError(ValueError):
    """A widget cannot be drawn; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one row of a metrics array is drawn."""

    id: str
    colour: str = ""
    is_right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A metric widget, ready to ask and to draw."""

    view: str
    queries: list[Json]
    rows: dict[str, Row]
    properties: Json
    #: What is there and not obeyed, for the reader.
    notes: list[str] = field(default_factory=list[str])

    @property
    def needs_own_call(self) -> bool:
        """Whether its ids mean something, so that nothing else may stand beside them."""
        return any("Expression" in query for query in self.queries)


def plan(properties: Json, *, period: int, seconds: int, is_auto: bool) -> Graph:
    """Read a metric widget's properties; raises CannotDrawError.

    period: what fits the time range; seconds: how long that is; is_auto: no period may be finer than what fits.
    """
    try:
        queries = expand_widget(properties)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise CannotDrawError(str(error)[:300]) from error
    if not queries:
        raise CannotDrawError("no metrics")
    if len(queries) > MOST_QUERIES:
        raise CannotDrawError(f"more than {MOST_QUERIES} metrics")
    _name(queries)
    view = properties.get("view", "timeSeries")
    whole = view in FIGURES and properties.get("setPeriodToTimeRange") is True
    options: list[Json] = [
        row[-1] if _is_object(row[-1]) else {}
        for row in cast("list[list[Any]]", properties["metrics"])
        if isinstance(row, list) and row  # pyright: ignore[reportUnnecessaryIsInstance] - the body may be anybody's
    ]
    rows: dict[str, Row] = {}
    notes: list[str] = []
    for query, option in zip(queries, options, strict=True):
        if not isinstance(query["Id"], str) or query["Id"] in rows:
            raise CannotDrawError(f"the id {str(query['Id'])[:80]!r} is not unique")
        colour = option.get("color", "")
        rows[query["Id"]] = Row(
            id=query["Id"],
            colour=colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else "",
            is_right=option.get("yAxis") == "right",
        )
        for member in ("region", "accountId"):
            if member in option and member not in notes:
                notes.append(member)
        given = query.get("MetricStat", query)
        given["Period"] = _period(int(given["Period"]), period, seconds, is_auto, whole)
    return Graph(view=str(view), queries=queries, rows=rows, properties=properties, notes=notes)


def _name(queries: list[Json]) -> None:
    """Label what has no label by what sets it apart, as metric, dimensions and statistic do."""
    facts: dict[str, list[str]] = {}
    for query in queries:
        if "Label" in query:
            continue
        if "MetricStat" in query:
            metric = query["MetricStat"]["Metric"]
            values = [one["Value"] for one in metric["Dimensions"]]
            facts[str(query["Id"])] = [metric["MetricName"], *values, query["MetricStat"]["Stat"]]
        elif found := _SEARCHED.search(query["Expression"][:2000]):
            names = [name.strip(" '\"") for name in found[1].split(",")[1:]]
            query["Label"] = " ".join(["${LABEL}", *(f"${{PROP('Dim.{n}')}}" for n in names)])
    rows = list(facts.values())
    width = max((len(row) for row in rows), default=0)
    filled = [[*row[:-1], *[""] * (width - len(row)), row[-1]] for row in rows]
    differing = [at for at in range(width) if len({row[at] for row in filled}) > 1] or [0]
    for query in queries:
        if (id_ := str(query["Id"])) in facts:
            row = filled[list(facts).index(id_)]
            query["Label"] = " ".join(row[at] for at in differing if row[at]).replace("${", "$ {")


def calls(graphs: dict[int, Graph]) -> list[tuple[list[Json], dict[str, tuple[int, str]]]]:
    """Return the calls for the graphs of a page: the queries, and whose each id is (graph, id there)."""
    shared: list[Json] = []
    names: dict[str, tuple[int, str]] = {}
    found: list[tuple[list[Json], dict[str, tuple[int, str]]]] = []
    for key, graph in graphs.items():
        if graph.needs_own_call:
            own = {query["Id"]: (key, query["Id"]) for query in graph.queries}
            found.append((graph.queries, own))
            continue
        wanted = [query for query in graph.queries if query["ReturnData"]]
        if len(shared) + len(wanted) > MOST_QUERIES:
            found.append((shared, names))
            shared, names = [], {}
        for query in wanted:
            name = f"w{key}_{len(shared)}"
            shared.append({**query, "Id": name})
            names[name] = (key, query["Id"])
    return [call for call in [(shared, names), *found] if call[0]]


def _period(own: int, fitting: int, seconds: int, is_auto: bool, whole: bool) -> int:  # noqa: FBT001
    if own <= 0:
        raise CannotDrawError(f"period {own}")
    if whole:
        return max(60, -(-seconds // 60) * 60)
    if is_auto and fitting > own:
        return fitting
    return own


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)
