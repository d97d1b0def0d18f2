"""IAM's things as the account holds them: users, groups, roles, policies and instance profiles.

Stored and returned; what a policy says is not evaluated yet. All share what is here: a path, tags, and (users, groups
and roles) policies within them and attached to them. The texts of the errors are IAM's own.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

from farero.base import ids
from farero.base.arns import iam_arn
from farero.base.errors import Conflict, LimitExceeded, NotFound
from farero.identity.documents import check_policy
from farero.identity.managed import find_managed, list_managed
from farero.records.identity import Entity
from farero.store import identity as rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection

    from farero.base.context import Context
    from farero.store.engine import Store

    Document = dict[str, Any]

#: Kind → prefix of its unique ids ("IAM identifiers": Understanding unique ID prefixes).
PREFIXES = {
    "user": "AIDA", "group": "AGPA", "role": "AROA", "policy": "ANPA", "instance-profile": "AIPA",
}  # fmt: skip
#: "IAM and AWS STS quotas".
MOST_ATTACHED = 10
MOST_TAGS = 50


class InUse(Conflict):
    """Something that others hold on to cannot be deleted."""

    def __init__(self, detail: str) -> None:
        super().__init__("entity", "", detail)


class Entities:
    """Everything IAM knows in this account."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(
        self,
        ctx: Context,
        kind: str,
        name: str,
        *,
        path: str = "/",
        document: Document | None = None,
    ) -> Entity:
        """Add one; raise Conflict if its name is taken."""
        arn = iam_arn(ctx.account, kind, name, path)
        entity = Entity(
            kind=kind,
            name=arn if kind == "policy" else name,
            arn=arn,
            id=ids.unique_id(PREFIXES[kind]),
            path=path,
            created_at=ctx.now,
            document=document or {},
        )
        with self._store.begin() as db:
            same = rows.find_entity(db, kind, entity.name)
            if same is not None or (kind == "policy" and _is_named(db, name)):
                raise taken(kind, name)
            try:
                rows.insert_entity(db, entity)
            except Conflict as error:
                raise taken(kind, name) from error
        return entity

    def get(self, kind: str, name: str) -> Entity:
        """Return one; raise NotFound."""
        with self._store.read() as db:
            return get_entity(db, kind, name)

    def find(self, kind: str, name: str) -> Entity | None:
        """Return one, or None."""
        with self._store.read() as db:
            return rows.find_entity(db, kind, name)

    def list(self, kind: str, path_prefix: str = "/") -> list[Entity]:
        """Return all of a kind below a path, by name."""
        with self._store.read() as db:
            found = rows.list_entities(db, kind)
        return [entity for entity in found if entity.path.startswith(path_prefix)]

    def change(self, kind: str, name: str, edit: Callable[[Document], None]) -> Entity:
        """Edit one's document in a transaction; return it as it is then. Raises NotFound."""
        with self._store.begin() as db:
            return edit_entity(db, get_entity(db, kind, name, for_update=True), edit)

    def rename(self, kind: str, name: str, *, account: str, new_name: str, new_path: str) -> None:
        """Give a user or a group another name or path; its id stays, memberships and keys follow."""
        with self._store.begin() as db:
            old = get_entity(db, kind, name, for_update=True)
            if new_name.lower() != name.lower() and rows.find_entity(db, kind, new_name):
                raise taken(kind, new_name)
            arn = iam_arn(account, kind, new_name, new_path)
            rows.delete_entity(db, kind, old.name)
            rows.insert_entity(db, dataclasses.replace(old, name=new_name, path=new_path, arn=arn))
            if kind != "user":
                return
            rows.rename_user(db, old.name, new_name=new_name, arn=arn)
            for group in rows.list_entities(db, "group"):
                members = group.document.get("Members", [])
                if old.name in members:
                    renamed = [new_name if m == old.name else m for m in members]
                    edit_entity(db, group, lambda d, new=renamed: d.update(Members=new))

    def delete(self, kind: str, name: str) -> None:
        """Remove one; raise NotFound, or InUse while something hangs on it."""
        with self._store.begin() as db:
            entity = get_entity(db, kind, name, for_update=True)
            _check_free(db, entity)
            rows.delete_entity(db, kind, entity.name)

    # Policies within and attached

    def put_inline(self, kind: str, name: str, policy: str, text: str) -> None:
        """Put a policy within a user, group or role."""
        check_policy(text)
        self.change(kind, name, lambda d: d.setdefault("InlinePolicies", {}).update({policy: text}))

    def get_inline(self, kind: str, name: str, policy: str) -> str:
        """Return the text of a policy within; raise NotFound."""
        inline: Mapping[str, str] = self.get(kind, name).document.get("InlinePolicies", {})
        if policy not in inline:
            raise _no_inline(kind, policy)
        return inline[policy]

    def delete_inline(self, kind: str, name: str, policy: str) -> None:
        """Take a policy within away; raise NotFound."""

        def edit(document: Document) -> None:
            if document.get("InlinePolicies", {}).pop(policy, None) is None:
                raise _no_inline(kind, policy)

        self.change(kind, name, edit)

    def attach(self, kind: str, name: str, arn: str) -> None:
        """Attach a managed policy; doing it again changes nothing."""

        def edit(document: Document) -> None:
            attached = document.setdefault("AttachedPolicies", [])
            if arn in attached:
                return
            if len(attached) >= MOST_ATTACHED:
                quota = f"PoliciesPer{kind.capitalize()}: {MOST_ATTACHED}"
                raise LimitExceeded(f"Cannot exceed quota for {quota}")
            attached.append(arn)

        with self._store.begin() as db:
            entity = get_entity(db, kind, name, for_update=True)
            if find_policy(db, arn) is None:
                raise NotFound("policy", arn, f"Policy {arn} does not exist or is not attachable.")
            edit_entity(db, entity, edit)

    def detach(self, kind: str, name: str, arn: str) -> None:
        """Detach a managed policy; raise NotFound if it was not attached."""

        def edit(document: Document) -> None:
            attached = document.get("AttachedPolicies", [])
            if arn not in attached:
                raise NotFound("policy", arn, f"Policy {arn} was not found.")
            attached.remove(arn)

        self.change(kind, name, edit)

    # Managed policies

    def get_policy(self, arn: str) -> Entity:
        """Return the account's or AWS's managed policy; raise NotFound."""
        with self._store.read() as db:
            found = find_policy(db, arn)
        if found is None:
            raise NotFound("policy", arn, f"Policy {arn} was not found.")
        return found

    def list_policies(self, scope: str, path_prefix: str = "/") -> list[Entity]:
        """Return managed policies of `Local`, `AWS` or `All`."""
        own = self.list("policy", path_prefix) if scope != "AWS" else []
        theirs = [p for p in list_managed() if p.path.startswith(path_prefix)]
        return own + (theirs if scope != "Local" else [])

    def holders(self, arn: str) -> list[Entity]:
        """Return the users, groups and roles that a managed policy is attached to."""
        with self._store.read() as db:
            return _holders(db, arn)

    # Tags

    def tag(self, kind: str, name: str, tags: Mapping[str, str]) -> None:
        """Add tags, or give those that are there a new value."""

        def edit(document: Document) -> None:
            held = document.setdefault("Tags", {})
            held.update(tags)
            if len(held) > MOST_TAGS:
                raise LimitExceeded(
                    f"The number of tags has reached the maximum limit. {MOST_TAGS}"
                )

        self.change(kind, name, edit)

    def untag(self, kind: str, name: str, keys: Iterable[str]) -> None:
        """Take tags away; those that are not there do not matter."""

        def edit(document: Document) -> None:
            for key in keys:
                document.get("Tags", {}).pop(key, None)

        self.change(kind, name, edit)


def get_entity(db: Connection, kind: str, name: str, *, for_update: bool = False) -> Entity:
    """Return an entity, held until the transaction ends if it is to be changed; raise NotFound in IAM's words."""
    found = rows.find_entity(db, kind, name, for_update=for_update)
    if found is not None:
        return found
    if kind == "policy":
        raise NotFound(kind, name, f"Policy {name} was not found.")
    if kind == "instance-profile":
        raise NotFound(kind, name, f"Instance Profile {name} cannot be found.")
    raise NotFound(kind, name, f"The {kind} with name {name} cannot be found.")


def edit_entity(db: Connection, entity: Entity, edit: Callable[[Document], None]) -> Entity:
    """Edit an entity's document and write it; the record itself stays as it was."""
    document: Document = copy.deepcopy(entity.document)
    edit(document)
    changed = dataclasses.replace(entity, document=document)
    rows.update_entity(db, changed)
    return changed


def find_policy(db: Connection, arn: str) -> Entity | None:
    """Return the account's or AWS's managed policy of an ARN."""
    return find_managed(arn) or rows.find_entity(db, "policy", arn)


def taken(kind: str, name: str) -> Conflict:
    """Return the error for a name that another thing of the kind has."""
    detail = f"{kind.capitalize()} with name {name} already exists."
    if kind == "policy":
        detail = f"A policy called {name} already exists. Duplicate names are not allowed."
    if kind == "instance-profile":
        detail = f"Instance Profile {name} already exists."
    return Conflict(kind, name, detail)


def _is_named(db: Connection, policy_name: str) -> bool:
    wanted = policy_name.lower()
    return any(
        entity.document["PolicyName"].lower() == wanted
        for entity in rows.list_entities(db, "policy")
    )


def _no_inline(kind: str, policy: str) -> NotFound:
    return NotFound("policy", policy, f"The {kind} policy with name {policy} cannot be found.")


def _holders(db: Connection, arn: str) -> list[Entity]:
    return [
        entity
        for kind in ("user", "group", "role")
        for entity in rows.list_entities(db, kind)
        if arn in entity.document.get("AttachedPolicies", [])
    ]


def _check_free(db: Connection, entity: Entity) -> None:
    """Raise InUse while something hangs on the entity ("DeleteUser", "DeleteRole", … in the IAM API reference)."""
    document, kind = entity.document, entity.kind
    if kind == "policy":
        if _holders(db, entity.arn):
            raise InUse("Cannot delete a policy attached to entities.")
        if len(document["Versions"]) > 1:
            raise InUse(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
    if document.get("AttachedPolicies"):
        raise InUse("Cannot delete entity, must detach all policies first.")
    if document.get("InlinePolicies"):
        raise InUse("Cannot delete entity, must delete policies first.")
    if kind == "user":
        if rows.list_credentials(db, entity.name):
            raise InUse("Cannot delete entity, must delete access keys first.")
        if any(
            entity.name in g.document.get("Members", []) for g in rows.list_entities(db, "group")
        ):
            raise InUse("Cannot delete entity, must remove user from all groups first.")
    if kind == "group" and document.get("Members"):
        raise InUse("Cannot delete entity, must remove users from group first.")
    if kind == "instance-profile" and document.get("Roles"):
        raise InUse("Cannot delete entity, must remove roles from instance profile first.")
    if kind == "role":
        profiles = rows.list_entities(db, "instance-profile")
        if any(entity.name in p.document.get("Roles", []) for p in profiles):
            raise InUse("Cannot delete entity, must remove roles from instance profile first.")
