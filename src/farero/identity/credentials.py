"""Temporary keys: for AssumeRole and GetSessionToken, and for the calls that models and jobs make themselves."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from typing import TYPE_CHECKING

from farero.base import ids
from farero.base.errors import NotFound
from farero.records.identity import Credential
from farero.store import identity as rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.store.engine import Store

#: Models and jobs run long; their keys are made anew with every start.
OWN_CALLS_SPAN = dt.timedelta(days=7)
#: The same key serves starts that follow one another closely.
REUSE_WITHIN = dt.timedelta(hours=1)


class Credentials:
    """Makes temporary keys."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._made: dict[str, tuple[dt.datetime, Credential]] = {}
        self._lock = threading.Lock()

    def assume(self, role_arn: str, session: str, span: dt.timedelta) -> Credential:
        """Return a fresh key for a session of a role. Raises NotFound if there is no such role."""
        name = role_arn.rpartition("/")[2]
        with self._store.begin() as db:
            role = rows.find_entity(db, "role", name)
            if role is None or role.arn != role_arn:
                raise NotFound("role", role_arn)
            arn = f"arn:aws:sts::{self._settings.account}:assumed-role/{name}/{session}"
            return self._make(db, arn, f"{role.id}:{session}", span)

    def session_of(self, principal_arn: str, user_id: str, span: dt.timedelta) -> Credential:
        """Return a fresh temporary key for who already has one."""
        with self._store.begin() as db:
            return self._make(db, principal_arn, user_id, span)

    def for_role(self, role_arn: str) -> Mapping[str, str]:
        """Return AWS_… variables for a process that runs with a role; none if the role is not known here."""
        now = self._clock.now()
        with self._lock:
            made = self._made.get(role_arn)
            if made is None or now - made[0] > REUSE_WITHIN:
                try:
                    made = (now, self.assume(role_arn, "SageMaker", OWN_CALLS_SPAN))
                except NotFound:
                    return {}
                self._made[role_arn] = made
        credential = made[1]
        return {
            "AWS_ACCESS_KEY_ID": credential.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credential.secret_access_key,
            "AWS_SESSION_TOKEN": credential.session_token or "",
        }

    def _make(self, db: object, arn: str, user_id: str, span: dt.timedelta) -> Credential:
        now = self._clock.now()
        credential = Credential(
            access_key_id=ids.unique_id("ASIA"),
            secret_access_key=ids.secret_key(),
            session_token=secrets.token_urlsafe(96),
            expires_at=now + span,
            principal_arn=arn,
            user_id=user_id,
        )
        rows.delete_expired(db, before=now - dt.timedelta(days=1))  # pyright: ignore[reportArgumentType] - a Connection, which this layer does not name
        rows.insert_credential(db, credential, created_at=now)  # pyright: ignore[reportArgumentType]
        return credential
