"""Ask CloudWatch for what widgets show: metrics of many widgets at once, log queries one by one."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from farero.console.data import UnavailableError
from farero.console.widgets.metrics import CannotDrawError, Graph, Line, calls

if TYPE_CHECKING:
    from farero.console.data import Cloud
    from farero.console.widgets.metrics import Json

#: A call's answer is read to this many pages; more points nobody can see.
_MOST_PAGES = 20
_SOURCE = re.compile(
    r"\s*SOURCE\s+((?:'[^']*'|\"[^\"]*\")(?:\s*,\s*(?:'[^']*'|\"[^\"]*\"))*)\s*\|?", re.IGNORECASE
)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_PATIENCE_S = 60.0
_MOST_ROWS = 500

#: What a graph got: its lines, or why there are none.
Got = dict[int, list[Line] | str]


async def lines(cloud: Cloud, graphs: dict[int, Graph], start: float, end: float) -> Got:
    """Return the lines of each graph, or why it has none; one graph's mistake costs the others nothing.

    start, end: seconds since 1970.
    """
    got: Got = {key: [] for key in graphs}
    planned = calls(graphs)
    answers = await asyncio.gather(
        *(_ask(cloud, queries, start, end) for queries, _ in planned), return_exceptions=True
    )
    for (_, names), answer in zip(planned, answers, strict=True):
        members = sorted({key for key, _ in names.values()})
        if isinstance(answer, UnavailableError):
            if len(members) > 1:  # whose mistake was it?
                for key in members:
                    got |= await lines(cloud, {key: graphs[key]}, start, end)
            else:
                got |= dict.fromkeys(members, str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            for line in answer:
                key, own = names.get(line.id, (-1, ""))
                found = got.get(key)
                if isinstance(found, list):
                    found.append(Line(own, line.label, line.points))
    return got


async def _ask(cloud: Cloud, queries: list[Json], start: float, end: float) -> list[Line]:
    points: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    token: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = await cloud.ask(
            "cloudwatch", "get_metric_data", MetricDataQueries=queries, ScanBy="TimestampAscending",
            StartTime=datetime.fromtimestamp(start, UTC), EndTime=datetime.fromtimestamp(end, UTC), **token,
        )  # fmt: skip
        seen: dict[str, int] = {}
        for result in answer["MetricDataResults"]:
            place = seen[result["Id"]] = seen.get(result["Id"], -1) + 1
            points.setdefault((result["Id"], result["Label"], place), []).extend(
                (at.timestamp() * 1000, float(value))
                for at, value in zip(result["Timestamps"], result["Values"], strict=True)
            )
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    return [Line(name, label, found) for (name, label, _), found in points.items()]


def sources(query: str) -> tuple[list[str], str]:
    """Return the log groups of a widget's query, and the query behind them; raises CannotDrawError."""
    groups: list[str] = []
    while found := _SOURCE.match(query):
        groups += [single or double for single, double in _QUOTED.findall(found[1])]
        query = query[found.end() :]
    if not groups:
        raise CannotDrawError("the query names no log group: SOURCE 'group' | …")
    return groups, query.strip()


async def log_rows(cloud: Cloud, query: str, start: float, end: float) -> list[dict[str, str]]:
    """Run a log widget's query and return its rows; raises CannotDrawError and UnavailableError."""
    groups, text = sources(query)
    asked = await cloud.do(
        "logs", "start_query", logGroupNames=groups, queryString=text,
        startTime=int(start), endTime=int(end), limit=_MOST_ROWS,
    )  # fmt: skip
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    status = "Scheduled"
    while asyncio.get_running_loop().time() < deadline:
        answer: Any = await cloud.ask("logs", "get_query_results", queryId=asked["queryId"])
        status = answer["status"]
        if status == "Complete":
            return [
                {cell["field"]: cell.get("value", "") for cell in row if cell["field"] != "@ptr"}
                for row in answer["results"]
            ]
        if status not in ("Scheduled", "Running"):
            break
        await asyncio.sleep(0.4)
    raise CannotDrawError(f"the query ended as {status}")
