"""Ask CloudWatch for what widgets show: metrics of many widgets at once, log queries one by one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from farero.console.data import UnavailableError
from farero.console.metrics import figures
from farero.console.widgets.metrics import CannotDrawError, Graph, calls

if TYPE_CHECKING:
    from farero.console.charts import Series
    from farero.console.data import Cloud
    from farero.console.time_range import Range

_SOURCE = re.compile(
    r"\s*SOURCE\s+((?:'[^']*'|\"[^\"]*\")(?:\s*,\s*(?:'[^']*'|\"[^\"]*\"))*)\s*\|?", re.IGNORECASE
)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_PATIENCE_S = 60.0
_MOST_ROWS = 500

#: What each graph got: its series, or why there are none.
Got = dict[int, "list[Series] | str"]


async def series(cloud: Cloud, graphs: dict[int, Graph], chosen: Range) -> Got:
    """Return the series of each graph, or why it has none; one graph's mistake costs the others nothing."""
    got: Got = {key: [] for key in graphs}
    planned = calls(graphs)
    answers = await asyncio.gather(
        *(figures(cloud, queries, chosen) for queries, _ in planned), return_exceptions=True
    )
    for (_, names), answer in zip(planned, answers, strict=True):
        members = sorted({key for key, _ in names.values()})
        if isinstance(answer, UnavailableError):
            if len(members) > 1:  # whose mistake was it?
                for key in members:
                    got |= await series(cloud, {key: graphs[key]}, chosen)
            else:
                got |= dict.fromkeys(members, str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            for one in answer:
                key, own = names.get(one.id, (-1, ""))
                found = got.get(key)
                if isinstance(found, list):
                    row = graphs[key].rows.get(own)
                    look = (row.colour, row.is_right) if row else ("", False)
                    found.append(replace(one, id=own, colour=look[0], is_right=look[1]))
    return got


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
