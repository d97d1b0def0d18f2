"""Events into a CloudWatch log group: one log event each, in a stream of its rule and day."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero.base.errors import Conflict
from farero.records.telemetry import NewLogEvent

if TYPE_CHECKING:
    from farero.notify.events.targets import Outside
    from farero.records.events import Target
    from farero.records.notify import Delivery
    from farero.telemetry.logs import Logs


def to_log_group(logs: Logs) -> Outside:
    """Return what writes to log groups. It raises NotFound where there is no such group."""

    def write(target: Target, delivery: Delivery) -> None:
        group = target.arn.split(":")[6] if target.arn.count(":") > 5 else target.arn
        day = delivery.created_at.strftime("%Y/%m/%d")
        stream = f"{target.rule}/{day}/{target.uid[:8]}"
        with contextlib.suppress(Conflict):  # an earlier event of this day made it
            logs.create_stream(group, stream)
        at_ms = int(delivery.created_at.timestamp() * 1000)
        logs.put_events(group, stream, [_log_event(delivery.note.message, at_ms)])

    return write


def _log_event(text: str, at_ms: int) -> NewLogEvent:
    """Return the log event of a text; `{"timestamp", "message"}`, as AWS asks of templates, says both itself."""
    try:
        found: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        found = None
    members = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if set(members) == {"timestamp", "message"}:
        message = members["message"]
        text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return NewLogEvent(timestamp_ms=at_ms, message=text)
