"""Who belongs to what: users in groups, roles in instance profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.base.errors import LimitExceeded, NotFound
from farero.identity.entities import edit_entity, get_entity
from farero.store import identity as rows

if TYPE_CHECKING:
    from farero.records.identity import Entity
    from farero.store.engine import Store


class Members:
    """Memberships, kept in the group and in the profile."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_user(self, group: str, user: str) -> None:
        """Put a user into a group; doing it again changes nothing."""
        with self._store.begin() as db:
            holder = get_entity(db, "group", group, for_update=True)
            member = get_entity(db, "user", user)
            names = [n for n in holder.document.get("Members", []) if n != member.name]
            edit_entity(db, holder, lambda d: d.update(Members=[*names, member.name]))

    def remove_user(self, group: str, user: str) -> None:
        """Take a user out of a group; raise NotFound if it was not in it."""
        with self._store.begin() as db:
            holder = get_entity(db, "group", group, for_update=True)
            member = get_entity(db, "user", user)
            names: list[str] = holder.document.get("Members", [])
            if member.name not in names:
                raise NotFound(
                    "user", user, f"The user with name {user} is not in group {holder.name}."
                )
            kept = [n for n in names if n != member.name]
            edit_entity(db, holder, lambda d: d.update(Members=kept))

    def users_of(self, group: str) -> tuple[Entity, list[Entity]]:
        """Return a group and its users, by name."""
        with self._store.read() as db:
            holder = get_entity(db, "group", group)
            names = set(holder.document.get("Members", []))
            return holder, [u for u in rows.list_entities(db, "user") if u.name in names]

    def groups_of(self, user: str) -> list[Entity]:
        """Return the groups a user is in, by name."""
        with self._store.read() as db:
            name = get_entity(db, "user", user).name
            groups = rows.list_entities(db, "group")
        return [group for group in groups if name in group.document.get("Members", [])]

    def add_role(self, profile: str, role: str) -> None:
        """Put a role into an instance profile, which holds one at most."""
        with self._store.begin() as db:
            holder = get_entity(db, "instance-profile", profile, for_update=True)
            member = get_entity(db, "role", role)
            if holder.document.get("Roles"):
                raise LimitExceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
            edit_entity(db, holder, lambda d: d.update(Roles=[member.name]))

    def remove_role(self, profile: str, role: str) -> None:
        """Take a role out of an instance profile; raise NotFound if it was not in it."""
        with self._store.begin() as db:
            holder = get_entity(db, "instance-profile", profile, for_update=True)
            member = get_entity(db, "role", role)
            if member.name not in holder.document.get("Roles", []):
                raise NotFound("role", role, f"The role with name {role} cannot be found.")
            edit_entity(db, holder, lambda d: d.update(Roles=[]))

    def roles_of(self, profile: Entity) -> list[Entity]:
        """Return the roles of an instance profile."""
        with self._store.read() as db:
            found = [rows.find_entity(db, "role", n) for n in profile.document.get("Roles", [])]
        return [role for role in found if role is not None]

    def profiles_of(self, role: str) -> list[Entity]:
        """Return the instance profiles that hold a role."""
        with self._store.read() as db:
            name = get_entity(db, "role", role).name
            profiles = rows.list_entities(db, "instance-profile")
        return [p for p in profiles if name in p.document.get("Roles", [])]
