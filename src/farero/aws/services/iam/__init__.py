"""The room of AWS IAM: users, groups, keys, roles, policies, instance profiles.

All is stored and returned; policies are not evaluated yet: whoever has a key may do everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from farero.aws.services.iam.attachments import Attachments
from farero.aws.services.iam.policies import Policies
from farero.aws.services.iam.roles import Roles
from farero.aws.services.iam.tags import Tags
from farero.aws.services.iam.users import Users
from farero.base.errors import Conflict, DomainError, Invalid, LimitExceeded, NotFound
from farero.identity.documents import MalformedPolicy
from farero.identity.entities import InUse
from farero.identity.policy_versions import ManagedByAws

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.store.engine import Store


class Iam:
    """Identity and access."""

    service = "iam"
    FAMILIES = (Users, Roles, Policies, Attachments, Tags)
    errors: ClassVar[dict[type[DomainError], tuple[str, int]]] = {
        NotFound: ("NoSuchEntity", 404),
        Conflict: ("EntityAlreadyExists", 409),
        InUse: ("DeleteConflict", 409),
        LimitExceeded: ("LimitExceeded", 409),
        Invalid: ("ValidationError", 400),
        MalformedPolicy: ("MalformedPolicyDocument", 400),
        ManagedByAws: ("AccessDenied", 403),
    }

    def __init__(self, store: Store) -> None:
        self._families = tuple(family(store) for family in self.FAMILIES)

    def find_operation(self, name: str) -> Callable[..., Any] | None:
        """Return the method of one of the families, or None."""
        for family in self._families:
            found = getattr(family, name, None)
            if found is not None and not name.startswith("_"):
                return found
        return None
