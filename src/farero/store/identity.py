"""Rows of credentials and of IAM's entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from farero.base.errors import Conflict
from farero.records.identity import Credential, Entity
from farero.store.tables.identity import credentials, iam_entities

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection, Row


def insert_credential(
    db: Connection, credential: Credential, *, created_at: dt.datetime, user_name: str = ""
) -> None:
    """Add a key."""
    db.execute(
        sa.insert(credentials).values(
            access_key_id=credential.access_key_id,
            secret_access_key=credential.secret_access_key,
            session_token=credential.session_token,
            expires_at=credential.expires_at,
            principal_arn=credential.principal_arn,
            user_id=credential.user_id,
            user_name=user_name,
            is_owner=credential.is_owner,
            is_active=credential.is_active,
            created_at=created_at,
        )
    )


def find_credential(db: Connection, access_key_id: str) -> Credential | None:
    """Return a key by its id."""
    query = sa.select(credentials).where(credentials.c.access_key_id == access_key_id)
    row = db.execute(query).first()
    return _credential(row) if row else None


def list_credentials(db: Connection, user_name: str) -> list[tuple[Credential, dt.datetime]]:
    """Return a user's keys with the moments they were made, oldest first."""
    query = (
        sa.select(credentials)
        .where(credentials.c.user_name == user_name)
        .order_by(credentials.c.created_at, credentials.c.access_key_id)
    )
    return [(_credential(row), row.created_at) for row in db.execute(query)]


def find_user_name(db: Connection, access_key_id: str) -> str | None:
    """Return the user whose key it is, "" for a role's key, None when there is no such key."""
    query = sa.select(credentials.c.user_name).where(credentials.c.access_key_id == access_key_id)
    return db.execute(query).scalar()


def set_active(db: Connection, access_key_id: str, *, is_active: bool) -> bool:
    """Switch a key on or off; False if there is none."""
    changed = db.execute(
        sa.update(credentials)
        .where(credentials.c.access_key_id == access_key_id)
        .values(is_active=is_active)
    )
    return changed.rowcount > 0


def rename_user(db: Connection, user_name: str, *, new_name: str, arn: str) -> None:
    """Let a user's keys follow its new name."""
    db.execute(
        sa.update(credentials)
        .where(credentials.c.user_name == user_name)
        .values(user_name=new_name, principal_arn=arn)
    )


def delete_credential(db: Connection, access_key_id: str) -> bool:
    """Remove a key; False if there was none."""
    gone = db.execute(sa.delete(credentials).where(credentials.c.access_key_id == access_key_id))
    return gone.rowcount > 0


def delete_expired(db: Connection, *, before: dt.datetime) -> int:
    """Remove temporary keys that ended before a moment; return how many."""
    return db.execute(sa.delete(credentials).where(credentials.c.expires_at < before)).rowcount


def insert_entity(db: Connection, entity: Entity) -> None:
    """Add a user, role, group, policy or instance profile.

    Raises Conflict if another writer took the name meanwhile; the transaction is lost then.
    """
    try:
        db.execute(sa.insert(iam_entities).values(**_columns(entity)))
    except IntegrityError as error:
        raise Conflict(entity.kind, entity.name) from error


def update_entity(db: Connection, entity: Entity) -> None:
    """Replace an entity of the same kind and name."""
    table = iam_entities.c
    db.execute(
        sa.update(iam_entities)
        .where(table.kind == entity.kind, table.name == entity.name)
        .values(**_columns(entity))
    )


def find_entity(db: Connection, kind: str, name: str, *, for_update: bool = False) -> Entity | None:
    """Return an entity; IAM's names are compared without case.

    for_update: hold it until the transaction ends, so that no other writer's change is lost.
    """
    table = iam_entities.c
    query = sa.select(iam_entities).where(
        table.kind == kind, sa.func.lower(table.name) == name.lower()
    )
    row = db.execute(query.with_for_update() if for_update else query).first()
    return _entity(row) if row else None


def list_entities(db: Connection, kind: str) -> list[Entity]:
    """Return every entity of a kind by name."""
    query = sa.select(iam_entities).where(iam_entities.c.kind == kind).order_by(iam_entities.c.name)
    return [_entity(row) for row in db.execute(query)]


def delete_entity(db: Connection, kind: str, name: str) -> bool:
    """Remove an entity; False if there was none."""
    table = iam_entities.c
    gone = db.execute(sa.delete(iam_entities).where(table.kind == kind, table.name == name))
    return gone.rowcount > 0


def _credential(row: Row[Any]) -> Credential:
    return Credential(
        access_key_id=row.access_key_id,
        secret_access_key=row.secret_access_key,
        session_token=row.session_token,
        expires_at=row.expires_at,
        principal_arn=row.principal_arn,
        user_id=row.user_id,
        is_owner=bool(row.is_owner),
        is_active=bool(row.is_active),
    )


def _columns(entity: Entity) -> dict[str, Any]:
    return {
        "kind": entity.kind,
        "name": entity.name,
        "arn": entity.arn,
        "id": entity.id,
        "path": entity.path,
        "created_at": entity.created_at,
        "document": msgspec.json.encode(entity.document).decode(),
    }


def _entity(row: Row[Any]) -> Entity:
    return Entity(
        kind=row.kind,
        name=row.name,
        arn=row.arn,
        id=row.id,
        path=row.path,
        created_at=row.created_at,
        document=msgspec.json.decode(row.document),
    )
