"""Log groups and their streams: made, listed, removed; retention and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.logs.names import (
    SEQUENCE_TOKEN,
    checked,
    group_name,
    name_in_arn,
    read_offset,
    unwrap,
    violation,
    wrap,
)
from farero.base.arns import log_group_arn
from farero.base.errors import Invalid

if TYPE_CHECKING:
    from farero.aws.services.logs.names import Value
    from farero.base.context import Context
    from farero.records.telemetry import LogGroup, LogStream
    from farero.telemetry.filter_apply import MetricFilters
    from farero.telemetry.logs import Logs


class Groups:
    """Operations on groups and streams."""

    def __init__(self, logs: Logs, filters: MetricFilters) -> None:
        self._logs = logs
        self._filters = filters

    def create_log_group(self, ctx: Context, req: Value) -> Value:
        """Add an empty group."""
        _ = ctx
        name = checked(req["logGroupName"])
        self._logs.create_group(name, req.get("tags", {}))
        return {}

    def delete_log_group(self, ctx: Context, req: Value) -> Value:
        """Remove a group and all that is in it."""
        _ = ctx
        self._logs.delete_group(req["logGroupName"])
        return {}

    def create_log_stream(self, ctx: Context, req: Value) -> Value:
        """Add an empty stream."""
        _ = ctx
        name = req["logStreamName"]
        if ":" in name or "*" in name:
            raise Invalid(violation(name, "logStreamName", "[^:*]*"))
        self._logs.create_stream(req["logGroupName"], name)
        return {}

    def delete_log_stream(self, ctx: Context, req: Value) -> Value:
        """Remove a stream and its events."""
        _ = ctx
        self._logs.delete_stream(req["logGroupName"], req["logStreamName"])
        return {}

    def describe_log_groups(self, ctx: Context, req: Value) -> Value:
        """List groups by name."""
        prefix, pattern = req.get("logGroupNamePrefix", ""), req.get("logGroupNamePattern", "")
        if prefix and pattern:
            raise Invalid(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        limit: int = req.get("limit", 50)
        after = unwrap(req["nextToken"]) if "nextToken" in req else ""
        found = self._logs.groups(prefix=prefix, contains=pattern, after=after, limit=limit + 1)
        counts = self._filters.counts(found)
        answer: Value = {
            "logGroups": [_group(ctx, group, counts.get(group.id, 0)) for group in found[:limit]]
        }
        if len(found) > limit:
            answer["nextToken"] = wrap(found[limit - 1].name)
        return answer

    def describe_log_streams(self, ctx: Context, req: Value) -> Value:
        """List streams by name or by their last event; the last page has no token."""
        by_time = req.get("orderBy") == "LastEventTime"
        prefix = req.get("logStreamNamePrefix", "")
        if by_time and prefix:
            raise Invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        limit: int = req.get("limit", 50)
        offset = read_offset(req["nextToken"]) if "nextToken" in req else 0
        name = group_name(req)
        found = self._logs.streams(
            name,
            prefix=prefix,
            by_time=by_time,
            descending=req.get("descending", False),
            offset=offset,
            limit=limit + 1,
        )
        answer: Value = {"logStreams": [_stream(ctx, name, stream) for stream in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = wrap(str(offset + limit))
        return answer

    def put_retention_policy(self, ctx: Context, req: Value) -> Value:
        """Keep the group's events for a number of days."""
        _ = ctx
        self._logs.set_retention(req["logGroupName"], req["retentionInDays"])
        return {}

    def delete_retention_policy(self, ctx: Context, req: Value) -> Value:
        """Keep the group's events for ever."""
        _ = ctx
        self._logs.set_retention(req["logGroupName"], None)
        return {}

    def tag_resource(self, ctx: Context, req: Value) -> Value:
        """Add or replace tags of a group, named by ARN."""
        _ = ctx
        name = name_in_arn(req["resourceArn"])
        self._logs.change_tags(name, lambda tags: tags | req["tags"])
        return {}

    def untag_resource(self, ctx: Context, req: Value) -> Value:
        """Remove tags of a group, named by ARN."""
        _ = ctx
        gone = set(req["tagKeys"])
        self._logs.change_tags(
            name_in_arn(req["resourceArn"]),
            lambda tags: {key: value for key, value in tags.items() if key not in gone},
        )
        return {}

    def list_tags_for_resource(self, ctx: Context, req: Value) -> Value:
        """Return the tags of a group, named by ARN."""
        _ = ctx
        return {"tags": self._logs.group(name_in_arn(req["resourceArn"])).tags}

    def tag_log_group(self, ctx: Context, req: Value) -> Value:
        """Add or replace tags of a group."""
        _ = ctx
        self._logs.change_tags(req["logGroupName"], lambda tags: tags | req["tags"])
        return {}

    def untag_log_group(self, ctx: Context, req: Value) -> Value:
        """Remove tags of a group."""
        _ = ctx
        gone = set(req["tags"])
        self._logs.change_tags(
            req["logGroupName"],
            lambda tags: {key: value for key, value in tags.items() if key not in gone},
        )
        return {}

    def list_tags_log_group(self, ctx: Context, req: Value) -> Value:
        """Return the tags of a group."""
        _ = ctx
        return {"tags": self._logs.group(req["logGroupName"]).tags}


def _group(ctx: Context, group: LogGroup, filters: int) -> Value:
    arn = log_group_arn(ctx.region, ctx.account, group.name)
    answer: Value = {
        "logGroupName": group.name,
        "creationTime": int(group.created_at.timestamp() * 1000),
        "metricFilterCount": filters,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
        "storedBytes": max(0, group.stored_bytes),
    }
    if group.retention_days is not None:
        answer["retentionInDays"] = group.retention_days
    return answer


def _stream(ctx: Context, group_name: str, stream: LogStream) -> Value:
    arn = log_group_arn(ctx.region, ctx.account, group_name)
    answer: Value = {
        "logStreamName": stream.name,
        "creationTime": int(stream.created_at.timestamp() * 1000),
        "arn": f"{arn}:log-stream:{stream.name}",
        # "As of June 17, 2019, this parameter is no longer supported for log streams, and is always reported as zero."
        "storedBytes": 0,
    }
    if stream.first_event_ms is not None:
        answer |= {
            "firstEventTimestamp": stream.first_event_ms,
            "lastEventTimestamp": stream.last_event_ms,
            "lastIngestionTime": stream.last_ingested_ms,
            "uploadSequenceToken": SEQUENCE_TOKEN,
        }
    return answer
