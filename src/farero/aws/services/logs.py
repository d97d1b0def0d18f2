"""CloudWatch Logs: groups, streams, events, filter patterns, retention, tags."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, ClassVar

from farero.aws.wire.messages import AwsError
from farero.base.arns import log_group_arn
from farero.base.errors import Conflict, DomainError, Invalid, LimitExceeded, NotFound
from farero.records.telemetry import NewLogEvent, Position
from farero.telemetry.logs import PAGE_EVENTS, Search, Window

if TYPE_CHECKING:
    from typing import Any

    from farero.base.context import Context
    from farero.records.telemetry import LogEvent, LogGroup, LogStream
    from farero.telemetry.logs import Logs, Rejected

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_POSITION = re.compile(r"([fb])/(\d{20})(-\d{35}|\d{36})/s")
_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_SEQUENCE_TOKEN = "49590302526372820000000000000000000000000000000000000000"  # noqa: S105 - ignored since 2023


class CloudWatchLogs:
    """Operations of the service `logs`."""

    service = "logs"

    errors: ClassVar[dict[type[DomainError], tuple[str, int]]] = {
        NotFound: ("ResourceNotFoundException", 400),
        Conflict: ("ResourceAlreadyExistsException", 400),
        Invalid: ("InvalidParameterException", 400),
        LimitExceeded: ("LimitExceededException", 400),
    }

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def create_log_group(self, ctx: Context, req: Value) -> Value:
        """Add an empty group."""
        _ = ctx
        name = _checked(req["logGroupName"])
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
            raise Invalid(_violation(name, "logStreamName", "[^:*]*"))
        self._logs.create_stream(req["logGroupName"], name)
        return {}

    def delete_log_stream(self, ctx: Context, req: Value) -> Value:
        """Remove a stream and its events."""
        _ = ctx
        self._logs.delete_stream(req["logGroupName"], req["logStreamName"])
        return {}

    def put_log_events(self, ctx: Context, req: Value) -> Value:
        """Store a batch of events."""
        _ = ctx
        events = [
            NewLogEvent(timestamp_ms=event["timestamp"], message=event["message"])
            for event in req["logEvents"]
        ]
        rejected = self._logs.put_events(req["logGroupName"], req["logStreamName"], events)
        answer: Value = {"nextSequenceToken": _SEQUENCE_TOKEN}
        if info := _rejected_info(rejected):
            answer["rejectedLogEventsInfo"] = info
        return answer

    def get_log_events(self, ctx: Context, req: Value) -> Value:
        """Return one page of a stream; a token that comes back unchanged marks the end."""
        _ = ctx
        after = before = None
        if "nextToken" in req:
            direction, place = _read_position(req["nextToken"])
            after, before = (place, None) if direction == "f" else (None, place)
        window = Window(
            start_ms=req.get("startTime"),
            end_ms=req.get("endTime"),
            limit=req.get("limit", PAGE_EVENTS),
            after=after,
            before=before,
            newest_first=not req.get("startFromHead", False),
        )
        page = self._logs.read_page(_group_name(req), req["logStreamName"], window)
        return {
            "events": [
                {
                    "timestamp": event.timestamp_ms,
                    "message": event.message,
                    "ingestionTime": event.ingested_ms,
                }
                for event in page.events
            ],
            "nextForwardToken": _position_token("f", page.forward),
            "nextBackwardToken": _position_token("b", page.backward),
        }

    def filter_log_events(self, ctx: Context, req: Value) -> Value:
        """Return events of many streams that match a pattern."""
        _ = ctx
        if "logStreamNames" in req and "logStreamNamePrefix" in req:
            raise Invalid("LogStreamNamePrefix and LogStreamNames are mutually exclusive.")
        newest_first = not req.get("startFromHead", True)
        place = None
        if "nextToken" in req:
            direction, place = _read_position(_unwrap(req["nextToken"]))
            newest_first = direction == "b"
        window = Window(
            start_ms=req.get("startTime"),
            end_ms=req.get("endTime"),
            limit=req.get("limit", PAGE_EVENTS),
            after=None if newest_first else place,
            before=place if newest_first else None,
            newest_first=newest_first,
        )
        search = Search(
            pattern=req.get("filterPattern", ""),
            streams=req.get("logStreamNames", ()),
            stream_prefix=req.get("logStreamNamePrefix", ""),
            window=window,
        )
        page = self._logs.search(_group_name(req), search)
        answer: Value = {
            "events": [_filtered(event) for event in page.events],
            "searchedLogStreams": [],
        }
        if page.next is not None:
            answer["nextToken"] = _wrap(_position_token("b" if newest_first else "f", page.next))
        return answer

    def describe_log_groups(self, ctx: Context, req: Value) -> Value:
        """List groups by name."""
        prefix, pattern = req.get("logGroupNamePrefix", ""), req.get("logGroupNamePattern", "")
        if prefix and pattern:
            raise Invalid(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        limit: int = req.get("limit", 50)
        after = _unwrap(req["nextToken"]) if "nextToken" in req else ""
        found = self._logs.groups(prefix=prefix, contains=pattern, after=after, limit=limit + 1)
        answer: Value = {"logGroups": [_group(ctx, group) for group in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = _wrap(found[limit - 1].name)
        return answer

    def describe_log_streams(self, ctx: Context, req: Value) -> Value:
        """List streams by name or by their last event; the last page has no token."""
        by_time = req.get("orderBy") == "LastEventTime"
        prefix = req.get("logStreamNamePrefix", "")
        if by_time and prefix:
            raise Invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        limit: int = req.get("limit", 50)
        offset = _read_offset(req["nextToken"]) if "nextToken" in req else 0
        name = _group_name(req)
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
            answer["nextToken"] = _wrap(str(offset + limit))
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
        name = _name_in_arn(req["resourceArn"])
        self._logs.change_tags(name, lambda tags: tags | req["tags"])
        return {}

    def untag_resource(self, ctx: Context, req: Value) -> Value:
        """Remove tags of a group, named by ARN."""
        _ = ctx
        gone = set(req["tagKeys"])
        self._logs.change_tags(
            _name_in_arn(req["resourceArn"]),
            lambda tags: {key: value for key, value in tags.items() if key not in gone},
        )
        return {}

    def list_tags_for_resource(self, ctx: Context, req: Value) -> Value:
        """Return the tags of a group, named by ARN."""
        _ = ctx
        return {"tags": self._logs.group(_name_in_arn(req["resourceArn"])).tags}

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


def _group(ctx: Context, group: LogGroup) -> Value:
    arn = log_group_arn(ctx.region, ctx.account, group.name)
    answer: Value = {
        "logGroupName": group.name,
        "creationTime": int(group.created_at.timestamp() * 1000),
        "metricFilterCount": 0,
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
            "uploadSequenceToken": _SEQUENCE_TOKEN,
        }
    return answer


def _filtered(event: LogEvent) -> Value:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": f"{event.timestamp_ms:020d}{event.id:036d}",
    }


def _rejected_info(rejected: Rejected) -> Value:
    named = {
        "tooNewLogEventStartIndex": rejected.too_new_from,
        "tooOldLogEventEndIndex": rejected.too_old_to,
        "expiredLogEventEndIndex": rejected.expired_to,
    }
    return {name: index for name, index in named.items() if index is not None}


def _group_name(req: Value) -> str:
    """Return the group of a request that may name it or give its ARN."""
    if "logGroupIdentifier" in req:
        if "logGroupName" in req:
            raise Invalid("logGroupName and logGroupIdentifier are mutually exclusive.")
        identifier: str = req["logGroupIdentifier"]
        return _name_in_arn(identifier) if identifier.startswith("arn:") else identifier
    if "logGroupName" not in req:
        raise Invalid("Either logGroupName or logGroupIdentifier is required.")
    return req["logGroupName"]


def _name_in_arn(arn: str) -> str:
    head, found, name = arn.partition(":log-group:")
    if not found or not head.startswith("arn:"):
        raise AwsError("InvalidParameterException", f"Invalid ARN: {arn}")
    return name.removesuffix(":*")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid(_violation(name, "logGroupName", r"[\.\-_/#A-Za-z0-9]+"))
    return name


def _violation(value: str, member: str, pattern: str) -> str:
    return (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}"
    )


def _position_token(direction: str, place: Position) -> str:
    return f"{direction}/{place.timestamp_ms:020d}{place.id:036d}/s"


def _read_position(token: str) -> tuple[str, Position]:
    found = _POSITION.fullmatch(token)
    if found is None:
        raise Invalid("The specified nextToken is invalid.")
    return found[1], Position(timestamp_ms=int(found[2]), id=int(found[3]))


def _read_offset(token: str) -> int:
    text = _unwrap(token)
    if not text.isdecimal():
        raise Invalid("The specified nextToken is invalid.")
    return int(text)


def _wrap(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _unwrap(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Invalid("The specified nextToken is invalid.") from error
