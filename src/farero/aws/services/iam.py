"""The room of AWS IAM: users, roles and policies are stored and returned; evaluation comes later."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from farero.aws.wire.messages import AwsError
from farero.store import identity as rows

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.base.errors import DomainError
    from farero.records.identity import Entity
    from farero.store.engine import Store


class Iam:
    """Identity and access."""

    service = "iam"
    errors: dict[type[DomainError], tuple[str, int]] = {}  # noqa: RUF012 - read only

    def __init__(self, store: Store) -> None:
        self._store = store

    def get_role(self, ctx: Context, req: Value) -> Value:
        """Describe a role."""
        _ = ctx
        with self._store.read() as db:
            role = rows.find_entity(db, "role", req["RoleName"])
        if role is None:
            raise AwsError(
                "NoSuchEntity", f"The role with name {req['RoleName']} cannot be found.", 404
            )
        return {"Role": _role(role)}

    def simulate_principal_policy(self, ctx: Context, req: Value) -> Value:
        """Allow everything: policies are not evaluated yet."""
        _ = ctx
        results = [
            {"EvalActionName": action, "EvalResourceName": "*", "EvalDecision": "allowed"}
            for action in req["ActionNames"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}


def _role(role: Entity) -> Value:
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": quote(role.document["AssumeRolePolicyDocument"], safe=""),
        "Description": role.document.get("Description"),
        "MaxSessionDuration": role.document.get("MaxSessionDuration", 3600),
    }
