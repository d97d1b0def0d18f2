"""The lasting keys of IAM users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.base import ids
from farero.base.errors import LimitExceeded, NotFound
from farero.identity.entities import get_entity
from farero.records.identity import Credential
from farero.store import identity as rows

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection

    from farero.store.engine import Store

#: "IAM and AWS STS quotas".
MOST_KEYS = 2


class AccessKeys:
    """Keys by the user they belong to."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, user: str, now: dt.datetime) -> tuple[str, Credential]:
        """Make a key; return the user's name as IAM knows it and the key with its secret."""
        with self._store.begin() as db:
            owner = get_entity(db, "user", user, for_update=True)
            if len(rows.list_credentials(db, owner.name)) >= MOST_KEYS:
                raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")
            key = Credential(
                access_key_id=ids.unique_id("AKIA"),
                secret_access_key=ids.secret_key(),
                principal_arn=owner.arn,
                user_id=owner.id,
            )
            rows.insert_credential(db, key, created_at=now, user_name=owner.name)
        return owner.name, key

    def list(self, user: str) -> list[tuple[Credential, dt.datetime]]:
        """Return a user's keys, oldest first, with the moments they were made."""
        with self._store.read() as db:
            return rows.list_credentials(db, get_entity(db, "user", user).name)

    def set_active(self, user: str, access_key_id: str, *, is_active: bool) -> None:
        """Switch a key on or off; gateways know within a second."""
        with self._store.begin() as db:
            _check_owner(db, user, access_key_id)
            rows.set_active(db, access_key_id, is_active=is_active)

    def delete(self, user: str, access_key_id: str) -> None:
        """Remove a key; gateways know within a second."""
        with self._store.begin() as db:
            _check_owner(db, user, access_key_id)
            rows.delete_credential(db, access_key_id)

    def user_of(self, access_key_id: str) -> str:
        """Return the name of the user whose key it is; "" for a key of a role. Raises NotFound."""
        with self._store.read() as db:
            name = rows.find_user_name(db, access_key_id)
        if name is None:
            raise _unknown(access_key_id)
        return name


def _check_owner(db: Connection, user: str, access_key_id: str) -> None:
    owner = get_entity(db, "user", user)
    if rows.find_user_name(db, access_key_id) != owner.name:
        raise _unknown(access_key_id)


def _unknown(access_key_id: str) -> NotFound:
    detail = f"The Access Key with id {access_key_id} cannot be found."
    return NotFound("access key", access_key_id, detail)
