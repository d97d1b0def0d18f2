"""Event buses, rules on them, and the targets of rules: made, changed, deleted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from farero.base import ids
from farero.base.errors import Conflict, Invalid, LimitExceeded, NotFound
from farero.notify import event_patterns
from farero.notify.events import inputs
from farero.notify.events.schedules import FIRE
from farero.records.events import DEFAULT_BUS, EventBus, Rule, Target
from farero.store import deliveries, tags
from farero.store import events as rows
from farero.work import cron, items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.records.events import RuleState
    from farero.records.tag import Tag
    from farero.store.engine import Store

#: "Amazon EventBridge quotas".
MAX_RULES = 300
MAX_TARGETS = 5
MAX_BUSES = 100
TOO_MANY = "The requested resource exceeds the maximum number allowed."
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]{1,32}:[^:]*:[^:]*:.+", re.DOTALL)
#: Of CreateEventBus, kept and shown.
BUS_MEMBERS = ("Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")


class Rules:
    """Everything that is done to buses, rules and targets."""

    def __init__(
        self, store: Store, clock: Clock, settings: Settings, poke: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._poke = poke
        self._prefix = f"arn:aws:events:{settings.region}:{settings.account}"

    # -- buses

    def default_bus(self) -> EventBus:
        """Return the bus that is always there."""
        return EventBus(name=DEFAULT_BUS, arn=f"{self._prefix}:event-bus/{DEFAULT_BUS}")

    def create_bus(self, name: str, given: Mapping[str, Any], new_tags: Sequence[Tag]) -> EventBus:
        """Make a bus. Raises Conflict if there is one of that name, Invalid for a partner's."""
        if "/" in name:
            raise Invalid("Event bus name must not contain '/'.")
        bus = EventBus(
            name=name,
            arn=f"{self._prefix}:event-bus/{name}",
            created_at=self._clock.now(),
            given={key: given[key] for key in BUS_MEMBERS if key in given},
        )
        with self._store.begin() as db:
            if name == DEFAULT_BUS or rows.find_bus(db, name) is not None:
                raise Conflict("event bus", name, f"Event bus {name} already exists.")
            if len(rows.list_buses(db)) >= MAX_BUSES:
                raise LimitExceeded(TOO_MANY)
            rows.insert_bus(db, bus)
            tags.put(db, bus.arn, new_tags)
        return bus

    def get_bus(self, name: str) -> EventBus:
        """Return a bus by its name or ARN. Raises NotFound."""
        with self._store.read() as db:
            return self._bus(db, name)

    def delete_bus(self, name: str) -> None:
        """Delete a bus; nothing if there is none. Raises Invalid for the default bus and for one with rules."""
        if name == DEFAULT_BUS:
            raise Invalid("Cannot delete event bus default.")
        with self._store.begin() as db:
            bus = rows.find_bus(db, name)
            if bus is None:
                return
            if rows.count_rules(db, name):
                raise Invalid("EventBus can't be deleted since it has rules.")
            rows.delete_bus(db, name)
            tags.remove_all(db, bus.arn)

    # -- rules

    def put(  # noqa: PLR0913 - one a member of PutRule
        self,
        bus: str,
        name: str,
        *,
        pattern: str = "",
        schedule: str = "",
        state: RuleState = "ENABLED",
        description: str = "",
        role_arn: str = "",
        new_tags: Sequence[Tag] = (),
    ) -> Rule:
        """Make a rule, or write one anew; tags are of a new one only.

        Raises NotFound for the bus, Invalid for what is no pattern or schedule, LimitExceeded for the 301st.
        """
        now = self._clock.now()
        if not pattern and not schedule:
            raise Invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        if pattern:
            event_patterns.parse(pattern)
        if schedule:
            cron.parse(schedule)
        with self._store.begin() as db:
            bus = self._bus(db, bus).name
            if schedule and bus != DEFAULT_BUS:
                raise Invalid("ScheduleExpression is supported only on the default event bus.")
            before = rows.find_rule(db, bus, name, lock=True)
            if before is None and rows.count_rules(db, bus) >= MAX_RULES:
                raise LimitExceeded(TOO_MANY)
            rule = Rule(
                bus=bus,
                name=name,
                arn=self._rule_arn(bus, name),
                pattern=pattern,
                schedule=schedule,
                state=state,
                description=description,
                role_arn=role_arn,
                began_at=now,
            )
            if before is not None and (before.schedule, before.is_enabled) == (
                schedule,
                rule.is_enabled,
            ):
                rule = replace(rule, began_at=before.began_at, next_at=before.next_at)
            else:
                rule = _begin(rule)
            self._write(db, rule)
            if before is None:
                tags.put(db, rule.arn, new_tags)
        self._poke()
        return rule

    def get(self, bus: str, name: str) -> Rule:
        """Return a rule. Raises NotFound."""
        with self._store.read() as db:
            return self._rule(db, self._bus(db, bus).name, name)

    def enable(self, bus: str, name: str, *, state: RuleState) -> None:
        """Turn a rule on or off; a schedule that is turned on begins anew. Raises NotFound."""
        with self._store.begin() as db:
            before = self._rule(db, self._bus(db, bus).name, name, lock=True)
            after = replace(before, state=state)
            if before.is_enabled != after.is_enabled:
                after = _begin(replace(after, began_at=self._clock.now()))
            self._write(db, after)
        self._poke()

    def delete(self, bus: str, name: str) -> None:
        """Delete a rule; nothing if there is none. Raises Invalid for one with targets."""
        with self._store.begin() as db:
            bus = self._bus(db, bus).name
            rule = rows.find_rule(db, bus, name, lock=True)
            if rule is None:
                return
            if rows.targets_of(db, bus, name):
                raise Invalid("Rule can't be deleted since it has targets.")
            rows.delete_rule(db, bus, name)
            tags.remove_all(db, rule.arn)

    # -- targets

    def put_targets(self, bus: str, rule: str, given: Sequence[Mapping[str, Any]]) -> None:
        """Add targets to a rule, or give those that are there another configuration.

        Raises NotFound for the rule, Invalid for a target that cannot be, LimitExceeded for the sixth.
        """
        for target in given:
            _check_target(target)
        with self._store.begin() as db:
            bus = self._bus(db, bus).name
            self._rule(db, bus, rule, lock=True)
            known = {target.id for target in rows.targets_of(db, bus, rule)}
            if len(known | {target["Id"] for target in given}) > MAX_TARGETS:
                raise LimitExceeded(TOO_MANY)
            for target in given:
                rows.put_target(
                    db,
                    Target(
                        bus=bus, rule=rule, id=target["Id"], uid=ids.new_uuid(),
                        arn=target["Arn"], given=dict(target),
                    ),
                )  # fmt: skip

    def remove_targets(self, bus: str, rule: str, wanted: Sequence[str]) -> list[str]:
        """Take targets and what is on its way to them from a rule; return the ids that it does not have."""
        with self._store.begin() as db:
            bus = self._bus(db, bus).name
            self._rule(db, bus, rule, lock=True)
            known = {target.id: target for target in rows.targets_of(db, bus, rule)}
            gone = [one for one in wanted if one in known]
            deliveries.drop_pending(db, [known[one].uid for one in gone])
            rows.delete_targets(db, bus, rule, gone)
        return [one for one in wanted if one not in known]

    # -- inside

    def _bus(self, db: Connection, name: str) -> EventBus:
        short = name.rpartition(":event-bus/")[2]
        if short == DEFAULT_BUS:
            return self.default_bus()
        found = rows.find_bus(db, short)
        if found is None:
            raise NotFound("event bus", short, f"Event bus {short} does not exist.")
        return found

    def _rule(self, db: Connection, bus: str, name: str, *, lock: bool = False) -> Rule:
        found = rows.find_rule(db, bus, name, lock=lock)
        if found is None:
            raise NotFound("rule", name, f"Rule {name} does not exist on EventBus {bus}.")
        return found

    def _rule_arn(self, bus: str, name: str) -> str:
        return f"{self._prefix}:rule/{name if bus == DEFAULT_BUS else f'{bus}/{name}'}"

    def _write(self, db: Connection, rule: Rule) -> None:
        rows.put_rule(db, rule)
        if rule.next_at is not None:
            items.put(db, FIRE, rule.name, due=rule.next_at)


def _begin(rule: Rule) -> Rule:
    """Return a rule whose schedule, if it is enabled and has one, is counted from `began_at`."""
    if not rule.schedule or not rule.is_enabled:
        return replace(rule, next_at=None)
    following = cron.parse(rule.schedule).next_after(rule.began_at, began=rule.began_at)
    return replace(rule, next_at=following)


def _check_target(given: Mapping[str, Any]) -> None:
    arn, name = str(given["Arn"]), given["Id"]
    if not _ARN.fullmatch(arn):
        raise Invalid(
            f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
        )
    dead = Target(bus="", rule="", id=name, uid="", arn=arn, given=dict(given)).dead_letter_arn
    if dead and (not dead.startswith("arn:aws:sqs:") or dead.endswith(".fifo")):
        raise Invalid(
            f"Parameter DeadLetterConfig is not valid for target {name}. Reason: {dead} is no standard SQS queue."
        )
    inputs.check(given)
