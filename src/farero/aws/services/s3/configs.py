"""Configuration of buckets: documents that are checked a little, stored, and returned.

None of them changes how Farero behaves, but for ownership controls (whether ACLs are accepted).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from farero.aws.services.s3 import members
from farero.aws.services.s3.errors import malformed_xml
from farero.aws.services.s3.writes import check_acl, owner_acl
from farero.aws.wire.messages import AwsError
from farero.base import ids
from farero.objects.buckets import DEFAULT_CONFIGS

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects

    Req = dict[str, Value]

LONGEST_POLICY = 20 * 1024


class Configurations:
    """Get, put and delete of each kind of configuration."""

    def __init__(self, objects: LocalObjects) -> None:
        self._buckets = objects.buckets
        self._objects = objects

    def get_bucket_policy(self, ctx: Context, req: Req) -> Req:
        """Return the policy, as the text that was put."""
        _ = ctx
        return {"Policy": self._buckets.get_config(req["Bucket"], "policy")["Text"]}

    def put_bucket_policy(self, ctx: Context, req: Req) -> Req:
        """Store a policy: JSON with at least one statement."""
        _ = ctx
        _check_policy(req["Policy"])
        self._buckets.put_config(req["Bucket"], "policy", {"Text": req["Policy"]})
        return {}

    def delete_bucket_policy(self, ctx: Context, req: Req) -> Req:
        """Remove the policy."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "policy")
        return {}

    def get_bucket_policy_status(self, ctx: Context, req: Req) -> Req:
        """Say whether the policy opens the bucket to everyone; nobody is let in without a signature here."""
        _ = ctx
        self._buckets.get_config(req["Bucket"], "policy")
        return {"PolicyStatus": {"IsPublic": False}}

    def get_bucket_encryption(self, ctx: Context, req: Req) -> Req:
        """Return the default encryption; SSE-S3 unless another was put."""
        _ = ctx
        return {
            "ServerSideEncryptionConfiguration": self._buckets.get_config(
                req["Bucket"], "encryption"
            )
        }

    def put_bucket_encryption(self, ctx: Context, req: Req) -> Req:
        """Replace the default encryption."""
        _ = ctx
        if not req["ServerSideEncryptionConfiguration"].get("Rules"):
            raise malformed_xml()
        self._buckets.put_config(
            req["Bucket"], "encryption", req["ServerSideEncryptionConfiguration"]
        )
        return {}

    def delete_bucket_encryption(self, ctx: Context, req: Req) -> Req:
        """Go back to SSE-S3, which cannot be turned off."""
        _ = ctx
        default = DEFAULT_CONFIGS["encryption"]
        self._buckets.put_config(req["Bucket"], "encryption", default)
        return {}

    def get_public_access_block(self, ctx: Context, req: Req) -> Req:
        """Return the public access block."""
        _ = ctx
        return {
            "PublicAccessBlockConfiguration": self._buckets.get_config(
                req["Bucket"], "public-access-block"
            )
        }

    def put_public_access_block(self, ctx: Context, req: Req) -> Req:
        """Replace the public access block."""
        _ = ctx
        self._buckets.put_config(
            req["Bucket"], "public-access-block", req["PublicAccessBlockConfiguration"]
        )
        return {}

    def delete_public_access_block(self, ctx: Context, req: Req) -> Req:
        """Remove the public access block."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "public-access-block")
        return {}

    def get_bucket_ownership_controls(self, ctx: Context, req: Req) -> Req:
        """Return who owns objects, and so whether ACLs are on."""
        _ = ctx
        return {"OwnershipControls": self._buckets.get_config(req["Bucket"], "ownership-controls")}

    def put_bucket_ownership_controls(self, ctx: Context, req: Req) -> Req:
        """Replace who owns objects, and so whether ACLs are on."""
        _ = ctx
        self._buckets.put_config(req["Bucket"], "ownership-controls", req["OwnershipControls"])
        return {}

    def delete_bucket_ownership_controls(self, ctx: Context, req: Req) -> Req:
        """Remove who owns objects, and so whether ACLs are on."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "ownership-controls")
        return {}

    def get_bucket_lifecycle_configuration(self, ctx: Context, req: Req) -> Req:
        """Return the lifecycle rules."""
        _ = ctx
        return self._buckets.get_config(req["Bucket"], "lifecycle")

    def put_bucket_lifecycle_configuration(self, ctx: Context, req: Req) -> Req:
        """Replace the lifecycle rules; they are stored, not acted upon."""
        _ = ctx
        size = req.get("TransitionDefaultMinimumObjectSize") or "all_storage_classes_128K"
        configuration: Req = req.get("LifecycleConfiguration") or {}
        given: list[Req] = configuration.get("Rules") or []
        rules = [_with_id(rule) for rule in given]
        if not rules:
            raise malformed_xml()
        document = {"Rules": rules, "TransitionDefaultMinimumObjectSize": size}
        self._buckets.put_config(req["Bucket"], "lifecycle", document)
        return {"TransitionDefaultMinimumObjectSize": size}

    def delete_bucket_lifecycle(self, ctx: Context, req: Req) -> Req:
        """Remove the lifecycle rules."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "lifecycle")
        return {}

    def get_bucket_cors(self, ctx: Context, req: Req) -> Req:
        """Return the CORS rules."""
        _ = ctx
        return self._buckets.get_config(req["Bucket"], "cors")

    def put_bucket_cors(self, ctx: Context, req: Req) -> Req:
        """Replace the CORS rules."""
        _ = ctx
        self._buckets.put_config(req["Bucket"], "cors", req["CORSConfiguration"])
        return {}

    def delete_bucket_cors(self, ctx: Context, req: Req) -> Req:
        """Remove the CORS rules."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "cors")
        return {}

    def get_bucket_tagging(self, ctx: Context, req: Req) -> Req:
        """Return the tags."""
        _ = ctx
        return self._buckets.get_config(req["Bucket"], "tagging")

    def put_bucket_tagging(self, ctx: Context, req: Req) -> Req:
        """Replace the tags."""
        _ = ctx
        tags = members.check_tags(req["Tagging"].get("TagSet") or [], most=50)
        self._buckets.put_config(req["Bucket"], "tagging", {"TagSet": members.tag_set(tags)})
        return {}

    def delete_bucket_tagging(self, ctx: Context, req: Req) -> Req:
        """Remove the tags."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "tagging")
        return {}

    def get_bucket_website(self, ctx: Context, req: Req) -> Req:
        """Return the website configuration."""
        _ = ctx
        return self._buckets.get_config(req["Bucket"], "website")

    def put_bucket_website(self, ctx: Context, req: Req) -> Req:
        """Replace the website configuration."""
        _ = ctx
        self._buckets.put_config(req["Bucket"], "website", req["WebsiteConfiguration"])
        return {}

    def delete_bucket_website(self, ctx: Context, req: Req) -> Req:
        """Remove the website configuration."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "website")
        return {}

    def get_bucket_replication(self, ctx: Context, req: Req) -> Req:
        """Return the replication rules; they are stored, not acted upon."""
        _ = ctx
        return {"ReplicationConfiguration": self._buckets.get_config(req["Bucket"], "replication")}

    def put_bucket_replication(self, ctx: Context, req: Req) -> Req:
        """Replace the replication rules; they are stored, not acted upon."""
        _ = ctx
        self._buckets.put_config(req["Bucket"], "replication", req["ReplicationConfiguration"])
        return {}

    def delete_bucket_replication(self, ctx: Context, req: Req) -> Req:
        """Remove the replication rules; they are stored, not acted upon."""
        _ = ctx
        self._buckets.delete_config(req["Bucket"], "replication")
        return {}

    def get_bucket_notification_configuration(self, ctx: Context, req: Req) -> Req:
        """Return where events are to be sent; empty by default."""
        _ = ctx
        return self._buckets.find_config(req["Bucket"], "notification") or {}

    def put_bucket_notification_configuration(self, ctx: Context, req: Req) -> Req:
        """Replace where events are to be sent; they are stored, not sent."""
        _ = ctx
        document = {
            name: value
            if name == "EventBridgeConfiguration"
            else [_with_id(entry) for entry in value]
            for name, value in req["NotificationConfiguration"].items()
        }
        self._buckets.put_config(req["Bucket"], "notification", document)
        return {}

    def get_bucket_logging(self, ctx: Context, req: Req) -> Req:
        """Return where access logs go; empty by default."""
        _ = ctx
        return self._buckets.find_config(req["Bucket"], "logging") or {}

    def put_bucket_logging(self, ctx: Context, req: Req) -> Req:
        """Replace where access logs go."""
        _ = ctx
        self._buckets.put_config(req["Bucket"], "logging", req["BucketLoggingStatus"])
        return {}

    def get_bucket_accelerate_configuration(self, ctx: Context, req: Req) -> Req:
        """Return whether transfer acceleration is on; empty by default."""
        _ = ctx
        return self._buckets.find_config(req["Bucket"], "accelerate") or {}

    def put_bucket_accelerate_configuration(self, ctx: Context, req: Req) -> Req:
        """Replace whether transfer acceleration is on."""
        _ = ctx
        self._buckets.put_config(req["Bucket"], "accelerate", req["AccelerateConfiguration"])
        return {}

    def get_bucket_request_payment(self, ctx: Context, req: Req) -> Req:
        """Return who pays; the owner by default."""
        _ = ctx
        found = self._buckets.find_config(req["Bucket"], "request-payment")
        return found or {"Payer": "BucketOwner"}

    def put_bucket_request_payment(self, ctx: Context, req: Req) -> Req:
        """Replace who pays."""
        _ = ctx
        document = req["RequestPaymentConfiguration"]
        self._buckets.put_config(req["Bucket"], "request-payment", document)
        return {}

    def get_bucket_acl(self, ctx: Context, req: Req) -> Req:
        """Return the ACL; the owner has full control unless another was put."""
        found = self._buckets.find_config(req["Bucket"], "acl")
        return found or owner_acl(ctx)

    def put_bucket_acl(self, ctx: Context, req: Req) -> Req:
        """Store an ACL where ACLs are enabled; refuse one that grants something where they are not."""
        _ = ctx
        self._buckets.get(req["Bucket"])
        check_acl(self._objects, req)
        if req.get("AccessControlPolicy"):
            self._buckets.put_config(req["Bucket"], "acl", req["AccessControlPolicy"])
        return {}

    def get_object_lock_configuration(self, ctx: Context, req: Req) -> Req:
        """Say that there is none."""
        _ = ctx
        self._buckets.get(req["Bucket"])
        raise AwsError(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
            404,
            members={"BucketName": req["Bucket"]},
        )


def _check_policy(text: str) -> None:
    try:
        policy = json.loads(text)
    except ValueError as error:
        raise AwsError(
            "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"
        ) from error
    if not isinstance(policy, dict) or not text.lstrip().startswith("{"):
        raise AwsError(
            "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"
        )
    if "Statement" not in policy:
        raise AwsError("MalformedPolicy", "Missing required field Statement")
    if len(text.encode()) > LONGEST_POLICY:
        raise AwsError("PolicyTooLarge", "Policy exceeds the maximum allowed document size.")


def _with_id(entry: Req) -> Req:
    key = "ID" if "Status" in entry else "Id"
    return entry if entry.get(key) else {**entry, key: ids.new_uuid()}
