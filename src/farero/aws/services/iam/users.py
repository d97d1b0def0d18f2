"""Users, their access keys, and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.aws.services.iam import answers
from farero.aws.services.iam.answers import paged
from farero.base.errors import Invalid
from farero.identity.access_keys import AccessKeys
from farero.identity.entities import Entities
from farero.identity.members import Members

if TYPE_CHECKING:
    import datetime as dt

    from farero.base.context import Context
    from farero.records.identity import Credential
    from farero.store.engine import Store

    Value = dict[str, Any]


class Users:
    """The people and programs of an account."""

    def __init__(self, store: Store) -> None:
        self._entities = Entities(store)
        self._keys = AccessKeys(store)
        self._members = Members(store)

    def create_user(self, ctx: Context, req: Value) -> Value:
        """Add a user."""
        document = {"Tags": answers.tag_dict(req)}
        if "PermissionsBoundary" in req:
            document["PermissionsBoundary"] = req["PermissionsBoundary"]
        made = self._entities.create(
            ctx, "user", req["UserName"], path=req.get("Path", "/"), document=document
        )
        return {"User": answers.user(made)}

    def get_user(self, ctx: Context, req: Value) -> Value:
        """Describe a user: by default the one whose key signed."""
        return {"User": answers.user(self._entities.get("user", _user_name(ctx, req)))}

    def update_user(self, ctx: Context, req: Value) -> Value:
        """Give a user another name or path."""
        self._rename("user", ctx, req, "UserName", "NewUserName")
        return {}

    def delete_user(self, ctx: Context, req: Value) -> Value:
        """Remove a user without keys, policies and groups."""
        _ = ctx
        self._entities.delete("user", req["UserName"])
        return {}

    def list_users(self, ctx: Context, req: Value) -> Value:
        """List users by name."""
        _ = ctx
        found = self._entities.list("user", req.get("PathPrefix", "/"))
        return paged(req, "Users", found, answers.user)

    def create_access_key(self, ctx: Context, req: Value) -> Value:
        """Make a key; its secret is told this once."""
        name, key = self._keys.create(_user_name(ctx, req), ctx.now)
        return {
            "AccessKey": {
                "UserName": name,
                "AccessKeyId": key.access_key_id,
                "Status": "Active",
                "SecretAccessKey": key.secret_access_key,
                "CreateDate": ctx.now,
            }
        }

    def update_access_key(self, ctx: Context, req: Value) -> Value:
        """Switch a key on or off."""
        is_active = req["Status"] == "Active"
        self._keys.set_active(_user_name(ctx, req), req["AccessKeyId"], is_active=is_active)
        return {}

    def delete_access_key(self, ctx: Context, req: Value) -> Value:
        """Remove a key."""
        self._keys.delete(_user_name(ctx, req), req["AccessKeyId"])
        return {}

    def list_access_keys(self, ctx: Context, req: Value) -> Value:
        """List a user's keys without their secrets."""
        name = _user_name(ctx, req)

        def write(item: tuple[Credential, dt.datetime]) -> Value:
            key, made_at = item
            status = "Active" if key.is_active else "Inactive"
            return {
                "UserName": name,
                "AccessKeyId": key.access_key_id,
                "Status": status,
                "CreateDate": made_at,
            }

        return paged(req, "AccessKeyMetadata", self._keys.list(name), write)

    def get_access_key_last_used(self, ctx: Context, req: Value) -> Value:
        """Say whose key it is; when it was used last is not kept."""
        _ = ctx
        answer: Value = {"AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
        if name := self._keys.user_of(req["AccessKeyId"]):
            answer["UserName"] = name
        return answer

    def create_group(self, ctx: Context, req: Value) -> Value:
        """Add a group."""
        made = self._entities.create(ctx, "group", req["GroupName"], path=req.get("Path", "/"))
        return {"Group": answers.group(made)}

    def get_group(self, ctx: Context, req: Value) -> Value:
        """Describe a group and its users."""
        _ = ctx
        group, users = self._members.users_of(req["GroupName"])
        return {"Group": answers.group(group)} | paged(req, "Users", users, answers.user)

    def update_group(self, ctx: Context, req: Value) -> Value:
        """Give a group another name or path."""
        self._rename("group", ctx, req, "GroupName", "NewGroupName")
        return {}

    def delete_group(self, ctx: Context, req: Value) -> Value:
        """Remove a group without users and policies."""
        _ = ctx
        self._entities.delete("group", req["GroupName"])
        return {}

    def list_groups(self, ctx: Context, req: Value) -> Value:
        """List groups by name."""
        _ = ctx
        found = self._entities.list("group", req.get("PathPrefix", "/"))
        return paged(req, "Groups", found, answers.group)

    def list_groups_for_user(self, ctx: Context, req: Value) -> Value:
        """List the groups a user is in."""
        _ = ctx
        return paged(req, "Groups", self._members.groups_of(req["UserName"]), answers.group)

    def add_user_to_group(self, ctx: Context, req: Value) -> Value:
        """Put a user into a group."""
        _ = ctx
        self._members.add_user(req["GroupName"], req["UserName"])
        return {}

    def remove_user_from_group(self, ctx: Context, req: Value) -> Value:
        """Take a user out of a group."""
        _ = ctx
        self._members.remove_user(req["GroupName"], req["UserName"])
        return {}

    def _rename(self, kind: str, ctx: Context, req: Value, name: str, new: str) -> None:
        held = self._entities.get(kind, req[name])
        self._entities.rename(
            kind,
            held.name,
            account=ctx.account,
            new_name=req.get(new, held.name),
            new_path=req.get("NewPath", held.path),
        )


def _user_name(ctx: Context, req: Value) -> str:
    """Return the user that is meant: named, or the caller ("If you do not specify a user name, …")."""
    if "UserName" in req:
        return req["UserName"]
    kind, _, name = ctx.principal.arn.rpartition(":")[2].partition("/")
    if kind != "user":
        raise Invalid("Must specify userName when calling with non-User credentials")
    return name.rpartition("/")[2]
