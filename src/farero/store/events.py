"""The rows of event buses, rules and targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from farero.records.events import DEFAULT_BUS, EventBus, Rule, Target
from farero.store.tables.events import event_buses, event_rules, event_targets

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

_rules = event_rules.c
_targets = event_targets.c


def is_heard(db: Connection, bus: str = DEFAULT_BUS) -> bool:
    """Say whether any rule listens on a bus: one look into an index, for everyone who has something to tell."""
    query = sa.select(_rules.name).where(_rules.listens.is_(True), _rules.bus == bus).limit(1)
    return db.execute(query).first() is not None


def insert_bus(db: Connection, bus: EventBus) -> None:
    """Add a bus that is not there."""
    db.execute(
        sa.insert(event_buses).values(
            name=bus.name, arn=bus.arn, created_at=bus.created_at, given=_text(bus.given)
        )
    )


def find_bus(db: Connection, name: str) -> EventBus | None:
    """Return a bus that somebody made, or None."""
    row = db.execute(sa.select(event_buses).where(event_buses.c.name == name)).first()
    return _bus(row) if row else None


def list_buses(db: Connection) -> list[EventBus]:
    """Return the buses that somebody made, by name."""
    return [_bus(row) for row in db.execute(sa.select(event_buses).order_by(event_buses.c.name))]


def delete_bus(db: Connection, name: str) -> None:
    """Delete a bus without rules."""
    db.execute(sa.delete(event_buses).where(event_buses.c.name == name))


def put_rule(db: Connection, rule: Rule) -> None:
    """Add a rule, or write all of it anew."""
    values = {
        "arn": rule.arn,
        "pattern": rule.pattern,
        "schedule": rule.schedule,
        "state": rule.state,
        "listens": rule.listens,
        "description": rule.description,
        "role_arn": rule.role_arn,
        "began_at": rule.began_at,
        "next_at": rule.next_at,
    }
    changed = db.execute(
        sa.update(event_rules)
        .where(_rules.bus == rule.bus, _rules.name == rule.name)
        .values(**values)
    )
    if changed.rowcount == 0:
        db.execute(sa.insert(event_rules).values(bus=rule.bus, name=rule.name, **values))


def find_rule(db: Connection, bus: str, name: str, *, lock: bool = False) -> Rule | None:
    """Return a rule, or None. lock: nobody else may change it until the transaction ends."""
    query = sa.select(event_rules).where(_rules.bus == bus, _rules.name == name)
    row = db.execute(query.with_for_update() if lock else query).first()
    return _rule(row) if row else None


def list_rules(
    db: Connection, bus: str, *, prefix: str = "", after: str = "", limit: int
) -> list[Rule]:
    """Return rules of a bus by name, from the one after `after`."""
    rows = db.execute(
        sa.select(event_rules)
        .where(
            _rules.bus == bus,
            _rules.name > after,
            _rules.name.startswith(prefix, autoescape=True),
        )
        .order_by(_rules.name)
        .limit(limit)
    )
    return [_rule(row) for row in rows]


def listening(db: Connection, bus: str) -> list[Rule]:
    """Return the rules of a bus that want to hear of events."""
    query = sa.select(event_rules).where(_rules.listens.is_(True), _rules.bus == bus)
    return [_rule(row) for row in db.execute(query.order_by(_rules.name))]


def count_rules(db: Connection, bus: str) -> int:
    """Return how many rules a bus has."""
    query = sa.select(sa.func.count()).select_from(event_rules).where(_rules.bus == bus)
    return int(db.execute(query).scalar_one())


def rule_names_by_target(
    db: Connection, bus: str, arn: str, *, after: str, limit: int
) -> list[str]:
    """Return the names of the rules of a bus that have a target of this ARN."""
    rows = db.execute(
        sa.select(_targets.rule)
        .distinct()
        .where(_targets.bus == bus, _targets.arn == arn, _targets.rule > after)
        .order_by(_targets.rule)
        .limit(limit)
    )
    return [row.rule for row in rows]


def delete_rule(db: Connection, bus: str, name: str) -> None:
    """Delete a rule without targets."""
    db.execute(sa.delete(event_rules).where(_rules.bus == bus, _rules.name == name))


def put_target(db: Connection, target: Target) -> None:
    """Add a target, or give one another configuration; one that is there keeps its uid."""
    values = {"arn": target.arn, "given": _text(target.given)}
    changed = db.execute(
        sa.update(event_targets)
        .where(_targets.bus == target.bus, _targets.rule == target.rule, _targets.id == target.id)
        .values(**values)
    )
    if changed.rowcount == 0:
        keys = {"bus": target.bus, "rule": target.rule, "id": target.id, "uid": target.uid}
        db.execute(sa.insert(event_targets).values(**keys, **values))


def targets_of(db: Connection, bus: str, rule: str) -> list[Target]:
    """Return a rule's targets by id; there are few."""
    query = sa.select(event_targets).where(_targets.bus == bus, _targets.rule == rule)
    return [_target(row) for row in db.execute(query.order_by(_targets.id))]


def find_target(db: Connection, uid: str) -> Target | None:
    """Return a target by the name that deliveries have for it, or None."""
    row = db.execute(sa.select(event_targets).where(_targets.uid == uid)).first()
    return _target(row) if row else None


def delete_targets(db: Connection, bus: str, rule: str, ids: Sequence[str]) -> None:
    """Delete targets of a rule."""
    db.execute(
        sa.delete(event_targets).where(
            _targets.bus == bus, _targets.rule == rule, _targets.id.in_(list(ids))
        )
    )


def set_next(db: Connection, rule: Rule, next_at: dt.datetime | None) -> None:
    """Write down when a rule's schedule is due."""
    db.execute(
        sa.update(event_rules)
        .where(_rules.bus == rule.bus, _rules.name == rule.name)
        .values(next_at=next_at)
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _bus(row: Row[tuple[object, ...]]) -> EventBus:
    given = msgspec.json.decode(row.given, type=dict[str, Any])
    return EventBus(name=row.name, arn=row.arn, created_at=row.created_at, given=given)


def _rule(row: Row[tuple[object, ...]]) -> Rule:
    return Rule(
        bus=row.bus,
        name=row.name,
        arn=row.arn,
        pattern=row.pattern,
        schedule=row.schedule,
        state=row.state,
        description=row.description,
        role_arn=row.role_arn,
        began_at=row.began_at,
        next_at=row.next_at,
    )


def _target(row: Row[tuple[object, ...]]) -> Target:
    given = msgspec.json.decode(row.given, type=dict[str, Any])
    return Target(bus=row.bus, rule=row.rule, id=row.id, uid=row.uid, arn=row.arn, given=given)
