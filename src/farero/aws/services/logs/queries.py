"""Logs Insights: queries, their results, and queries kept under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.logs.names import name_in_arn, read_offset, unwrap, wrap
from farero.aws.wire.messages import AwsError
from farero.base.errors import Invalid
from farero.telemetry.insights.parsing import LIMIT_ROWS
from farero.telemetry.insights.syntax import Malformed

if TYPE_CHECKING:
    from farero.aws.services.logs.names import Value
    from farero.base.context import Context
    from farero.records.logs import LogQuery, QueryDefinition
    from farero.telemetry.insights.queries import Queries as Domain

#: Times are seconds; what is larger than this can only be milliseconds (year 5138).
_MOST_SECONDS = 100_000_000_000


class Queries:
    """Operations on queries."""

    def __init__(self, queries: Domain) -> None:
        self._queries = queries

    def start_query(self, ctx: Context, req: Value) -> Value:
        """Schedule a query."""
        _ = ctx
        if req.get("queryLanguage", "CWLI") != "CWLI":
            raise Invalid("The only query language here is CWLI (Logs Insights QL).")
        try:
            query_id = self._queries.start(
                req["queryString"],
                _groups(req),
                start_ms=_milliseconds(req["startTime"]),
                end_ms=_milliseconds(req["endTime"], is_end=True),
                limit=req.get("limit"),
            )
        except Malformed as error:
            place = {"startCharOffset": error.start, "endCharOffset": error.end}
            raise AwsError(
                "MalformedQueryException",
                str(error),
                members={"queryCompileError": {"location": place, "message": str(error)}},
            ) from error
        return {"queryId": query_id}

    def get_query_results(self, ctx: Context, req: Value) -> Value:
        """Return status, figures and rows of a query."""
        _ = ctx
        query = self._queries.get(req["queryId"])
        start = read_offset(req["nextToken"]) if "nextToken" in req else 0
        most: int = req.get("maxItems") or LIMIT_ROWS
        answer: Value = {
            "queryLanguage": "CWLI",
            "results": [
                [{"field": name, "value": text} for name, text in row]
                for row in query.rows[start : start + most]
            ],
            "statistics": {
                "recordsMatched": float(query.matched),
                "recordsScanned": float(query.scanned),
                "bytesScanned": float(query.scanned_bytes),
                "estimatedRecordsSkipped": 0.0,
                "estimatedBytesSkipped": 0.0,
                "logGroupsScanned": float(len(query.groups)),
                "resultCount": float(len(query.rows)),
            },
            "status": query.status,
        }
        if len(query.rows) > start + most:
            answer["nextToken"] = wrap(str(start + most))
        return answer

    def stop_query(self, ctx: Context, req: Value) -> Value:
        """Cancel a query that has not ended."""
        _ = ctx
        self._queries.stop(req["queryId"])
        return {"success": True}

    def describe_queries(self, ctx: Context, req: Value) -> Value:
        """List the queries of the last week, the newest first."""
        start = read_offset(req["nextToken"]) if "nextToken" in req else 0
        limit: int = req.get("maxResults", 1000)
        found = self._queries.list(
            group=req.get("logGroupName", ""),
            status=req.get("status", ""),
            offset=start,
            limit=limit + 1,
        )
        answer: Value = {"queries": [_query(ctx, query) for query in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = wrap(str(start + limit))
        return answer

    def get_log_record(self, ctx: Context, req: Value) -> Value:
        """Return all fields of the event that a row's @ptr names."""
        _ = ctx
        return {"logRecord": self._queries.record(req["logRecordPointer"])}

    def put_query_definition(self, ctx: Context, req: Value) -> Value:
        """Keep a query under a name."""
        _ = ctx
        made = self._queries.put_definition(
            req["name"],
            req["queryString"],
            req.get("logGroupNames", []),
            definition_id=req.get("queryDefinitionId", ""),
        )
        return {"queryDefinitionId": made}

    def describe_query_definitions(self, ctx: Context, req: Value) -> Value:
        """List kept queries by name."""
        _ = ctx
        limit: int = req.get("maxResults", 1000)
        found = self._queries.definitions(
            prefix=req.get("queryDefinitionNamePrefix", ""),
            after=unwrap(req["nextToken"]) if "nextToken" in req else "",
            limit=limit + 1,
        )
        answer: Value = {"queryDefinitions": [_definition(one) for one in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = wrap(found[limit - 1].name)
        return answer

    def delete_query_definition(self, ctx: Context, req: Value) -> Value:
        """Remove a kept query."""
        _ = ctx
        return {"success": self._queries.delete_definition(req["queryDefinitionId"])}


def _groups(req: Value) -> list[str]:
    given = [
        member
        for member in ("logGroupName", "logGroupNames", "logGroupIdentifiers")
        if member in req
    ]
    if len(given) > 1:
        raise Invalid(f"{' and '.join(given)} are mutually exclusive.")
    if not given:
        return []
    names: list[str] = [req[given[0]]] if given[0] == "logGroupName" else req[given[0]]
    return [name_in_arn(name) if name.startswith("arn:") else name for name in names]


def _milliseconds(time: int, *, is_end: bool = False) -> int:
    """Return a time in milliseconds; an end in seconds takes its whole second in."""
    if time > _MOST_SECONDS:
        return time
    return time * 1000 + 999 * is_end


def _query(ctx: Context, query: LogQuery) -> Value:
    now_ms = int(ctx.now.timestamp() * 1000)
    ended_ms = query.ended_ms or now_ms
    return {
        "queryLanguage": "CWLI",
        "queryId": query.id,
        "queryString": query.text,
        "status": query.status,
        "createTime": query.created_ms,
        "logGroupName": query.groups[0],
        "queryDuration": max(0, ended_ms - (query.started_ms or ended_ms)),
        "bytesScanned": float(query.scanned_bytes),
    }


def _definition(found: QueryDefinition) -> Value:
    return {
        "queryLanguage": "CWLI",
        "queryDefinitionId": found.id,
        "name": found.name,
        "queryString": found.text,
        "lastModified": found.changed_ms,
        "logGroupNames": list(found.groups),
    }
