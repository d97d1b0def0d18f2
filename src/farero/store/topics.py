"""The rows of topics and subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from farero.records.notify import Subscription, Topic
from farero.store.tables.topics import subscriptions, topics

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


def insert_topic(db: Connection, topic: Topic) -> None:
    """Add a topic that is not there."""
    db.execute(
        sa.insert(topics).values(
            arn=topic.arn, created_at=topic.created_at, attributes=_text(topic.attributes)
        )
    )


def find_topic(db: Connection, arn: str) -> Topic | None:
    """Return a topic, or None."""
    row = db.execute(sa.select(topics).where(topics.c.arn == arn)).first()
    return _topic(row) if row else None


def list_topics(db: Connection, *, after: str, limit: int) -> list[Topic]:
    """Return topics in order of their ARNs, from the one after `after`."""
    rows = db.execute(
        sa.select(topics).where(topics.c.arn > after).order_by(topics.c.arn).limit(limit)
    )
    return [_topic(row) for row in rows]


def set_topic_attributes(db: Connection, arn: str, attributes: dict[str, str]) -> None:
    """Write all attributes of a topic anew."""
    db.execute(sa.update(topics).where(topics.c.arn == arn).values(attributes=_text(attributes)))


def delete_topic(db: Connection, arn: str) -> None:
    """Delete a topic and its subscriptions."""
    db.execute(sa.delete(subscriptions).where(subscriptions.c.topic_arn == arn))
    db.execute(sa.delete(topics).where(topics.c.arn == arn))


def insert_subscription(db: Connection, made: Subscription) -> None:
    """Add a subscription."""
    db.execute(
        sa.insert(subscriptions).values(
            id=made.id,
            arn=made.arn,
            topic_arn=made.topic_arn,
            protocol=made.protocol,
            endpoint=made.endpoint,
            owner=made.owner,
            created_at=made.created_at,
            attributes=_text(made.attributes),
            token=made.token,
            confirmed=made.confirmed,
        )
    )


def update_subscription(db: Connection, changed: Subscription) -> None:
    """Write attributes, token and confirmation of a subscription anew."""
    db.execute(
        sa.update(subscriptions)
        .where(subscriptions.c.id == changed.id)
        .values(
            attributes=_text(changed.attributes), token=changed.token, confirmed=changed.confirmed
        )
    )


def delete_subscription(db: Connection, subscription_id: str) -> None:
    """Delete one subscription."""
    db.execute(sa.delete(subscriptions).where(subscriptions.c.id == subscription_id))


def find_subscription(db: Connection, arn: str) -> Subscription | None:
    """Return a subscription by its ARN, or None."""
    return _first(db, subscriptions.c.arn == arn)


def find_subscription_by_id(db: Connection, subscription_id: str) -> Subscription | None:
    """Return a subscription by the last part of its ARN, or None."""
    return _first(db, subscriptions.c.id == subscription_id)


def find_same(db: Connection, topic_arn: str, protocol: str, endpoint: str) -> Subscription | None:
    """Return the subscription that this endpoint has already, or None."""
    table = subscriptions.c
    return _first(
        db,
        sa.and_(
            table.topic_arn == topic_arn, table.protocol == protocol, table.endpoint == endpoint
        ),
    )


def find_by_token(db: Connection, topic_arn: str, token: str) -> Subscription | None:
    """Return the subscription that this token confirms, or None."""
    table = subscriptions.c
    return _first(db, sa.and_(table.topic_arn == topic_arn, table.token == token))


def subscriptions_of(db: Connection, topic_arn: str) -> list[Subscription]:
    """Return all subscriptions of a topic."""
    rows = db.execute(
        sa.select(subscriptions)
        .where(subscriptions.c.topic_arn == topic_arn)
        .order_by(subscriptions.c.id)
    )
    return [_subscription(row) for row in rows]


def list_subscriptions(
    db: Connection, *, topic_arn: str | None, after: str, limit: int
) -> list[Subscription]:
    """Return subscriptions in order of their ids, from the one after `after`; of one topic or of all."""
    query = sa.select(subscriptions).where(subscriptions.c.id > after)
    if topic_arn is not None:
        query = query.where(subscriptions.c.topic_arn == topic_arn)
    rows = db.execute(query.order_by(subscriptions.c.id).limit(limit))
    return [_subscription(row) for row in rows]


def count_subscriptions(db: Connection, topic_arn: str) -> dict[bool, int]:
    """Return how many subscriptions of a topic are confirmed (True) and pending (False)."""
    table = subscriptions.c
    rows = db.execute(
        sa.select(table.confirmed, sa.func.count())
        .where(table.topic_arn == topic_arn)
        .group_by(table.confirmed)
    )
    return {bool(confirmed): count for confirmed, count in rows}


def _first(db: Connection, where: sa.ColumnElement[bool]) -> Subscription | None:
    row = db.execute(sa.select(subscriptions).where(where)).first()
    return _subscription(row) if row else None


def _text(attributes: dict[str, str]) -> str:
    return msgspec.json.encode(attributes).decode()


def _topic(row: Row[tuple[object, ...]]) -> Topic:
    return Topic(
        arn=row.arn,
        created_at=row.created_at,
        attributes=msgspec.json.decode(row.attributes, type=dict[str, str]),
    )


def _subscription(row: Row[tuple[object, ...]]) -> Subscription:
    return Subscription(
        arn=row.arn,
        topic_arn=row.topic_arn,
        protocol=row.protocol,
        endpoint=row.endpoint,
        owner=row.owner,
        created_at=row.created_at,
        attributes=msgspec.json.decode(row.attributes, type=dict[str, str]),
        token=row.token,
        confirmed=bool(row.confirmed),
    )
