"""Alarms as they live: configured, evaluated at their time, telling of every change.

One item `alarm.evaluate` an alarm asks for its own next turn. A change of state, its history and what must be told of
it are one transaction, so an alarm that changed has told so, or will, whoever is killed when (promise P7).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from farero.base.errors import Invalid, NotFound
from farero.records.alarms import Alarm, HistoryItem, Point, Verdict
from farero.records.metrics import Metric
from farero.store import alarms as rows
from farero.telemetry.alarms import messages, rules
from farero.telemetry.alarms.evaluate import EXTRA, evaluate
from farero.telemetry.alarms.texts import period_of
from farero.telemetry.metrics.statistics import Summary, statistic
from farero.work import items, outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.records.work import WorkItem
    from farero.store.engine import Store
    from farero.telemetry.metrics.ingest import Metrics
    from farero.telemetry.metrics.queries import MetricQueries

EVALUATE = "alarm.evaluate"
#: Seconds after a period's end until its last values have come.
SETTLED_S = 4
_MINUTE = 60
#: Steps of alarms with periods below a minute.
_SHORT_STEP = 10
#: Days that history is kept (DescribeAlarmHistory).
HISTORY_DAYS = 30


class Alarms:
    """Every alarm of the platform."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        queries: MetricQueries,
        poke: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._queries = queries
        self._poke = poke

    def put(self, alarm: Alarm) -> None:
        """Add an alarm, or give one another configuration; its state stays until the next evaluation.

        Raises Invalid for a composite that would depend on itself.
        """
        with self._store.begin() as db:
            if alarm.kind == "CompositeAlarm":
                self._check_cycle(db, alarm)
            before = rows.find(db, alarm.name)
            if before is None:
                rows.insert(db, alarm)
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
            known = {alarm.name: alarm for alarm in rows.list_all(db)}
            for name in names:
                if name not in known:
                    raise NotFound("alarm", name, f"Alarm [{name}] does not exist")
            staying = [
                a for a in known.values() if a.kind == "CompositeAlarm" and a.name not in names
            ]
            for parent in staying:
                if held := set(rules.parse(parent.config["AlarmRule"]).children) & set(names):
                    raise Invalid(
                        f"Cannot delete {min(held)}: there are composite alarms depending on it: {parent.name}"
                    )
            for name in names:
                self._remember(
                    db, known[name], "ConfigurationUpdate", f'Alarm "{name}" deleted', "{}"
                )
            rows.delete(db, names)

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
            states = (
                {one.name: one.state for one in rows.list_all(db)} if _is_composite(alarm) else {}
            )
        if alarm is None:
            return
        now = self._clock.now()
        found = self._composite(alarm, states) if _is_composite(alarm) else self._metric(alarm, now)
        with self._store.begin() as db:
            fresh = rows.find(db, alarm.name)
            if fresh is None:
                return
            if fresh.version != alarm.version:  # it was given another configuration meanwhile
                items.put(db, EVALUATE, alarm.name, due=now)
                return
            if found is not None:
                self._change(db, alarm, found)
            if not _is_composite(alarm):
                items.put(db, EVALUATE, alarm.name, due=_next_turn(alarm, now))

    # -- what the state is

    def _composite(self, alarm: Alarm, states: Mapping[str, Any]) -> Verdict:
        rule: str = alarm.config["AlarmRule"]
        holds = rules.parse(rule).holds(states)
        word = "is true" if holds else "is false"
        return Verdict(state="ALARM" if holds else "OK", reason=f"The rule {rule} {word}.")

    def _metric(self, alarm: Alarm, now: dt.datetime) -> Verdict | None:
        config = alarm.config
        period = period_of(config)
        step = _MINUTE if period >= _MINUTE else _SHORT_STEP
        count = int(config["EvaluationPeriods"]) + EXTRA
        end = (int(now.timestamp()) - SETTLED_S) // step * step
        if "Metrics" in config:
            end = end // period * period
        start = end - count * period
        points = (
            self._of_queries(config["Metrics"], start, end)
            if "Metrics" in config
            else self._of_metric(config, start, end, step if period >= _MINUTE else period)
        )
        window = [points.get(index) for index in range(count)]
        return evaluate(config, window, now=now, start=_moment(start), current=alarm.state)

    def _of_metric(
        self, config: Mapping[str, Any], start: int, end: int, step: int
    ) -> dict[int, Point]:
        """Return the periods that have values, by their place; they may begin at any minute."""
        period = period_of(config)
        names = {one["Name"]: one["Value"] for one in config.get("Dimensions", ())}
        metric = Metric.of(config["Namespace"], config["MetricName"], names)
        merged: dict[int, Summary] = {}
        for at, summary in self._metrics.points(
            metric, start=_moment(start), end=_moment(end), period_s=step, unit=config.get("Unit")
        ):
            merged.setdefault((at - start) // period, Summary()).merge(summary)
        function = statistic(config.get("Statistic") or config["ExtendedStatistic"])
        found: dict[int, Point] = {}
        for index, summary in merged.items():
            value = function(summary)
            if value is not None:
                at = _moment(start + index * period)
                found[index] = Point(at=at, value=value, samples=summary.count)
        return found

    def _of_queries(
        self, queries: Sequence[Mapping[str, Any]], start: int, end: int
    ) -> dict[int, Point]:
        [series] = self._queries.evaluate(queries, start=_moment(start), end=_moment(end))
        return {
            (at - start) // series.period_s: Point(at=_moment(at), value=value)
            for at, value in series.points
        }

    # -- what follows from it

    def _change(self, db: Connection, alarm: Alarm, found: Verdict) -> None:
        """Write another state, its history and what is to be told, in the caller's transaction."""
        if found.state == alarm.state:
            return
        now = self._clock.now()
        after = replace(
            alarm,
            state=found.state,
            reason=found.reason,
            reason_data=msgspec.json.encode(found.reason_data).decode()
            if found.reason_data
            else "",
            updated_at=now,
            transitioned_at=now,
        )
        if not rows.update(db, after):
            return
        self._remember(db, after, "StateUpdate", *messages.state_history(alarm, after))
        outbox.event(
            db,
            queue=f"alarm/{after.name}",
            source="aws.cloudwatch",
            detail_type="CloudWatch Alarm State Change",
            detail=messages.event_detail(alarm, after),
            resources=[after.arn],
            now=now,
        )
        if after.actions_enabled:
            for action in after.config.get(messages.ACTIONS[after.state], ()):
                self._act(db, after, action, old_state=alarm.state)
        for parent in rows.list_all(db):
            if (
                _is_composite(parent)
                and alarm.name in rules.parse(parent.config["AlarmRule"]).children
            ):
                items.put(db, EVALUATE, parent.name, due=now)

    def _act(self, db: Connection, alarm: Alarm, action: str, *, old_state: str) -> None:
        now = self._clock.now()
        queue = f"alarm/{alarm.name}"
        text = messages.notification(alarm, old_state=old_state)
        service = action.split(":")[2] if action.count(":") > 2 else ""
        if service == "sns":
            outbox.publish(
                db,
                queue=queue,
                topic=action,
                subject=messages.subject(alarm),
                message=text,
                now=now,
            )
        else:
            payload = {"Target": action, "Message": text}
            outbox.put(db, queue=queue, kind=service or "unknown", payload=payload, now=now)
        self._remember(
            db, alarm, "Action", *messages.action_history(alarm, action, old_state=old_state)
        )

    def _remember(self, db: Connection, alarm: Alarm, kind: str, summary: str, data: str) -> None:
        rows.add_history(
            db,
            HistoryItem(
                alarm=alarm.name, alarm_kind=alarm.kind, at=self._clock.now(), kind=kind,
                summary=summary, data=data,
            ),
        )  # fmt: skip

    def _check_cycle(self, db: Connection, alarm: Alarm) -> None:
        rule = rules.parse(alarm.config["AlarmRule"])
        others = {
            one.name: rules.parse(one.config["AlarmRule"]).children
            for one in rows.list_all(db)
            if _is_composite(one) and one.name != alarm.name
        }
        if rules.find_cycle(alarm.name, rule, others):
            raise Invalid(f"The alarm rule of {alarm.name} would make it depend on itself.")


def _is_composite(alarm: Alarm | None) -> bool:
    return alarm is not None and alarm.kind == "CompositeAlarm"


def _next_turn(alarm: Alarm, now: dt.datetime) -> dt.datetime:
    """Return the moment at which the next period has ended and its values have come."""
    step = _MINUTE if period_of(alarm.config) >= _MINUTE else _SHORT_STEP
    seconds = int(now.timestamp()) - SETTLED_S
    return _moment((seconds // step + 1) * step + SETTLED_S)


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
