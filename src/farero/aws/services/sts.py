"""The room of AWS STS: who am I, and keys for a while."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from farero.aws.wire.messages import AwsError
from farero.base.errors import DomainError, Invalid, NotFound
from farero.store import identity as rows

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.identity.credentials import Credentials
    from farero.records.identity import Credential
    from farero.store.engine import Store

_ROLE_ARN = re.compile(r"arn:aws:iam::\d{12}:role/.+")


class Sts:
    """Security tokens."""

    service = "sts"
    errors: dict[type[DomainError], tuple[str, int]] = {}  # noqa: RUF012 - read only

    def __init__(self, credentials: Credentials, store: Store) -> None:
        self._credentials = credentials
        self._store = store

    def get_caller_identity(self, ctx: Context, req: Value) -> Value:
        """Say whose key signed the request; the owner's is a session of the default execution role."""
        _ = req
        return {
            "UserId": ctx.principal.user_id,
            "Account": ctx.account,
            "Arn": ctx.principal.arn,
        }

    def assume_role(self, ctx: Context, req: Value) -> Value:
        """Give out a temporary key for a role; trust policies are stored, not evaluated."""
        arn: str = req["RoleArn"]
        if not _ROLE_ARN.fullmatch(arn):
            raise AwsError("ValidationError", f"{arn} is invalid")
        span = dt.timedelta(seconds=req.get("DurationSeconds", 3600))
        try:
            made = self._credentials.assume(arn, req["RoleSessionName"], span)
        except Invalid as error:
            raise AwsError("ValidationError", error.detail) from error
        except NotFound as error:
            raise AwsError(
                "AccessDenied",
                f"User: {ctx.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                403,
            ) from error
        answer: Value = {
            "Credentials": _wire(made),
            "AssumedRoleUser": {"AssumedRoleId": made.user_id, "Arn": made.principal_arn},
        }
        if "SourceIdentity" in req:
            answer["SourceIdentity"] = req["SourceIdentity"]
        return answer

    def get_session_token(self, ctx: Context, req: Value) -> Value:
        """Give out a temporary key for the caller itself."""
        principal = ctx.principal
        if principal.access_key_id.startswith("ASIA"):
            raise AwsError(
                "AccessDenied", "Cannot call GetSessionToken with session credentials", 403
            )
        span = dt.timedelta(seconds=req.get("DurationSeconds", 43200))
        made = self._credentials.session_of(
            principal.arn, principal.user_id, span, is_owner=principal.is_owner
        )
        return {"Credentials": _wire(made)}

    def get_access_key_info(self, ctx: Context, req: Value) -> Value:
        """Say which account a key belongs to."""
        with self._store.read() as db:
            found = rows.find_credential(db, req["AccessKeyId"])
        if found is None:
            raise AwsError("ValidationError", "Invalid Access Key ID", 400)
        return {"Account": ctx.account}


def _wire(credential: Credential) -> Value:
    return {
        "AccessKeyId": credential.access_key_id,
        "SecretAccessKey": credential.secret_access_key,
        "SessionToken": credential.session_token,
        "Expiration": credential.expires_at,
    }
