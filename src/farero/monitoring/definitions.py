"""Job definitions: keep, forget, and find the one that a schedule runs, by name or within its config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.base.arns import sagemaker_arn
from farero.base.errors import Invalid
from farero.monitoring import plans
from farero.records.monitoring import Definition, MonitoringType
from farero.store import monitoring as rows
from farero.store import tags as tag_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from farero.base.context import Context
    from farero.records.tag import Tag
    from farero.store.engine import Store

Json = dict[str, Any]

#: A family's part of its ARNs.
ARN_KINDS = {
    MonitoringType.DATA_QUALITY: "data-quality-job-definition",
    MonitoringType.MODEL_QUALITY: "model-quality-job-definition",
    MonitoringType.MODEL_BIAS: "model-bias-job-definition",
    MonitoringType.MODEL_EXPLAINABILITY: "model-explainability-job-definition",
}
#: Where the old form keeps its definition.
INLINE = "MonitoringJobDefinition"


class Definitions:
    """Keeps job definitions of all four families."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(
        self, ctx: Context, kind: MonitoringType, name: str, given: Json, tags: Sequence[Tag] = ()
    ) -> Definition:
        """Keep a job definition. Raises Conflict, Invalid for one that can never run."""
        plan = plan_of(kind, given)
        arn = sagemaker_arn(ctx.region, ctx.account, ARN_KINDS[kind], name)
        made = Definition(
            name=name, arn=arn, kind=kind, endpoint=plan.endpoint, given=given, created_at=ctx.now
        )
        with self._store.begin() as db:
            rows.insert_definition(db, made)
            tag_rows.put(db, arn, tags)
        return made

    def delete(self, kind: MonitoringType, name: str) -> None:
        """Delete a job definition. Raises NotFound, or Invalid while a schedule uses it."""
        with self._store.begin() as db:
            found = rows.get_definition(db, kind, name)
            query = rows.Query(kind=kind.value, definition=name, limit=1)
            if used := rows.list_schedules(db, query):
                raise Invalid(
                    f"Cannot delete job definition {name}: monitoring schedule {used[0].name} uses it."
                )
            rows.delete_definition(db, kind, name)
            tag_rows.remove_all(db, found.arn)


def kind_of(config: Json) -> MonitoringType:
    """Return the MonitoringType of a schedule's config."""
    return MonitoringType(config.get("MonitoringType") or MonitoringType.DATA_QUALITY)


def given_of(db: Connection, kind: MonitoringType, config: Json) -> Json:
    """Return the definition that a schedule's config names or holds. Raises NotFound, Invalid."""
    name, inline = config.get("MonitoringJobDefinitionName"), config.get(INLINE)
    if (name is None) == (inline is None):
        raise Invalid(
            f"MonitoringScheduleConfig needs exactly one of MonitoringJobDefinitionName and {INLINE}."
        )
    return {INLINE: inline} if name is None else rows.get_definition(db, kind, name).given


def plan_of(kind: MonitoringType, given: Json) -> plans.Plan:
    """Read a definition of either form. Raises Invalid for one that can never run."""
    if INLINE in given:
        return plans.of_inline(kind, given[INLINE])
    return plans.of_definition(kind, given)
