"""What a caller can ask of schedules. Each call writes its rows and work items in one transaction."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from farero.base.arns import sagemaker_arn
from farero.base.errors import Invalid
from farero.monitoring import windows
from farero.monitoring.definitions import given_of, kind_of, plan_of
from farero.records.monitoring import Schedule, ScheduleStatus
from farero.store import monitoring as rows
from farero.store import monitoring_alerts as alert_rows
from farero.store import tags as tag_rows
from farero.work import items

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from farero.base.context import Context
    from farero.monitoring.checks import Checks
    from farero.monitoring.plans import Plan
    from farero.records.monitoring import MonitoringType
    from farero.records.tag import Tag
    from farero.store.engine import Store

KIND = "monitoring.turn"
Json = dict[str, Any]


class Schedules:
    """Creates, changes and ends them."""

    def __init__(self, store: Store, checks: Checks, poke: Callable[[], None]) -> None:
        self._store = store
        self._checks = checks
        self._poke = poke

    def create(self, ctx: Context, name: str, config: Json, tags: Sequence[Tag]) -> Schedule:
        """Begin to run a definition. Raises Conflict, NotFound for the definition, Invalid."""
        kind, plan, expression = self._read(config)
        self._checks.certain(plan)
        arn = sagemaker_arn(ctx.region, ctx.account, "monitoring-schedule", name)
        made = Schedule(
            name=name, arn=arn, kind=kind, config=config,
            definition=config.get("MonitoringJobDefinitionName", ""),
            endpoint=plan.endpoint, expression=expression,
            created_at=ctx.now, modified_at=ctx.now, began_at=ctx.now,
            next_at=_first(expression, ctx.now),
        )  # fmt: skip
        with self._store.begin() as db:
            rows.insert_schedule(db, made)
            tag_rows.put(db, arn, tags)
            self._wake(made, db)
        self._checks.tell_likely(name, plan, ctx.now)
        self._poke()
        return made

    def update(self, ctx: Context, name: str, config: Json) -> Schedule:
        """Change what runs and when; runs under way end as they began. Raises NotFound, Invalid."""
        with self._store.read() as db:
            rows.get_schedule(db, name)
        kind, plan, expression = self._read(config)
        self._checks.certain(plan)
        with self._store.begin() as db:
            before = rows.get_schedule(db, name, lock=True)
            made = dataclasses.replace(
                before, kind=kind, config=config,
                definition=config.get("MonitoringJobDefinitionName", ""),
                endpoint=plan.endpoint, expression=expression,
                status=ScheduleStatus.SCHEDULED, modified_at=ctx.now, began_at=ctx.now,
                next_at=_first(expression, ctx.now),
            )  # fmt: skip
            rows.update_schedule(db, made)
            self._wake(made, db)
        self._checks.tell_likely(name, plan, ctx.now)
        self._poke()
        return made

    def start(self, ctx: Context, name: str) -> None:
        """Run a stopped schedule again, from now on. Raises NotFound."""
        with self._store.begin() as db:
            before = rows.get_schedule(db, name, lock=True)
            if before.status is ScheduleStatus.SCHEDULED:
                return
            made = dataclasses.replace(
                before, status=ScheduleStatus.SCHEDULED, modified_at=ctx.now,
                next_at=windows.following(before.expression, ctx.now, before.began_at),
            )  # fmt: skip
            rows.update_schedule(db, made)
            self._wake(made, db)
        self._poke()

    def stop(self, ctx: Context, name: str) -> None:
        """Let a schedule run no more until it is started. Raises NotFound."""
        with self._store.begin() as db:
            before = rows.get_schedule(db, name, lock=True)
            stopped = dataclasses.replace(
                before, status=ScheduleStatus.STOPPED, modified_at=ctx.now, next_at=None
            )
            rows.update_schedule(db, stopped)

    def delete(self, name: str) -> None:
        """Remove a schedule. Raises NotFound, or Invalid while one of its executions runs."""
        with self._store.begin() as db:
            found = rows.get_schedule(db, name, lock=True)
            if rows.oldest_open(db, name) is not None:
                raise Invalid(
                    f"Cannot delete monitoring schedule {name} while it has an in-progress execution. Stop or wait."
                )
            rows.delete_schedule(db, name)
            alert_rows.forget(db, name)
            tag_rows.remove_all(db, found.arn)

    def _read(self, config: Json) -> tuple[MonitoringType, Plan, str]:
        kind = kind_of(config)
        with self._store.read() as db:
            plan = plan_of(kind, given_of(db, kind, config))
        return kind, plan, _expression(config)

    def _wake(self, schedule: Schedule, db: Any) -> None:
        if schedule.next_at is not None:
            items.put(db, KIND, schedule.name, due=schedule.next_at)


def _expression(config: Json) -> str:
    schedule: Json = config.get("ScheduleConfig") or {"ScheduleExpression": windows.NOW}
    expression = str(schedule["ScheduleExpression"])
    windows.check(
        expression, schedule.get("DataAnalysisStartTime"), schedule.get("DataAnalysisEndTime")
    )
    return expression


def _first(expression: str, now: dt.datetime) -> dt.datetime | None:
    return now if expression == windows.NOW else windows.following(expression, now, now)
