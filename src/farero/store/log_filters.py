"""Rows of metric filters and subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from farero.base.errors import NotFound
from farero.records.logs import MetricFilter, Subscription, Transformation
from farero.store.tables.log_filters import (
    log_cursors,
    log_filter_minutes,
    log_metric_filters,
    log_subscriptions,
)
from farero.store.tables.logs import log_groups

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Row

    from farero.records.telemetry import LogGroup


def put_filter(  # noqa: PLR0913 - one a column
    db: Connection,
    group: LogGroup,
    name: str,
    *,
    pattern: str,
    transformation: Transformation,
    now: dt.datetime,
) -> None:
    """Add the filter, or replace the one of that name."""
    table = log_metric_filters
    values = {"pattern": pattern, "transformation": _json(transformation)}
    known = sa.and_(table.c.group_id == group.id, table.c.name == name)
    if db.execute(sa.update(table).where(known).values(**values)).rowcount == 0:
        db.execute(sa.insert(table).values(group_id=group.id, name=name, created_at=now, **values))


def delete_filter(db: Connection, group: LogGroup, name: str) -> None:
    """Remove the filter. Raises NotFound with AWS's words."""
    table = log_metric_filters.c
    row_id = db.execute(
        sa.select(table.id).where(table.group_id == group.id, table.name == name)
    ).scalar()
    if row_id is None:
        raise NotFound("metric filter", name, "The specified metric filter does not exist.")
    db.execute(sa.delete(log_filter_minutes).where(log_filter_minutes.c.filter_id == row_id))
    db.execute(sa.delete(log_metric_filters).where(table.id == row_id))


def list_filters(db: Connection, group: LogGroup | None = None) -> list[MetricFilter]:
    """Return the filters of a group, or all, by group and name."""
    table = log_metric_filters.c
    statement = (
        sa.select(log_metric_filters, log_groups.c.name.label("group_name"))
        .join(log_groups, log_groups.c.id == table.group_id)
        .order_by(log_groups.c.name, table.name)
    )
    if group is not None:
        statement = statement.where(table.group_id == group.id)
    return [_filter(row) for row in db.execute(statement)]


def count_filters(db: Connection, groups: Iterable[int]) -> dict[int, int]:
    """Return how many filters each of these groups has."""
    table = log_metric_filters.c
    statement = (
        sa.select(table.group_id, sa.func.count())
        .where(table.group_id.in_(list(groups)))
        .group_by(table.group_id)
    )
    return {row[0]: row[1] for row in db.execute(statement)}


def mark_minutes(
    db: Connection, filter_id: int, minutes: Mapping[int, bool], *, due_ms: int
) -> None:
    """Remember which minutes had events, and whether one matched."""
    table = log_filter_minutes
    for minute, has_match in minutes.items():
        key = sa.and_(table.c.filter_id == filter_id, table.c.minute_ms == minute)
        values = {"due_ms": due_ms} | ({"has_match": True} if has_match else {})
        if db.execute(sa.update(table).where(key).values(**values)).rowcount == 0:
            db.execute(
                sa.insert(table).values(
                    filter_id=filter_id, minute_ms=minute, has_match=has_match, due_ms=due_ms
                )
            )


def take_minutes(db: Connection, now_ms: int) -> list[tuple[int, int]]:
    """Remove the minutes that are due; return filter and minute of those without a match."""
    table = log_filter_minutes
    due = table.c.due_ms <= now_ms
    found = [
        (row.filter_id, row.minute_ms)
        for row in db.execute(sa.select(table).where(due).with_for_update())
        if not row.has_match
    ]
    db.execute(sa.delete(table).where(due))
    return found


def has_due_minutes(db: Connection, now_ms: int) -> bool:
    """Say whether a minute is due."""
    table = log_filter_minutes
    return db.execute(sa.select(table).where(table.c.due_ms <= now_ms).limit(1)).first() is not None


def put_subscription(db: Connection, subscription: Subscription, *, after_id: int) -> None:
    """Add the subscription, or replace the one of that name; `id` is not looked at."""
    table = log_subscriptions
    values = {
        "pattern": subscription.pattern,
        "destination": subscription.destination,
        "role": subscription.role,
        "distribution": subscription.distribution,
    }
    known = sa.and_(table.c.group_id == subscription.group_id, table.c.name == subscription.name)
    if db.execute(sa.update(table).where(known).values(**values)).rowcount == 0:
        db.execute(
            sa.insert(table).values(
                group_id=subscription.group_id,
                name=subscription.name,
                created_at=subscription.created_at,
                after_id=after_id,
                **values,
            )
        )


def delete_subscription(db: Connection, group: LogGroup, name: str) -> None:
    """Remove the subscription. Raises NotFound with AWS's words."""
    table = log_subscriptions.c
    gone = db.execute(
        sa.delete(log_subscriptions).where(table.group_id == group.id, table.name == name)
    )
    if gone.rowcount == 0:
        raise NotFound(
            "subscription filter", name, "The specified subscription filter does not exist."
        )


def list_subscriptions(
    db: Connection, group: LogGroup | None = None
) -> list[tuple[Subscription, int]]:
    """Return the subscriptions of a group, or all, by group and name; each with the event it begins after."""
    table = log_subscriptions.c
    statement = (
        sa.select(log_subscriptions, log_groups.c.name.label("group_name"))
        .join(log_groups, log_groups.c.id == table.group_id)
        .order_by(log_groups.c.name, table.name)
    )
    if group is not None:
        statement = statement.where(table.group_id == group.id)
    return [(_subscription(row), row.after_id) for row in db.execute(statement)]


def find_cursor(db: Connection, subscription: Subscription) -> int | None:
    """Return the last event that was looked at for the subscription, or None."""
    return db.execute(sa.select(log_cursors.c.event_id).where(_is_cursor_of(subscription))).scalar()


def move_cursor(db: Connection, subscription: Subscription, event_id: int) -> None:
    """Remember the last event that was looked at."""
    which = _is_cursor_of(subscription)
    if db.execute(sa.update(log_cursors).where(which).values(event_id=event_id)).rowcount == 0:
        db.execute(
            sa.insert(log_cursors).values(
                subscription_id=subscription.id,
                created_at=subscription.created_at,
                event_id=event_id,
            )
        )


def delete_of_group(db: Connection, group: LogGroup) -> None:
    """Remove all that watches a group."""
    ids = sa.select(log_metric_filters.c.id).where(log_metric_filters.c.group_id == group.id)
    db.execute(sa.delete(log_filter_minutes).where(log_filter_minutes.c.filter_id.in_(ids)))
    db.execute(sa.delete(log_metric_filters).where(log_metric_filters.c.group_id == group.id))
    db.execute(sa.delete(log_subscriptions).where(log_subscriptions.c.group_id == group.id))


def _is_cursor_of(subscription: Subscription) -> sa.ColumnElement[bool]:
    # A row's number may come again after it was deleted; its time of birth does not.
    return sa.and_(
        log_cursors.c.subscription_id == subscription.id,
        log_cursors.c.created_at == subscription.created_at,
    )


def _filter(row: Row[Any]) -> MetricFilter:
    return MetricFilter(
        id=row.id,
        group=row.group_name,
        name=row.name,
        pattern=row.pattern,
        transformation=msgspec.json.decode(row.transformation, type=Transformation),
        created_at=row.created_at,
    )


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        id=row.id,
        group_id=row.group_id,
        group=row.group_name,
        name=row.name,
        pattern=row.pattern,
        destination=row.destination,
        role=row.role,
        distribution=row.distribution,
        created_at=row.created_at,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
