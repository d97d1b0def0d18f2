"""Versions of the account's managed policies: five at most, one of them the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.base.errors import DomainError, LimitExceeded, NotFound
from farero.identity.documents import check_policy
from farero.identity.entities import InUse, edit_entity, get_entity
from farero.identity.managed import find_managed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from farero.identity.entities import Document
    from farero.records.identity import Entity
    from farero.store.engine import Store

    Version = dict[str, Any]


class ManagedByAws(DomainError):  # noqa: N818 - the domain's own words
    """A policy of AWS's own was to be changed."""

    def __init__(self, arn: str) -> None:
        super().__init__(f"Policy {arn} is managed by AWS: it can be attached, not changed.")


#: "IAM and AWS STS quotas".
MOST_VERSIONS = 5


def first_version(name: str, text: str, description: str, now: dt.datetime) -> Document:
    """Return the document of a new policy. Raises MalformedPolicy."""
    check_policy(text)
    return {
        "PolicyName": name,
        "Description": description,
        "DefaultVersionId": "v1",
        "NextVersion": 2,
        "UpdateDate": now.timestamp(),
        "Versions": [{"VersionId": "v1", "Document": text, "CreateDate": now.timestamp()}],
    }


def get_version(policy: Entity, version_id: str) -> Version:
    """Return one version; raise NotFound."""
    for version in policy.document["Versions"]:
        if version["VersionId"] == version_id:
            return version
    raise NotFound(
        "policy version",
        version_id,
        f"Policy {policy.arn} version {version_id} does not exist or is not attachable.",
    )


class PolicyVersions:
    """Changes of what a policy says."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, arn: str, text: str, now: dt.datetime, *, is_default: bool) -> Version:
        """Add a version and return it."""
        check_policy(text)
        made: Version = {"Document": text, "CreateDate": now.timestamp()}

        def edit(document: Document) -> None:
            if len(document["Versions"]) >= MOST_VERSIONS:
                raise LimitExceeded(
                    f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you "
                    "must delete an existing version."
                )
            made["VersionId"] = f"v{document['NextVersion']}"
            document["NextVersion"] += 1
            document["Versions"].append(made)
            document["UpdateDate"] = now.timestamp()
            if is_default:
                document["DefaultVersionId"] = made["VersionId"]

        self._edit(arn, edit)
        return made

    def set_default(self, arn: str, version_id: str, now: dt.datetime) -> None:
        """Make a version the one that counts."""

        def edit(document: Document) -> None:
            document["DefaultVersionId"] = version_id
            document["UpdateDate"] = now.timestamp()

        self._edit(arn, edit, version_id)

    def delete(self, arn: str, version_id: str) -> None:
        """Remove a version that is not the default."""

        def edit(document: Document) -> None:
            if document["DefaultVersionId"] == version_id:
                raise InUse("Cannot delete the default version of a policy.")
            kept = [v for v in document["Versions"] if v["VersionId"] != version_id]
            document["Versions"] = kept

        self._edit(arn, edit, version_id)

    def _edit(self, arn: str, edit: Callable[[Document], None], version_id: str = "") -> None:
        if find_managed(arn):
            raise ManagedByAws(arn)
        with self._store.begin() as db:
            policy = get_entity(db, "policy", arn, for_update=True)
            if version_id:
                get_version(policy, version_id)
            edit_entity(db, policy, edit)
