"""Policies within users, groups and roles, and policies attached to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.aws.services.iam import answers
from farero.aws.services.iam.answers import paged
from farero.identity.entities import Entities

if TYPE_CHECKING:
    from farero.base.context import Context
    from farero.store.engine import Store

    Value = dict[str, Any]


class Attachments:
    """The same seven operations for each of the three kinds."""

    def __init__(self, store: Store) -> None:
        self._entities = Entities(store)

    def put_user_policy(self, ctx: Context, req: Value) -> Value:
        """Put a policy within a user."""
        _ = ctx
        return self._put("user", req)

    def get_user_policy(self, ctx: Context, req: Value) -> Value:
        """Return a policy within a user."""
        _ = ctx
        return self._get("user", req)

    def delete_user_policy(self, ctx: Context, req: Value) -> Value:
        """Take a policy within a user away."""
        _ = ctx
        return self._delete("user", req)

    def list_user_policies(self, ctx: Context, req: Value) -> Value:
        """List the policies within a user by name."""
        _ = ctx
        return self._list("user", req)

    def attach_user_policy(self, ctx: Context, req: Value) -> Value:
        """Attach a managed policy to a user."""
        _ = ctx
        return self._attach("user", req)

    def detach_user_policy(self, ctx: Context, req: Value) -> Value:
        """Detach a managed policy from a user."""
        _ = ctx
        return self._detach("user", req)

    def list_attached_user_policies(self, ctx: Context, req: Value) -> Value:
        """List the managed policies attached to a user."""
        _ = ctx
        return self._list_attached("user", req)

    def put_group_policy(self, ctx: Context, req: Value) -> Value:
        """Put a policy within a group."""
        _ = ctx
        return self._put("group", req)

    def get_group_policy(self, ctx: Context, req: Value) -> Value:
        """Return a policy within a group."""
        _ = ctx
        return self._get("group", req)

    def delete_group_policy(self, ctx: Context, req: Value) -> Value:
        """Take a policy within a group away."""
        _ = ctx
        return self._delete("group", req)

    def list_group_policies(self, ctx: Context, req: Value) -> Value:
        """List the policies within a group by name."""
        _ = ctx
        return self._list("group", req)

    def attach_group_policy(self, ctx: Context, req: Value) -> Value:
        """Attach a managed policy to a group."""
        _ = ctx
        return self._attach("group", req)

    def detach_group_policy(self, ctx: Context, req: Value) -> Value:
        """Detach a managed policy from a group."""
        _ = ctx
        return self._detach("group", req)

    def list_attached_group_policies(self, ctx: Context, req: Value) -> Value:
        """List the managed policies attached to a group."""
        _ = ctx
        return self._list_attached("group", req)

    def put_role_policy(self, ctx: Context, req: Value) -> Value:
        """Put a policy within a role."""
        _ = ctx
        return self._put("role", req)

    def get_role_policy(self, ctx: Context, req: Value) -> Value:
        """Return a policy within a role."""
        _ = ctx
        return self._get("role", req)

    def delete_role_policy(self, ctx: Context, req: Value) -> Value:
        """Take a policy within a role away."""
        _ = ctx
        return self._delete("role", req)

    def list_role_policies(self, ctx: Context, req: Value) -> Value:
        """List the policies within a role by name."""
        _ = ctx
        return self._list("role", req)

    def attach_role_policy(self, ctx: Context, req: Value) -> Value:
        """Attach a managed policy to a role."""
        _ = ctx
        return self._attach("role", req)

    def detach_role_policy(self, ctx: Context, req: Value) -> Value:
        """Detach a managed policy from a role."""
        _ = ctx
        return self._detach("role", req)

    def list_attached_role_policies(self, ctx: Context, req: Value) -> Value:
        """List the managed policies attached to a role."""
        _ = ctx
        return self._list_attached("role", req)

    def _put(self, kind: str, req: Value) -> Value:
        self._entities.put_inline(kind, _name(kind, req), req["PolicyName"], req["PolicyDocument"])
        return {}

    def _get(self, kind: str, req: Value) -> Value:
        text = self._entities.get_inline(kind, _name(kind, req), req["PolicyName"])
        return {
            f"{kind.capitalize()}Name": _name(kind, req),
            "PolicyName": req["PolicyName"],
            "PolicyDocument": answers.quoted(text),
        }

    def _delete(self, kind: str, req: Value) -> Value:
        self._entities.delete_inline(kind, _name(kind, req), req["PolicyName"])
        return {}

    def _list(self, kind: str, req: Value) -> Value:
        found = self._entities.get(kind, _name(kind, req)).document.get("InlinePolicies", {})
        return paged(req, "PolicyNames", sorted(found))

    def _attach(self, kind: str, req: Value) -> Value:
        self._entities.attach(kind, _name(kind, req), req["PolicyArn"])
        return {}

    def _detach(self, kind: str, req: Value) -> Value:
        self._entities.detach(kind, _name(kind, req), req["PolicyArn"])
        return {}

    def _list_attached(self, kind: str, req: Value) -> Value:
        found = self._entities.get(kind, _name(kind, req)).document.get("AttachedPolicies", [])
        prefix = req.get("PathPrefix", "/")
        below = [arn for arn in found if _path_and_name(arn).startswith(prefix)]
        return paged(req, "AttachedPolicies", below, _attached)


def _name(kind: str, req: Value) -> str:
    return req[f"{kind.capitalize()}Name"]


def _path_and_name(arn: str) -> str:
    return arn.partition(":policy")[2]


def _attached(arn: str) -> Value:
    return {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}
