"""What a caller can ask of schedules and job definitions. Each writes its rows and work items in one transaction."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from farero.base.arns import sagemaker_arn
from farero.base.errors import Invalid
from farero.monitoring import windows
from farero.records.monitoring import Definition, Schedule, ScheduleStatus
from farero.store import monitoring as rows
from farero.store import tags as tag_rows
from farero.work import items

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from farero.base.context import Context
    from farero.records.tag import Tag
    from farero.store.engine import Store

KIND = "monitoring.turn"
Json = dict[str, Any]


class Schedules:
    """Creates, changes and ends them."""

    def __init__(self, store: Store, poke: Callable[[], None]) -> None:
        self._store = store
        self._poke = poke

    def define(self, ctx: Context, name: str, given: Json, tags: Sequence[Tag]) -> Definition:
        """Keep a data quality job definition. Raises Conflict, Invalid."""
        endpoint_of(given)
        arn = sagemaker_arn(ctx.region, ctx.account, "data-quality-job-definition", name)
        made = Definition(name=name, arn=arn, kind="DataQuality", given=given, created_at=ctx.now)
        with self._store.begin() as db:
            rows.insert_definition(db, made)
            tag_rows.put(db, arn, tags)
        return made

    def forget(self, name: str) -> None:
        """Delete a job definition. Raises NotFound, or Invalid while a schedule uses it."""
        with self._store.begin() as db:
            if used := rows.list_schedules(db, rows.Query(definition=name, limit=1)):
                raise Invalid(
                    f"Cannot delete job definition {name}: monitoring schedule {used[0].name} uses it."
                )
            rows.delete_definition(db, name)

    def create(self, ctx: Context, name: str, config: Json, tags: Sequence[Tag]) -> Schedule:
        """Begin to run a definition. Raises Conflict, NotFound for the definition, Invalid."""
        arn = sagemaker_arn(ctx.region, ctx.account, "monitoring-schedule", name)
        with self._store.begin() as db:
            definition = rows.get_definition(db, _definition_name(config))
            expression = _expression(config)
            made = Schedule(
                name=name, arn=arn, config=config, definition=definition.name,
                endpoint=endpoint_of(definition.given), expression=expression,
                created_at=ctx.now, modified_at=ctx.now, began_at=ctx.now,
                next_at=_first(expression, ctx.now),
            )  # fmt: skip
            rows.insert_schedule(db, made)
            tag_rows.put(db, arn, tags)
            self._wake(made, db)
        self._poke()
        return made

    def update(self, ctx: Context, name: str, config: Json) -> Schedule:
        """Change what runs and when; runs under way end as they began. Raises NotFound, Invalid."""
        with self._store.begin() as db:
            before = rows.get_schedule(db, name, lock=True)
            definition = rows.get_definition(db, _definition_name(config))
            expression = _expression(config)
            made = dataclasses.replace(
                before, config=config, definition=definition.name,
                endpoint=endpoint_of(definition.given), expression=expression,
                status=ScheduleStatus.SCHEDULED, modified_at=ctx.now, began_at=ctx.now,
                next_at=_first(expression, ctx.now),
            )  # fmt: skip
            rows.update_schedule(db, made)
            self._wake(made, db)
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
            tag_rows.remove_all(db, found.arn)

    def _wake(self, schedule: Schedule, db: Any) -> None:
        if schedule.next_at is not None:
            items.put(db, KIND, schedule.name, due=schedule.next_at)


def endpoint_of(given: Json) -> str:
    """Return the endpoint that a definition watches. Raises Invalid for other inputs."""
    found: Json | None = given["DataQualityJobInput"].get("EndpointInput")
    if found is None:
        raise Invalid(
            "Only EndpointInput can be monitored here; BatchTransformInput is not there yet."
        )
    return str(found["EndpointName"])


def _definition_name(config: Json) -> str:
    name = config.get("MonitoringJobDefinitionName")
    if name is None:
        raise Invalid(
            "MonitoringScheduleConfig needs MonitoringJobDefinitionName; a MonitoringJobDefinition inside the "
            "schedule is not there yet."
        )
    kind = config.get("MonitoringType", "DataQuality")
    if kind != "DataQuality":
        raise Invalid(f"MonitoringType {kind} is not there yet; DataQuality is.")
    return str(name)


def _expression(config: Json) -> str:
    schedule: Json = config.get("ScheduleConfig") or {"ScheduleExpression": windows.NOW}
    expression = str(schedule["ScheduleExpression"])
    windows.check(
        expression, schedule.get("DataAnalysisStartTime"), schedule.get("DataAnalysisEndTime")
    )
    return expression


def _first(expression: str, now: dt.datetime) -> dt.datetime | None:
    return now if expression == windows.NOW else windows.following(expression, now, now)
