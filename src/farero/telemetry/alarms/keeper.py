"""Alarms as they live: configured, evaluated at their time, telling of every change.

After each minute one item `alarm.turn` looks at every alarm (after each ten seconds, at those with shorter periods);
`alarm.evaluate` looks at one, when it was configured or when one that a composite asks about has changed. A change of
state, its history and what must be told of it are one transaction, so an alarm that changed has told so, or will,
whoever is killed when (promise P7).
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero.base.errors import Invalid, NotFound
from farero.records.alarms import Alarm, HistoryItem, Verdict
from farero.store import alarms as rows
from farero.store import tags as tag_rows
from farero.telemetry.alarms import messages, rules, suppression, texts
from farero.telemetry.alarms.actions import Actions, remember
from farero.telemetry.alarms.suppression import Hold
from farero.telemetry.alarms.watching import Watch, is_minute_turn, next_turn, step_of
from farero.work import items, outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.records.alarms import State
    from farero.records.tag import Tag
    from farero.records.work import WorkItem
    from farero.store.engine import Store
    from farero.telemetry.metrics.ingest import Metrics
    from farero.telemetry.metrics.queries import MetricQueries

log = logging.getLogger(__name__)

EVALUATE = "alarm.evaluate"
#: Its key is the seconds between its turns.
TURN = "alarm.turn"
#: Changes in one transaction, so that others may write between.
_AT_ONCE = 50
#: Days that history is kept (DescribeAlarmHistory).
HISTORY_DAYS = 30
MOST_TAGS = 50


class Alarms:
    """Every alarm of the platform."""

    def __init__(  # noqa: PLR0913 - one a part that it needs
        self,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        queries: MetricQueries,
        poke: Callable[[], None] = lambda: None,
        *,
        taken: Collection[str] = ("sns",),
    ) -> None:
        """taken: services whose actions somebody here takes."""
        self._store = store
        self._clock = clock
        self._watch = Watch(metrics, queries)
        self._actions = Actions(taken)
        self._poke = poke

    def put(self, alarm: Alarm, tags: Sequence[Tag] = ()) -> None:
        """Add an alarm, or give one another configuration; its state stays until the next evaluation.

        tags: of a new alarm; one that is there keeps its own, as on AWS. Raises Invalid for a composite that would
        depend on itself, or on a suppressor that is not there; NotFound if its rule asks about alarms that are not.
        """
        with self._store.begin() as db:
            if alarm.kind == "CompositeAlarm":
                self._check_rule(db, alarm)
                self._check_suppressor(db, alarm)
            before = rows.find(db, alarm.name)
            if before is None:
                rows.insert(db, alarm)
                tag_rows.put(db, alarm.arn, tags)
            else:
                rows.update(
                    db,
                    replace(
                        before,
                        kind=alarm.kind,
                        config=alarm.config,
                        actions_enabled=alarm.actions_enabled,
                        configured_at=alarm.configured_at,
                    ),
                )
            word = "created" if before is None else "updated"
            self._remember(db, alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {word}', "{}")
            items.put(db, EVALUATE, alarm.name, due=self._clock.now())
        self._poke()

    def list(self) -> Sequence[Alarm]:
        """Return every alarm, by name."""
        with self._store.read() as db:
            return rows.list_all(db)

    def delete(self, names: Sequence[str]) -> None:
        """Delete alarms. Raises NotFound if one is not there, Invalid if a composite that stays asks about one."""
        with self._store.begin() as db:
            known = rows.find_some(db, names)
            for name in names:
                if name not in known:
                    raise NotFound("alarm", name, f"Alarm [{name}] does not exist")
            staying = [one for one in rows.list_composites(db) if one.name not in names]
            for parent in staying:
                if held := set(rules.parse(parent.config["AlarmRule"]).children) & set(names):
                    raise Invalid(
                        f"Cannot delete {min(held)}: there are composite alarms depending on it: {parent.name}"
                    )
            for name in names:
                self._remember(
                    db, known[name], "ConfigurationUpdate", f'Alarm "{name}" deleted', "{}"
                )
                tag_rows.remove_all(db, known[name].arn)
            rows.delete(db, names)
            for parent in staying:
                if suppression.name_of(parent.config) in names:
                    items.put(db, EVALUATE, parent.name, due=self._clock.now())
        self._poke()

    def enable_actions(self, names: Sequence[str], *, enabled: bool) -> None:
        """Turn the actions of alarms on or off; names that are not there do not matter."""
        with self._store.begin() as db:
            for name in names:
                alarm = rows.find(db, name)
                if alarm is not None and alarm.actions_enabled is not enabled:
                    changed = replace(alarm, actions_enabled=enabled)
                    rows.update(db, changed)
                    word = "enabled" if enabled else "disabled"
                    summary = f'Alarm "{name}" actions {word}'
                    self._remember(db, changed, "ConfigurationUpdate", summary, "{}")

    def tags(self, arn: str) -> Sequence[Tag]:
        """Return the tags of an alarm. Raises NotFound."""
        with self._store.read() as db:
            self._check_arn(db, arn)
            return tag_rows.find(db, arn)

    def tag(self, arn: str, tags: Sequence[Tag]) -> None:
        """Add tags to an alarm, or give those that are there another value. Raises NotFound, Invalid."""
        with self._store.begin() as db:
            self._check_arn(db, arn)
            tag_rows.put(db, arn, tags)
            if len(tag_rows.find(db, arn)) > MOST_TAGS:
                raise Invalid(f"An alarm cannot have more than {MOST_TAGS} tags.")

    def untag(self, arn: str, keys: Sequence[str]) -> None:
        """Take tags from an alarm; those that are not there do not matter. Raises NotFound."""
        with self._store.begin() as db:
            self._check_arn(db, arn)
            tag_rows.remove(db, arn, keys)

    def set_state(self, name: str, verdict: Verdict) -> None:
        """Put an alarm into a state until its next evaluation, with all that follows. Raises NotFound."""
        with self._store.begin() as db:
            alarm = rows.find(db, name)
            if alarm is None:
                raise NotFound("alarm", name, f"Alarm [{name}] does not exist")
            self._change(db, alarm, verdict)
        self._poke()

    def history(self, **wanted: Any) -> Sequence[HistoryItem]:
        """Return what happened; the arguments are those of `store.alarms.list_history`."""
        with self._store.read() as db:
            return rows.list_history(db, **wanted)

    def forget_old(self) -> None:
        """Drop history that is older than CloudWatch keeps it."""
        before = self._clock.now() - dt.timedelta(days=HISTORY_DAYS)
        with self._store.begin() as db:
            rows.forget_history(db, before=before)

    def evaluate(self, item: WorkItem) -> None:
        """Handle `alarm.evaluate`: find the state, tell of a change, ask for the next turn."""
        with self._store.read() as db:
            alarm = rows.find(db, item.key)
            if alarm is None:
                return
            others = rows.find_some(db, _asked_by(alarm)) if _is_composite(alarm) else {}
        now = self._clock.now()
        found = _of_rule(alarm, others) if _is_composite(alarm) else self._watch.verdict(alarm, now)
        with self._store.begin() as db:
            self._apply(db, alarm, found, now, is_turn="Metrics" in alarm.config)
            if not _is_composite(alarm):
                step = step_of(alarm)
                items.put(db, TURN, str(step), due=next_turn(step, now))

    def turn(self, item: WorkItem) -> None:
        """Handle `alarm.turn`: evaluate every alarm on a metric, tell of changes, ask for the next turn.

        Alarms on expressions, which may take long, get items of their own; so does one that fails.
        """
        now, step = self._clock.now(), int(item.key)
        with self._store.read() as db:
            alarms = [one for one in rows.list_metric(db) if step_of(one) == step]
        if not alarms:
            return
        apart = [one for one in alarms if "Metrics" in one.config]
        found: list[tuple[Alarm, Verdict | None]] = []
        for alarm in alarms:
            if "Metrics" in alarm.config:
                continue
            try:
                verdict = self._watch.verdict(alarm, now)
            except Exception:
                log.exception("an alarm cannot be evaluated", extra={"alarm": alarm.name})
                apart.append(alarm)
                continue
            is_change = verdict is not None and verdict.state != alarm.state
            if is_change or self._actions.repeats(alarm):
                found.append((alarm, verdict))
        for first in range(0, len(found), _AT_ONCE):
            with self._store.begin() as db:
                for alarm, verdict in found[first : first + _AT_ONCE]:
                    self._apply(db, alarm, verdict, now, is_turn=True)
        with self._store.begin() as db:
            for alarm in apart:
                items.put(db, EVALUATE, alarm.name, due=now)
            items.put(db, TURN, item.key, due=next_turn(step, now))

    def _apply(
        self,
        db: Connection,
        alarm: Alarm,
        found: Verdict | None,
        now: dt.datetime,
        *,
        is_turn: bool,
    ) -> None:
        """Write what was found of an alarm as it was read, in the caller's transaction."""
        fresh = rows.find(db, alarm.name)
        if fresh is None:
            return
        if fresh.version != alarm.version:  # it was changed meanwhile
            items.put(db, EVALUATE, alarm.name, due=now)
        elif found is not None and found.state != alarm.state:
            self._change(db, alarm, found)
        elif _is_composite(alarm):
            self._settle(db, alarm, alarm)
        elif is_turn and is_minute_turn(alarm, now):
            self._actions.again(db, alarm, now)

    # -- what follows from a state

    def _change(self, db: Connection, alarm: Alarm, found: Verdict) -> None:
        """Write another state, its history and what is to be told, in the caller's transaction."""
        if found.state == alarm.state:
            return
        now = self._clock.now()
        data = msgspec.json.encode(found.reason_data).decode() if found.reason_data else ""
        after = replace(
            alarm,
            state=found.state,
            reason=found.reason,
            reason_data=data,
            updated_at=now,
            transitioned_at=now,
        )
        self._settle(db, alarm, after)
        for parent in rows.list_composites(db):
            if alarm.name in _asked_by(parent):
                items.put(db, EVALUATE, parent.name, due=now)

    def _settle(self, db: Connection, before: Alarm, after: Alarm) -> None:
        """Write an alarm, and act unless its suppressor forbids it.

        `after` is in another state, or is a composite whose suppressor may have changed, or whose period is over.
        """
        now = self._clock.now()
        hold = self._hold(db, before, after, now)
        after = replace(after, suppressed_by=hold.by, suppressed_reason=suppression.reason(hold.by))
        is_change = before.state != after.state
        is_released = not hold.by and hold.told != after.state
        if hold.until is not None:
            items.put(db, EVALUATE, after.name, due=hold.until)
        if after == before and not is_released:
            return
        if not rows.update(db, replace(after, updated_at=now)):
            return
        if suppression.name_of(after.config):
            told = after.state if is_released else hold.told
            rows.put_hold(db, after.name, told, hold.by, hold.until)
        if is_change:
            remember(db, after, "StateUpdate", *messages.state_history(before, after), now=now)
        self._tell_bus(db, before, after, now)
        if is_released:
            self._actions.of_change(db, replace(before, state=hold.told), after, now)

    def _hold(self, db: Connection, before: Alarm, after: Alarm, now: dt.datetime) -> Hold:
        """Return whether the alarm may act, and what it told last."""
        name = suppression.name_of(after.config)
        if not name:
            return Hold(before.state)
        found = rows.find_hold(db, after.name)
        hold = (
            Hold(cast("State", found[0]), cast("suppression.Suppressor", found[1]), found[2])
            if found
            else Hold(before.state)
        )
        suppressor = rows.find(db, name)
        is_suppressing = suppressor is not None and suppressor.state == "ALARM"
        return suppression.advance(
            hold, after.config, state=after.state, is_suppressing=is_suppressing, now=now
        )

    def _tell_bus(self, db: Connection, before: Alarm, after: Alarm, now: dt.datetime) -> None:
        outbox.event(
            db,
            queue=f"event/alarm/{after.name}",  # rules hold up no action
            source="aws.cloudwatch",
            detail_type="CloudWatch Alarm State Change",
            detail=messages.event_detail(before, after),
            resources=[after.arn],
            now=now,
        )

    def _remember(self, db: Connection, alarm: Alarm, kind: str, summary: str, data: str) -> None:
        remember(db, alarm, kind, summary, data, now=self._clock.now())

    def _check_rule(self, db: Connection, alarm: Alarm) -> None:
        rule = rules.parse(alarm.config["AlarmRule"])
        others = {
            one.name: rules.parse(one.config["AlarmRule"]).children
            for one in rows.list_composites(db)
            if one.name != alarm.name
        }
        if rules.find_cycle(alarm.name, rule, others):
            raise Invalid(f"The alarm rule of {alarm.name} would make it depend on itself.")
        known = rows.find_some(db, rule.children)
        if missing := ", ".join(name for name in rule.children if name not in known):
            raise NotFound(
                "alarm",
                missing,
                f"Could not save the composite alarm as alarms [{missing}] in the alarm rule do not exist",
            )

    def _check_suppressor(self, db: Connection, alarm: Alarm) -> None:
        name = suppression.name_of(alarm.config)
        if not name:
            rows.delete_hold(db, alarm.name)
        elif name == alarm.name:
            raise Invalid(f"The alarm {name} cannot be its own ActionsSuppressor.")
        elif rows.find(db, name) is None:
            raise Invalid(f"The ActionsSuppressor {name} does not exist.")

    def _check_arn(self, db: Connection, arn: str) -> None:
        alarm = rows.find(db, arn.split(":alarm:", 1)[-1])
        if alarm is None or alarm.arn != arn:
            raise NotFound("alarm", arn, f"The resource {arn} does not exist.")


def _is_composite(alarm: Alarm | None) -> bool:
    return alarm is not None and alarm.kind == "CompositeAlarm"


def _asked_by(parent: Alarm) -> set[str]:
    """Return the names of the alarms whose states matter to a composite."""
    return {*rules.parse(parent.config["AlarmRule"]).children, suppression.name_of(parent.config)}


def _of_rule(alarm: Alarm, others: Mapping[str, Alarm]) -> Verdict:
    """Return the state of a composite, told by the child that changed last."""
    rule = rules.parse(alarm.config["AlarmRule"])
    holds = rule.holds({one.name: one.state for one in others.values()})
    state: State = "ALARM" if holds else "OK"
    last = max(
        (others[name] for name in rule.children if name in others),
        key=lambda one: one.transitioned_at,
        default=None,
    )
    if last is None or last.transitioned_at <= alarm.configured_at:
        word = "created" if alarm.state == "INSUFFICIENT_DATA" else "updated"
        return Verdict(state=state, reason=texts.evaluates(alarm.arn, word, state))
    cause = {
        "arn": last.arn,
        "state": {"value": last.state, "timestamp": texts.moment(last.transitioned_at)},
    }
    return Verdict(
        state=state,
        reason=texts.transitioned(last.arn, last.state, last.transitioned_at),
        reason_data={"triggeringAlarms": [cause]},
    )
