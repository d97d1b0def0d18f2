"""The rows of alarms, their history, and anomaly detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from farero.records.alarms import Alarm, AnomalyDetector, HistoryItem
from farero.store.tables.alarms import alarm_history, alarm_holds, alarms, anomaly_detectors

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Row


def insert(db: Connection, alarm: Alarm) -> None:
    """Add an alarm that is not there."""
    db.execute(sa.insert(alarms).values(**_values(alarm), version=alarm.version))


def update(db: Connection, alarm: Alarm) -> bool:
    """Write an alarm that was read with `alarm.version`; False, and nothing written, if another came between."""
    changed = db.execute(
        sa.update(alarms)
        .where(alarms.c.name == alarm.name, alarms.c.version == alarm.version)
        .values(**_values(alarm), version=alarm.version + 1)
    )
    return changed.rowcount == 1


def find(db: Connection, name: str) -> Alarm | None:
    """Return an alarm, or None."""
    row = db.execute(sa.select(alarms).where(alarms.c.name == name)).first()
    return _alarm(row) if row else None


def list_all(db: Connection) -> list[Alarm]:
    """Return every alarm in order of their names."""
    return [_alarm(row) for row in db.execute(sa.select(alarms).order_by(alarms.c.name))]


def list_composites(db: Connection) -> list[Alarm]:
    """Return every alarm on other alarms, in order of their names."""
    query = sa.select(alarms).where(alarms.c.kind == "CompositeAlarm").order_by(alarms.c.name)
    return [_alarm(row) for row in db.execute(query)]


def list_metric(db: Connection) -> list[Alarm]:
    """Return every alarm on a metric or an expression, in order of their names."""
    query = sa.select(alarms).where(alarms.c.kind == "MetricAlarm").order_by(alarms.c.name)
    return [_alarm(row) for row in db.execute(query)]


def find_some(db: Connection, names: Collection[str]) -> dict[str, Alarm]:
    """Return those alarms of these names that are there."""
    rows = db.execute(sa.select(alarms).where(alarms.c.name.in_(list(names))))
    return {row.name: _alarm(row) for row in rows}


def stamp(db: Connection) -> tuple[Any, ...]:
    """Return something that differs whenever an alarm was added, changed or deleted."""
    table = alarms.c
    row = db.execute(
        sa.select(sa.func.count(), sa.func.sum(table.version), sa.func.max(table.updated_at))
    ).one()
    return tuple(row)


def delete(db: Connection, names: Sequence[str]) -> None:
    """Delete alarms; their history stays."""
    db.execute(sa.delete(alarm_holds).where(alarm_holds.c.name.in_(list(names))))
    db.execute(sa.delete(alarms).where(alarms.c.name.in_(list(names))))


def find_hold(db: Connection, name: str) -> tuple[str, str, dt.datetime | None] | None:
    """Return what a composite told last, what keeps it from telling more, and until when; None if it never said."""
    row = db.execute(sa.select(alarm_holds).where(alarm_holds.c.name == name)).first()
    return (row.told, row.by, row.until) if row else None


def put_hold(db: Connection, name: str, told: str, by: str, until: dt.datetime | None) -> None:
    """Write how it stands with the actions of a composite."""
    values = {"told": told, "by": by, "until": until}
    changed = db.execute(sa.update(alarm_holds).where(alarm_holds.c.name == name).values(values))
    if changed.rowcount == 0:
        db.execute(sa.insert(alarm_holds).values(name=name, **values))


def delete_hold(db: Connection, name: str) -> None:
    """Forget what kept a composite from acting."""
    db.execute(sa.delete(alarm_holds).where(alarm_holds.c.name == name))


def add_history(db: Connection, item: HistoryItem) -> None:
    """Add what happened to an alarm."""
    db.execute(
        sa.insert(alarm_history).values(
            alarm=item.alarm,
            alarm_kind=item.alarm_kind,
            at=item.at,
            kind=item.kind,
            summary=item.summary,
            data=item.data,
        )
    )


def list_history(  # noqa: PLR0913 - one a filter of DescribeAlarmHistory
    db: Connection,
    *,
    alarm: str | None = None,
    kinds: Sequence[str] = ("MetricAlarm", "CompositeAlarm"),
    item_kind: str | None = None,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    is_ascending: bool = False,
    offset: int = 0,
    limit: int = 101,
) -> list[HistoryItem]:
    """Return what happened, newest first unless asked otherwise."""
    table = alarm_history.c
    query = sa.select(alarm_history).where(table.alarm_kind.in_(list(kinds)))
    if alarm is not None:
        query = query.where(table.alarm == alarm)
    if item_kind is not None:
        query = query.where(table.kind == item_kind)
    if start is not None:
        query = query.where(table.at >= start)
    if end is not None:
        query = query.where(table.at <= end)
    order = (table.at, table.id) if is_ascending else (table.at.desc(), table.id.desc())
    rows = db.execute(query.order_by(*order).offset(offset).limit(limit))
    return [
        HistoryItem(
            id=row.id,
            alarm=row.alarm,
            alarm_kind=row.alarm_kind,
            at=row.at,
            kind=row.kind,
            summary=row.summary,
            data=row.data,
        )
        for row in rows
    ]


def forget_history(db: Connection, *, before: dt.datetime) -> None:
    """Delete what happened before a moment."""
    db.execute(sa.delete(alarm_history).where(alarm_history.c.at < before))


def put_detector(db: Connection, made: AnomalyDetector) -> None:
    """Add an anomaly detector, or write it anew."""
    config = msgspec.json.encode(made.config).decode()
    changed = db.execute(
        sa.update(anomaly_detectors).where(anomaly_detectors.c.id == made.id).values(config=config)
    )
    if changed.rowcount == 0:
        db.execute(
            sa.insert(anomaly_detectors).values(
                id=made.id, config=config, created_at=made.created_at
            )
        )


def list_detectors(db: Connection) -> list[AnomalyDetector]:
    """Return every anomaly detector."""
    rows = db.execute(sa.select(anomaly_detectors).order_by(anomaly_detectors.c.id))
    return [
        AnomalyDetector(
            id=row.id,
            config=msgspec.json.decode(row.config, type=dict[str, Any]),
            created_at=row.created_at,
        )
        for row in rows
    ]


def delete_detector(db: Connection, detector_id: str) -> bool:
    """Delete an anomaly detector; say whether it was there."""
    gone = db.execute(sa.delete(anomaly_detectors).where(anomaly_detectors.c.id == detector_id))
    return gone.rowcount == 1


def _values(alarm: Alarm) -> dict[str, Any]:
    return {
        "name": alarm.name,
        "arn": alarm.arn,
        "kind": alarm.kind,
        "config": msgspec.json.encode(alarm.config).decode(),
        "actions_enabled": alarm.actions_enabled,
        "configured_at": alarm.configured_at,
        "state": alarm.state,
        "reason": alarm.reason,
        "reason_data": alarm.reason_data,
        "updated_at": alarm.updated_at,
        "transitioned_at": alarm.transitioned_at,
        "suppressed_by": alarm.suppressed_by,
        "suppressed_reason": alarm.suppressed_reason,
    }


def _alarm(row: Row[tuple[object, ...]]) -> Alarm:
    return Alarm(
        name=row.name,
        arn=row.arn,
        kind=row.kind,
        config=msgspec.json.decode(row.config, type=dict[str, Any]),
        actions_enabled=bool(row.actions_enabled),
        configured_at=row.configured_at,
        state=row.state,
        reason=row.reason,
        reason_data=row.reason_data,
        updated_at=row.updated_at,
        transitioned_at=row.transitioned_at,
        version=row.version,
        suppressed_by=row.suppressed_by,
        suppressed_reason=row.suppressed_reason,
    )
