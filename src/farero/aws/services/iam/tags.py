"""Tags of users, roles, policies and instance profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.aws.services.iam import answers
from farero.aws.services.iam.answers import paged
from farero.identity.entities import Entities

if TYPE_CHECKING:
    from farero.base.context import Context
    from farero.store.engine import Store

    Value = dict[str, Any]


class Tags:
    """The same three operations for each of the four kinds."""

    def __init__(self, store: Store) -> None:
        self._entities = Entities(store)

    def tag_user(self, ctx: Context, req: Value) -> Value:
        """Add tags to a user."""
        _ = ctx
        self._entities.tag("user", req["UserName"], answers.tag_dict(req))
        return {}

    def untag_user(self, ctx: Context, req: Value) -> Value:
        """Take tags of a user away."""
        _ = ctx
        self._entities.untag("user", req["UserName"], req["TagKeys"])
        return {}

    def list_user_tags(self, ctx: Context, req: Value) -> Value:
        """List the tags of a user by key."""
        _ = ctx
        found = self._entities.get("user", req["UserName"])
        return paged(req, "Tags", answers.tag_list(found))

    def tag_role(self, ctx: Context, req: Value) -> Value:
        """Add tags to a role."""
        _ = ctx
        self._entities.tag("role", req["RoleName"], answers.tag_dict(req))
        return {}

    def untag_role(self, ctx: Context, req: Value) -> Value:
        """Take tags of a role away."""
        _ = ctx
        self._entities.untag("role", req["RoleName"], req["TagKeys"])
        return {}

    def list_role_tags(self, ctx: Context, req: Value) -> Value:
        """List the tags of a role by key."""
        _ = ctx
        found = self._entities.get("role", req["RoleName"])
        return paged(req, "Tags", answers.tag_list(found))

    def tag_policy(self, ctx: Context, req: Value) -> Value:
        """Add tags to a policy."""
        _ = ctx
        self._entities.tag("policy", req["PolicyArn"], answers.tag_dict(req))
        return {}

    def untag_policy(self, ctx: Context, req: Value) -> Value:
        """Take tags of a policy away."""
        _ = ctx
        self._entities.untag("policy", req["PolicyArn"], req["TagKeys"])
        return {}

    def list_policy_tags(self, ctx: Context, req: Value) -> Value:
        """List the tags of a policy by key."""
        _ = ctx
        found = self._entities.get("policy", req["PolicyArn"])
        return paged(req, "Tags", answers.tag_list(found))

    def tag_instance_profile(self, ctx: Context, req: Value) -> Value:
        """Add tags to an instance profile."""
        _ = ctx
        self._entities.tag("instance-profile", req["InstanceProfileName"], answers.tag_dict(req))
        return {}

    def untag_instance_profile(self, ctx: Context, req: Value) -> Value:
        """Take tags of an instance profile away."""
        _ = ctx
        self._entities.untag("instance-profile", req["InstanceProfileName"], req["TagKeys"])
        return {}

    def list_instance_profile_tags(self, ctx: Context, req: Value) -> Value:
        """List the tags of an instance profile by key."""
        _ = ctx
        found = self._entities.get("instance-profile", req["InstanceProfileName"])
        return paged(req, "Tags", answers.tag_list(found))
