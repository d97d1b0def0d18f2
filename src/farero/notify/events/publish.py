"""Events in: what a caller puts and what the platform tells are matched with the rules of their bus.

`pass_on` handles the outbox's `event`: one delivery for each target of each rule that wants it, in the transaction that
strikes the event off.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero.base import ids
from farero.base.errors import Invalid
from farero.notify import event_patterns
from farero.notify.events import inputs
from farero.notify.events.targets import DELIVER, EVENT
from farero.records.events import DEFAULT_BUS
from farero.records.notify import Note, NoteType
from farero.store import deliveries
from farero.store import events as rows
from farero.work import items, outbox

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.records.events import Rule, Target
    from farero.records.work import Outgoing
    from farero.store.engine import Store

log = logging.getLogger(__name__)

#: Bytes of all entries of a PutEvents.
MAX_BYTES = 1_048_576
REQUIRED = ("Source", "DetailType", "Detail")
#: What an event must have to be tested ("TestEventPattern").
MANDATORY = ("id", "account", "source", "time", "region", "resources", "detail-type")


class Events:
    """Takes events and finds out who wants them."""

    def __init__(
        self, store: Store, clock: Clock, settings: Settings, poke: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._poke = poke

    def put(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        """Take events; return for each its EventId, or ErrorCode and ErrorMessage.

        Raises Invalid if all together are too large.
        """
        if sum(_size(entry) for entry in entries) >= MAX_BYTES:
            raise Invalid("Total size of the entries in the request is over the limit.")
        now = self._clock.now()
        queue = f"events/{ids.new_uuid()}"
        with self._store.begin() as db:
            answers = [self._put_one(db, entry, queue, now) for entry in entries]
        self._poke()
        return answers

    def pass_on(self, db: Connection, row: Outgoing) -> None:
        """Make a delivery for each target that wants the event of an outbox row.

        Raises Invalid for an event that nobody could read.
        """
        bus, only = str(row.payload["bus"]), str(row.payload["rule"])
        event = self._whole(row.payload["event"])
        try:
            for rule in _who_wants(db, bus, only, event):
                for target in rows.targets_of(db, bus, rule.name):
                    self._send(db, row, event, rule, target)
        except RecursionError as error:
            raise Invalid("the event is nested too deeply to be matched and told") from error

    def _send(
        self, db: Connection, row: Outgoing, event: dict[str, Any], rule: Rule, target: Target
    ) -> None:
        text = inputs.write(target.given, event, rule, came_at=outbox.moment(row.created_at))
        whole = inputs.write({}, event, rule, came_at="")
        note = Note(
            type=NoteType.NOTIFICATION,
            message_id=str(event["id"]),
            topic_arn=rule.arn,
            message=text,
            sent_at=row.created_at,
            subject=str(event["detail-type"]),
            attributes={} if text == whole else {EVENT: {"Type": "String", "Value": whole}},
        )
        now = self._clock.now()
        deliveries.insert_for(
            db,
            note,
            listener=target.uid,
            protocol=target.service,
            endpoint=target.arn,
            queue=row.queue,
            now=now,
        )
        items.put(db, DELIVER, f"{target.uid}|{row.queue}", due=now)

    def _put_one(
        self, db: Connection, entry: Mapping[str, Any], queue: str, now: dt.datetime
    ) -> dict[str, str]:
        for name in REQUIRED:
            if not entry.get(name):
                return _refusal(
                    "InvalidArgument",
                    f"Parameter {name} is not valid. Reason: {name} is a required argument.",
                )
        if str(entry["Source"]).startswith("aws."):
            return _refusal("NotAuthorizedForSourceException", "Not authorized for the source.")
        detail = _read_object(entry["Detail"])
        if detail is None:
            return _refusal("MalformedDetail", "Detail is malformed.")
        bus = str(entry.get("EventBusName") or DEFAULT_BUS).rpartition(":event-bus/")[2]
        event_id = ids.new_uuid()
        event = {
            "id": event_id,
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "time": outbox.moment(entry.get("Time") or now),
            "resources": list(entry.get("Resources") or ()),
            "detail": detail,
        }
        if rows.is_heard(db, bus):
            outbox.put_event(db, event, queue=queue, bus=bus, now=now)
        elif bus != DEFAULT_BUS and rows.find_bus(db, bus) is None:
            # AWS takes such events as well, and they go nowhere.
            log.warning("an event went to a bus that does not exist", extra={"bus": bus})
        return {"EventId": event_id}

    def _whole(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return an event with all its members, in AWS's order."""
        return {
            "version": "0",
            "id": event["id"],
            "detail-type": event["detail-type"],
            "source": event["source"],
            "account": self._settings.account,
            "time": event["time"],
            "region": self._settings.region,
            "resources": event["resources"],
            "detail": event["detail"],
        }


def matches(pattern: str, event: str) -> bool:
    """Say whether an event, as JSON, matches a pattern. Raises Invalid for what is none."""
    read = event_patterns.parse(pattern)
    found = _read_object(event)
    if found is None:
        raise Invalid("Parameter Event is not valid. Reason: it is no JSON object.")
    missing = [name for name in MANDATORY if name not in found]
    if missing:
        raise Invalid(f"Parameter Event is not valid. Reason: it has no {', '.join(missing)}.")
    return event_patterns.matches(read, found)


def _who_wants(db: Connection, bus: str, only: str, event: Mapping[str, Any]) -> list[Rule]:
    if only:
        rule = rows.find_rule(db, bus, only)
        return [rule] if rule is not None and rule.is_enabled else []
    return [rule for rule in rows.listening(db, bus) if _is_wanted(rule, event)]


def _is_wanted(rule: Rule, event: Mapping[str, Any]) -> bool:
    try:
        return event_patterns.matches(_pattern(rule.pattern), event)
    except Invalid as error:  # kept by an earlier version, which took more; the other rules go on
        log.warning("a rule cannot be read", extra={"rule": rule.arn, "reason": error.detail})
        return False


@functools.lru_cache(maxsize=1024)
def _pattern(text: str) -> dict[str, Any]:
    return event_patterns.parse(text)


def _read_object(text: str) -> dict[str, Any] | None:
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _size(entry: Mapping[str, Any]) -> int:
    """Return an entry's size as "Calculating Amazon EventBridge PutEvents event entry size" has it."""
    texts = [entry.get(name) or "" for name in REQUIRED] + list(entry.get("Resources") or ())
    return sum(len(str(text).encode()) for text in texts) + (14 if entry.get("Time") else 0)


def _refusal(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}
