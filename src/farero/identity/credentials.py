"""Temporary keys: for AssumeRole and GetSessionToken, and for the calls that models and jobs make themselves."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from typing import TYPE_CHECKING

from farero.base import ids
from farero.base.errors import Invalid, NotFound
from farero.records.identity import Credential
from farero.store import identity as rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.records.identity import Entity
    from farero.store.engine import Store

#: Models and jobs run long; their keys are made anew with every start.
OWN_CALLS_SPAN = dt.timedelta(days=7)
#: The same key serves starts that follow one another closely.
REUSE_WITHIN = dt.timedelta(hours=1)
#: Keys that ended this long ago are forgotten; until then they are told from unknown ones.
KEEP_ENDED = dt.timedelta(days=1)


class Credentials:
    """Makes temporary keys."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._made: dict[str, tuple[dt.datetime, Credential]] = {}
        self._lock = threading.Lock()

    def assume(self, role_arn: str, session: str, span: dt.timedelta) -> Credential:
        """Return a fresh key for a session of a role.

        Raises NotFound if there is no such role, Invalid if it allows no session that long.
        """
        with self._store.begin() as db:
            role = self._get_role(db, role_arn)
            if span.total_seconds() > role.document.get("MaxSessionDuration", 3600):
                raise Invalid(
                    "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
                )
            return self._make_session(db, role, session, span)

    def session_of(
        self, principal_arn: str, user_id: str, span: dt.timedelta, *, is_owner: bool = False
    ) -> Credential:
        """Return a fresh temporary key for who already has one."""
        with self._store.begin() as db:
            return self._make(db, principal_arn, user_id, span, is_owner=is_owner)

    def for_role(self, role_arn: str) -> Mapping[str, str]:
        """Return AWS_… variables for a process that runs with a role; none if the role is not known here."""
        now = self._clock.now()
        with self._lock:
            made = self._made.get(role_arn)
            if made is None or now - made[0] > REUSE_WITHIN:
                try:
                    with self._store.begin() as db:
                        role = self._get_role(db, role_arn)
                        made = (now, self._make_session(db, role, "SageMaker", OWN_CALLS_SPAN))
                except NotFound:
                    return {}
                self._made[role_arn] = made
        credential = made[1]
        return {
            "AWS_ACCESS_KEY_ID": credential.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credential.secret_access_key,
            "AWS_SESSION_TOKEN": credential.session_token or "",
        }

    def _get_role(self, db: Connection, arn: str) -> Entity:
        role = rows.find_entity(db, "role", arn.rpartition("/")[2])
        if role is None or role.arn != arn:
            raise NotFound("role", arn)
        return role

    def _make_session(
        self, db: Connection, role: Entity, session: str, span: dt.timedelta
    ) -> Credential:
        arn = f"arn:aws:sts::{self._settings.account}:assumed-role/{role.name}/{session}"
        return self._make(db, arn, f"{role.id}:{session}", span)

    def _make(
        self,
        db: Connection,
        arn: str,
        user_id: str,
        span: dt.timedelta,
        *,
        is_owner: bool = False,
    ) -> Credential:
        now = self._clock.now()
        credential = Credential(
            access_key_id=ids.unique_id("ASIA"),
            secret_access_key=ids.secret_key(),
            session_token=secrets.token_urlsafe(96),
            expires_at=now + span,
            principal_arn=arn,
            user_id=user_id,
            is_owner=is_owner,
        )
        rows.delete_expired(db, before=now - KEEP_ENDED)
        rows.insert_credential(db, credential, created_at=now)
        return credential
