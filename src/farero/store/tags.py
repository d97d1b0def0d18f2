"""The rows of tags, by ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.records.tag import Tag
from farero.store.tables.endpoints import endpoint_configs, endpoints, models
from farero.store.tables.jobs import jobs, processing_jobs
from farero.store.tables.monitoring import definitions, schedules
from farero.store.tables.tags import tags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection


#: Kind in the ARN → the table whose rows have such ARNs.
_TAGGED = {
    "endpoint": endpoints,
    "endpoint-config": endpoint_configs,
    "model": models,
    "training-job": jobs,
    "processing-job": processing_jobs,
    "data-quality-job-definition": definitions,
    "model-quality-job-definition": definitions,
    "model-bias-job-definition": definitions,
    "model-explainability-job-definition": definitions,
    "monitoring-schedule": schedules,
}


def can_be_tagged(arn: str) -> bool:
    """Say whether the ARN is of a kind that can carry tags."""
    return _kind(arn) in _TAGGED


def exists(db: Connection, arn: str) -> bool:
    """Say whether there is something with this ARN."""
    table = _TAGGED[_kind(arn)]
    return db.execute(sa.select(table.c.name).where(table.c.arn == arn)).first() is not None


def put(db: Connection, arn: str, new: Iterable[Tag]) -> None:
    """Add tags, or give those that are there a new value."""
    for tag in new:
        changed = db.execute(
            sa.update(tags).where(tags.c.arn == arn, tags.c.key == tag.key).values(value=tag.value)
        )
        if changed.rowcount == 0:
            db.execute(sa.insert(tags).values(arn=arn, key=tag.key, value=tag.value))


def find(db: Connection, arn: str) -> list[Tag]:
    """Return the tags of `arn` in order of their keys."""
    rows = db.execute(sa.select(tags).where(tags.c.arn == arn).order_by(tags.c.key))
    return [Tag(key=row.key, value=row.value) for row in rows]


def remove(db: Connection, arn: str, keys: Iterable[str]) -> None:
    """Take tags away; those that are not there do not matter."""
    db.execute(sa.delete(tags).where(tags.c.arn == arn, tags.c.key.in_(list(keys))))


def remove_all(db: Connection, arn: str) -> None:
    """Take away every tag of `arn`."""
    db.execute(sa.delete(tags).where(tags.c.arn == arn))


def _kind(arn: str) -> str:
    return arn.rpartition(":")[2].partition("/")[0]
