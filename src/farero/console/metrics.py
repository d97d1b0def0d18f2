"""Ask CloudWatch for the figures of a page: one GetMetricData for all of its charts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from farero.console.charts import Series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero.console.charts import Point
    from farero.console.data import Cloud
    from farero.console.time_range import Range

Json = dict[str, Any]

#: GetMetricData takes no more queries at once.
_MOST_QUERIES = 500
#: More pages of an answer hold points that nobody can see.
_MOST_PAGES = 20
#: A gap is wider than this many periods.
_GAP = 1.5


def stat(  # noqa: PLR0913 - a metric has as many parts
    id: str,  # noqa: A002 - CloudWatch's name
    metric: str,
    stat: str,
    dimensions: Mapping[str, str],
    *,
    namespace: str = "AWS/SageMaker",
    label: str = "",
) -> Json:
    """Return the query of one metric; its period is that of the range it is asked for."""
    return {
        "Id": id,
        "Label": label or metric,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Stat": stat,
        },
    }  # fmt: skip


async def figures(cloud: Cloud, queries: list[Json], range: Range) -> list[Series]:  # noqa: A002
    """Return a series for each result, in the queries' order; a gap breaks its line. Raises UnavailableError.

    Queries without a period get the range's.
    """
    asked = range.aligned()
    filled = [with_period(query, asked.period) for query in queries]
    parts = [filled[at : at + _MOST_QUERIES] for at in _steps(len(filled))]
    answers = await asyncio.gather(*(_ask(cloud, part, asked) for part in parts))
    return [
        Series(label, broken(points, period_of(part, id)), id)
        for part, answer in zip(parts, answers, strict=True)
        for (id, label, _), points in answer.items()  # noqa: A001
    ]


def with_period(query: Json, period: int) -> Json:
    """Return a query that has a period."""
    if "MetricStat" in query:
        given = query["MetricStat"]
        return {**query, "MetricStat": {**given, "Period": given.get("Period") or period}}
    return {**query, "Period": query.get("Period") or period}


def period_of(queries: Sequence[Json], id: str) -> int:  # noqa: A002
    """Return the period of the query with an id."""
    for query in queries:
        if query["Id"] == id:
            return int(query.get("MetricStat", query)["Period"])
    return 60


def broken(points: Sequence[tuple[float, float]], period: int) -> list[Point]:
    """Return points with nothing in their gaps, so that no line is drawn where nothing was measured."""
    found: list[Point] = []
    step = period * 1000
    for at, value in points:
        if found and at - found[-1][0] > _GAP * step:
            found.append((found[-1][0] + step, None))
        found.append((at, value))
    return found


def by_id(series: Sequence[Series]) -> dict[str, Series]:
    """Return series by their query's id."""
    return {one.id: one for one in series}


def _steps(count: int) -> range:
    return range(0, count, _MOST_QUERIES)


async def _ask(cloud: Cloud, queries: list[Json], asked: Range) -> dict[tuple[str, str, int], Any]:
    points: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    token: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = await cloud.ask(
            "cloudwatch", "get_metric_data", MetricDataQueries=queries, ScanBy="TimestampAscending",
            StartTime=asked.start, EndTime=asked.end, **token,
        )  # fmt: skip
        seen: dict[str, int] = {}
        for result in answer.get("MetricDataResults", []):
            place = seen[result["Id"]] = seen.get(result["Id"], -1) + 1
            points.setdefault((result["Id"], result["Label"], place), []).extend(
                (at.timestamp() * 1000, float(value))
                for at, value in zip(result["Timestamps"], result["Values"], strict=True)
            )
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    return points
