"""Managed policies, their versions, and the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.aws.services.iam import answers
from farero.aws.services.iam.answers import paged
from farero.base.errors import NotFound
from farero.identity.documents import check_policy
from farero.identity.entities import Entities
from farero.identity.managed import find_managed
from farero.identity.policy_versions import (
    ManagedByAws,
    PolicyVersions,
    first_version,
    get_version,
)

if TYPE_CHECKING:
    from farero.base.context import Context
    from farero.records.identity import Entity
    from farero.store.engine import Store

    Value = dict[str, Any]

#: Kind → how ListEntitiesForPolicy names it: filter, list, words of the members.
_HOLDERS = {
    "group": ("Group", "PolicyGroups", "Group"),
    "user": ("User", "PolicyUsers", "User"),
    "role": ("Role", "PolicyRoles", "Role"),
}


class Policies:
    """Policies with an ARN of their own."""

    def __init__(self, store: Store) -> None:
        self._entities = Entities(store)
        self._versions = PolicyVersions(store)

    def create_policy(self, ctx: Context, req: Value) -> Value:
        """Add a policy; what it says is its version v1."""
        name = req["PolicyName"]
        document = first_version(name, req["PolicyDocument"], req.get("Description", ""), ctx.now)
        document["Tags"] = answers.tag_dict(req)
        made = self._entities.create(
            ctx, "policy", name, path=req.get("Path", "/"), document=document
        )
        return {"Policy": answers.policy(made, 0) | answers.tags(made)}

    def get_policy(self, ctx: Context, req: Value) -> Value:
        """Describe a policy, the account's or AWS's."""
        _ = ctx
        found = self._entities.get_policy(req["PolicyArn"])
        return {"Policy": self._write(found) | answers.tags(found)}

    def delete_policy(self, ctx: Context, req: Value) -> Value:
        """Remove a policy that is attached to nobody and has one version."""
        _ = ctx
        if find_managed(req["PolicyArn"]):
            raise ManagedByAws(req["PolicyArn"])
        self._entities.delete("policy", req["PolicyArn"])
        return {}

    def list_policies(self, ctx: Context, req: Value) -> Value:
        """List policies of the account, of AWS or of both."""
        _ = ctx
        found = self._entities.list_policies(req.get("Scope", "All"), req.get("PathPrefix", "/"))
        if req.get("OnlyAttached"):
            found = [policy for policy in found if self._entities.holders(policy.arn)]
        return paged(req, "Policies", found, self._write)

    def create_policy_version(self, ctx: Context, req: Value) -> Value:
        """Say something else, by default or on call."""
        is_default: bool = req.get("SetAsDefault", False)
        made = self._versions.create(
            req["PolicyArn"], req["PolicyDocument"], ctx.now, is_default=is_default
        )
        return {
            "PolicyVersion": {
                "VersionId": made["VersionId"],
                "IsDefaultVersion": is_default,
                "CreateDate": ctx.now,
            }
        }

    def get_policy_version(self, ctx: Context, req: Value) -> Value:
        """Return what a version says, percent-encoded as IAM does."""
        _ = ctx
        policy = self._entities.get_policy(req["PolicyArn"])
        version = get_version(policy, req["VersionId"])
        return {
            "PolicyVersion": _version(policy, version)
            | {"Document": answers.quoted(version["Document"])}
        }

    def list_policy_versions(self, ctx: Context, req: Value) -> Value:
        """List versions, the newest first."""
        _ = ctx
        policy = self._entities.get_policy(req["PolicyArn"])
        newest_first = list(reversed(policy.document["Versions"]))
        return paged(req, "Versions", newest_first, lambda version: _version(policy, version))

    def set_default_policy_version(self, ctx: Context, req: Value) -> Value:
        """Make a version the one that counts."""
        self._versions.set_default(req["PolicyArn"], req["VersionId"], ctx.now)
        return {}

    def delete_policy_version(self, ctx: Context, req: Value) -> Value:
        """Remove a version that is not the default."""
        _ = ctx
        self._versions.delete(req["PolicyArn"], req["VersionId"])
        return {}

    def list_entities_for_policy(self, ctx: Context, req: Value) -> Value:
        """List who has a policy attached; on one page."""
        _ = ctx
        arn = self._entities.get_policy(req["PolicyArn"]).arn
        wanted: str = req.get("EntityFilter", "")
        answer: Value = {"PolicyGroups": [], "PolicyUsers": [], "PolicyRoles": []}
        for holder in self._entities.holders(arn):
            filter_name, member, word = _HOLDERS[holder.kind]
            if wanted in ("", filter_name) and holder.path.startswith(req.get("PathPrefix", "/")):
                answer[member].append({f"{word}Name": holder.name, f"{word}Id": holder.id})
        return answer | {"IsTruncated": False}

    def simulate_principal_policy(self, ctx: Context, req: Value) -> Value:
        """Answer `allowed` for every action: policies are stored, and evaluated in a later release."""
        _ = ctx
        self._check_source(req["PolicySourceArn"])
        for text in req.get("PolicyInputList", []):
            check_policy(text)
        return _allowed(req)

    def simulate_custom_policy(self, ctx: Context, req: Value) -> Value:
        """Answer `allowed` for every action: policies are evaluated in a later release."""
        _ = ctx
        for text in req["PolicyInputList"]:
            check_policy(text)
        return _allowed(req)

    def _check_source(self, arn: str) -> None:
        kind, _, rest = arn.rpartition(":")[2].partition("/")
        name = rest.rpartition("/")[2]
        if kind == "assumed-role":
            kind, name = "role", rest.partition("/")[0]
        if kind not in _HOLDERS or self._entities.find(kind, name) is None:
            raise NotFound("principal", arn, f"PolicySource with arn {arn} cannot be found.")

    def _write(self, policy: Entity) -> Value:
        return answers.policy(policy, len(self._entities.holders(policy.arn)))


def _version(policy: Entity, version: Value) -> Value:
    return {
        "VersionId": version["VersionId"],
        "IsDefaultVersion": version["VersionId"] == policy.document["DefaultVersionId"],
        "CreateDate": answers.moment(version["CreateDate"]),
    }


def _allowed(req: Value) -> Value:
    resources: list[str] = req.get("ResourceArns") or ["*"]
    results: list[Value] = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": "allowed",
            "MatchedStatements": [],
            "MissingContextValues": [],
        }
        for action in req["ActionNames"]
        for resource in resources
    ]
    return paged(req, "EvaluationResults", results)
