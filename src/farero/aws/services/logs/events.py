"""Log events: put, read, filtered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farero.aws.services.logs.names import SEQUENCE_TOKEN, group_name, unwrap, wrap
from farero.base.errors import Invalid
from farero.records.telemetry import NewLogEvent, Position
from farero.telemetry.logs import PAGE_EVENTS, Search, Window

if TYPE_CHECKING:
    from farero.aws.services.logs.names import Value
    from farero.base.context import Context
    from farero.records.telemetry import LogEvent
    from farero.telemetry.batches import Rejected
    from farero.telemetry.logs import Logs

_POSITION = re.compile(r"([fb])/(\d{20})(-\d{35}|\d{36})/s")


class Events:
    """Operations on events."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def put_log_events(self, ctx: Context, req: Value) -> Value:
        """Store a batch of events."""
        _ = ctx
        events = [
            NewLogEvent(timestamp_ms=event["timestamp"], message=event["message"])
            for event in req["logEvents"]
        ]
        rejected = self._logs.put_events(req["logGroupName"], req["logStreamName"], events)
        answer: Value = {"nextSequenceToken": SEQUENCE_TOKEN}
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
        page = self._logs.read_page(group_name(req), req["logStreamName"], window)
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
            direction, place = _read_position(unwrap(req["nextToken"]))
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
        page = self._logs.search(group_name(req), search)
        answer: Value = {
            "events": [_filtered(event) for event in page.events],
            "searchedLogStreams": [],
        }
        if page.next is not None:
            answer["nextToken"] = wrap(_position_token("b" if newest_first else "f", page.next))
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


def _position_token(direction: str, place: Position) -> str:
    return f"{direction}/{place.timestamp_ms:020d}{place.id:036d}/s"


def _read_position(token: str) -> tuple[str, Position]:
    found = _POSITION.fullmatch(token)
    if found is None:
        raise Invalid("The specified nextToken is invalid.")
    return found[1], Position(timestamp_ms=int(found[2]), id=int(found[3]))
