"""The room of Amazon EventBridge: buses, rules, targets, events. Archives, pipes and partners are not there."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, ClassVar

from farero.base.errors import Conflict, DomainError, Invalid, LimitExceeded, NotFound
from farero.notify.event_patterns import InvalidPattern
from farero.notify.events import publish
from farero.records.events import DEFAULT_BUS
from farero.records.tag import Tag
from farero.store import events as rows
from farero.store import tags as tag_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.notify.events.publish import Events
    from farero.notify.events.rules import Rules
    from farero.records.events import EventBus, Rule
    from farero.store.engine import Store

PAGE = 100
MAX_TAGS = 50


class EventBridge:
    """Events and who wants them."""

    service = "events"
    errors: ClassVar[dict[type[DomainError], tuple[str, int]]] = {
        NotFound: ("ResourceNotFoundException", 400),
        Conflict: ("ResourceAlreadyExistsException", 400),
        Invalid: ("ValidationException", 400),
        InvalidPattern: ("InvalidEventPatternException", 400),
        LimitExceeded: ("LimitExceededException", 400),
    }

    def __init__(self, rules: Rules, events: Events, store: Store) -> None:
        self._rules = rules
        self._events = events
        self._store = store

    def create_event_bus(self, ctx: Context, req: Value) -> Value:
        """Make a bus."""
        _ = ctx
        if "EventSourceName" in req:
            raise Invalid("Partner event sources are not supported here.")
        bus = self._rules.create_bus(req["Name"], req, _tags(req))
        return {"EventBusArn": bus.arn, **bus.given}

    def describe_event_bus(self, ctx: Context, req: Value) -> Value:
        """Describe a bus, or the default one."""
        _ = ctx
        return _shown_bus(self._rules.get_bus(req.get("Name") or DEFAULT_BUS), with_all=True)

    def list_event_buses(self, ctx: Context, req: Value) -> Value:
        """List buses; the default one is always there."""
        _ = ctx
        with self._store.read() as db:
            made = rows.list_buses(db)
        prefix, after = req.get("NamePrefix", ""), _after(req)
        found = sorted(
            (
                bus
                for bus in (self._rules.default_bus(), *made)
                if bus.name.startswith(prefix) and bus.name > after
            ),
            key=lambda bus: bus.name,
        )
        names = [bus.name for bus in found]
        shown = [_shown_bus(bus) for bus in found]
        return _page(req, "EventBuses", shown, names)

    def delete_event_bus(self, ctx: Context, req: Value) -> Value:
        """Delete a bus without rules."""
        _ = ctx
        self._rules.delete_bus(req["Name"])
        return {}

    def put_rule(self, ctx: Context, req: Value) -> Value:
        """Make a rule or write one anew."""
        _ = ctx
        rule = self._rules.put(
            _bus(req),
            req["Name"],
            pattern=req.get("EventPattern", ""),
            schedule=req.get("ScheduleExpression", ""),
            state=req.get("State", "ENABLED"),
            description=req.get("Description", ""),
            role_arn=req.get("RoleArn", ""),
            new_tags=_tags(req),
        )
        return {"RuleArn": rule.arn}

    def describe_rule(self, ctx: Context, req: Value) -> Value:
        """Describe a rule."""
        return {
            **_shown_rule(self._rules.get(_bus(req), req["Name"])),
            "CreatedBy": ctx.account,
        }

    def list_rules(self, ctx: Context, req: Value) -> Value:
        """List the rules of a bus."""
        _ = ctx
        bus = self._rules.get_bus(_bus(req))
        with self._store.read() as db:
            found = rows.list_rules(
                db,
                bus.name,
                prefix=req.get("NamePrefix", ""),
                after=_after(req),
                limit=_limit(req) + 1,
            )
        return _page(req, "Rules", [_shown_rule(one) for one in found], [r.name for r in found])

    def list_rule_names_by_target(self, ctx: Context, req: Value) -> Value:
        """List the rules that tell a target."""
        _ = ctx
        bus = self._rules.get_bus(_bus(req))
        with self._store.read() as db:
            found = rows.rule_names_by_target(
                db, bus.name, req["TargetArn"], after=_after(req), limit=_limit(req) + 1
            )
        return _page(req, "RuleNames", found, found)

    def enable_rule(self, ctx: Context, req: Value) -> Value:
        """Turn a rule on."""
        _ = ctx
        self._rules.enable(_bus(req), req["Name"], state="ENABLED")
        return {}

    def disable_rule(self, ctx: Context, req: Value) -> Value:
        """Turn a rule off."""
        _ = ctx
        self._rules.enable(_bus(req), req["Name"], state="DISABLED")
        return {}

    def delete_rule(self, ctx: Context, req: Value) -> Value:
        """Delete a rule without targets."""
        _ = ctx
        self._rules.delete(_bus(req), req["Name"])
        return {}

    def put_targets(self, ctx: Context, req: Value) -> Value:
        """Add or change targets of a rule."""
        _ = ctx
        self._rules.put_targets(_bus(req), req["Rule"], req["Targets"])
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def remove_targets(self, ctx: Context, req: Value) -> Value:
        """Take targets from a rule."""
        _ = ctx
        unknown = self._rules.remove_targets(_bus(req), req["Rule"], req["Ids"])
        failed = [
            {
                "TargetId": one,
                "ErrorCode": "ResourceNotFoundException",
                "ErrorMessage": f"Rule {req['Rule']} does not have target {one}.",
            }
            for one in unknown
        ]
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    def list_targets_by_rule(self, ctx: Context, req: Value) -> Value:
        """List the targets of a rule."""
        _ = ctx
        rule = self._rules.get(_bus(req), req["Rule"])
        with self._store.read() as db:
            found = rows.targets_of(db, rule.bus, rule.name)
        found = [target for target in found if target.id > _after(req)]
        return _page(req, "Targets", [one.given for one in found], [one.id for one in found])

    def put_events(self, ctx: Context, req: Value) -> Value:
        """Take up to ten events; each is taken or refused by itself."""
        _ = ctx
        if "EndpointId" in req:
            raise Invalid("Global endpoints are not supported here.")
        answers = self._events.put(req["Entries"])
        failed = sum("ErrorCode" in one for one in answers)
        return {"FailedEntryCount": failed, "Entries": answers}

    def test_event_pattern(self, ctx: Context, req: Value) -> Value:
        """Say whether an event matches a pattern."""
        _ = ctx
        return {"Result": publish.matches(req["EventPattern"], req["Event"])}

    def tag_resource(self, ctx: Context, req: Value) -> Value:
        """Add tags to a rule or bus."""
        _ = ctx
        arn = self._known(req["ResourceARN"])
        with self._store.begin() as db:
            tag_rows.put(db, arn, _tags(req))
            if len(tag_rows.find(db, arn)) > MAX_TAGS:
                raise LimitExceeded(f"A resource can have at most {MAX_TAGS} tags.")
        return {}

    def untag_resource(self, ctx: Context, req: Value) -> Value:
        """Take tags from a rule or bus."""
        _ = ctx
        arn = self._known(req["ResourceARN"])
        with self._store.begin() as db:
            tag_rows.remove(db, arn, req["TagKeys"])
        return {}

    def list_tags_for_resource(self, ctx: Context, req: Value) -> Value:
        """List the tags of a rule or bus."""
        _ = ctx
        arn = self._known(req["ResourceARN"])
        with self._store.read() as db:
            found = tag_rows.find(db, arn)
        return {"Tags": [{"Key": tag.key, "Value": tag.value} for tag in found]}

    def _known(self, arn: str) -> str:
        """Return the ARN of a rule or bus that is there. Raises NotFound, and Invalid for another ARN."""
        kind, _, name = arn.split(":", 5)[-1].partition("/")
        if kind == "event-bus":
            return self._rules.get_bus(name).arn
        if kind != "rule":
            raise Invalid(f"Parameter {arn} is not valid. Reason: Provided Arn is not valid.")
        bus, _, rule = name.rpartition("/")
        return self._rules.get(bus or DEFAULT_BUS, rule).arn


def _bus(req: Value) -> str:
    return str(req.get("EventBusName") or DEFAULT_BUS)


def _tags(req: Value) -> list[Tag]:
    return [Tag(key=tag["Key"], value=tag["Value"]) for tag in req.get("Tags") or ()]


def _shown_bus(bus: EventBus, *, with_all: bool = False) -> Value:
    answer: Value = {"Name": bus.name, "Arn": bus.arn}
    if bus.created_at is not None:
        answer |= {"CreationTime": bus.created_at, "LastModifiedTime": bus.created_at}
    if with_all:
        return answer | bus.given
    return answer | {k: v for k, v in bus.given.items() if k == "Description"}


def _shown_rule(rule: Rule) -> Value:
    answer: Value = {
        "Name": rule.name,
        "Arn": rule.arn,
        "State": rule.state,
        "EventBusName": rule.bus,
    }
    texts = {
        "EventPattern": rule.pattern,
        "ScheduleExpression": rule.schedule,
        "Description": rule.description,
        "RoleArn": rule.role_arn,
    }
    return answer | {name: text for name, text in texts.items() if text}


def _limit(req: Value) -> int:
    return int(req.get("Limit") or PAGE)


def _after(req: Value) -> str:
    token = req.get("NextToken")
    if not token:
        return ""
    try:
        return b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise Invalid("Parameter NextToken is not valid.") from error


def _page(req: Value, member: str, found: Sequence[object], names: Sequence[str]) -> Value:
    """Return one page of what follows the token; names: what the pages are in the order of."""
    size = _limit(req)
    answer: Value = {member: list(found[:size])}
    if len(found) > size:
        answer["NextToken"] = urlsafe_b64encode(names[size - 1].encode()).decode()
    return answer
