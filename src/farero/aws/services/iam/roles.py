"""Roles and instance profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.aws.services.iam import answers
from farero.aws.services.iam.answers import paged
from farero.identity.documents import check_trust
from farero.identity.entities import Entities
from farero.identity.members import Members

if TYPE_CHECKING:
    from farero.base.context import Context
    from farero.records.identity import Entity
    from farero.store.engine import Store

    Value = dict[str, Any]

_ROLE_MEMBERS = ("Description", "MaxSessionDuration", "PermissionsBoundary")
PROFILE = "instance-profile"


class Roles:
    """What services and sessions act as."""

    def __init__(self, store: Store) -> None:
        self._entities = Entities(store)
        self._members = Members(store)

    def create_role(self, ctx: Context, req: Value) -> Value:
        """Add a role."""
        check_trust(req["AssumeRolePolicyDocument"])
        document: Value = {
            "AssumeRolePolicyDocument": req["AssumeRolePolicyDocument"],
            "Tags": answers.tag_dict(req),
        }
        document |= {name: req[name] for name in _ROLE_MEMBERS if name in req}
        made = self._entities.create(
            ctx, "role", req["RoleName"], path=req.get("Path", "/"), document=document
        )
        return {"Role": answers.role(made)}

    def get_role(self, ctx: Context, req: Value) -> Value:
        """Describe a role."""
        _ = ctx
        return {"Role": answers.role(self._entities.get("role", req["RoleName"]))}

    def update_role(self, ctx: Context, req: Value) -> Value:
        """Change description and longest session."""
        _ = ctx
        new = {name: req[name] for name in _ROLE_MEMBERS[:2] if name in req}
        self._entities.change("role", req["RoleName"], lambda d: d.update(new))
        return {}

    def update_role_description(self, ctx: Context, req: Value) -> Value:
        """Change the description."""
        _ = ctx
        new = {"Description": req["Description"]}
        changed = self._entities.change("role", req["RoleName"], lambda d: d.update(new))
        return {"Role": answers.role(changed)}

    def update_assume_role_policy(self, ctx: Context, req: Value) -> Value:
        """Change who may assume the role."""
        _ = ctx
        check_trust(req["PolicyDocument"])
        new = {"AssumeRolePolicyDocument": req["PolicyDocument"]}
        self._entities.change("role", req["RoleName"], lambda d: d.update(new))
        return {}

    def delete_role(self, ctx: Context, req: Value) -> Value:
        """Remove a role without policies and instance profiles."""
        _ = ctx
        self._entities.delete("role", req["RoleName"])
        return {}

    def list_roles(self, ctx: Context, req: Value) -> Value:
        """List roles by name."""
        _ = ctx
        found = self._entities.list("role", req.get("PathPrefix", "/"))
        return paged(req, "Roles", found, answers.role)

    def create_instance_profile(self, ctx: Context, req: Value) -> Value:
        """Add an instance profile without a role."""
        made = self._entities.create(
            ctx,
            PROFILE,
            req["InstanceProfileName"],
            path=req.get("Path", "/"),
            document={"Tags": answers.tag_dict(req)},
        )
        return {"InstanceProfile": self._profile(made)}

    def get_instance_profile(self, ctx: Context, req: Value) -> Value:
        """Describe an instance profile and its role."""
        _ = ctx
        found = self._entities.get(PROFILE, req["InstanceProfileName"])
        return {"InstanceProfile": self._profile(found)}

    def delete_instance_profile(self, ctx: Context, req: Value) -> Value:
        """Remove an instance profile without a role."""
        _ = ctx
        self._entities.delete(PROFILE, req["InstanceProfileName"])
        return {}

    def list_instance_profiles(self, ctx: Context, req: Value) -> Value:
        """List instance profiles by name."""
        _ = ctx
        found = self._entities.list(PROFILE, req.get("PathPrefix", "/"))
        return paged(req, "InstanceProfiles", found, self._profile)

    def list_instance_profiles_for_role(self, ctx: Context, req: Value) -> Value:
        """List the instance profiles that hold a role."""
        _ = ctx
        found = self._members.profiles_of(req["RoleName"])
        return paged(req, "InstanceProfiles", found, self._profile)

    def add_role_to_instance_profile(self, ctx: Context, req: Value) -> Value:
        """Put a role into an instance profile."""
        _ = ctx
        self._members.add_role(req["InstanceProfileName"], req["RoleName"])
        return {}

    def remove_role_from_instance_profile(self, ctx: Context, req: Value) -> Value:
        """Take the role out of an instance profile."""
        _ = ctx
        self._members.remove_role(req["InstanceProfileName"], req["RoleName"])
        return {}

    def _profile(self, entity: Entity) -> Value:
        return answers.profile(entity, self._members.roles_of(entity))
