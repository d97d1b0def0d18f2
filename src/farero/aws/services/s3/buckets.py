"""Buckets themselves: create, find, list, delete, versioning."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from farero.aws.services.s3 import members
from farero.aws.services.s3.errors import invalid_argument, malformed_xml
from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects

    Req = dict[str, Value]

#: The one region that needs no LocationConstraint, takes none, and answers 200 for a bucket one owns already.
FIRST_REGION = "us-east-1"
MOST_BUCKETS = 10_000


class BucketOperations:
    """Operations on buckets as a whole."""

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects

    def create_bucket(self, ctx: Context, req: Req) -> Req:
        """Create a bucket in the request's region."""
        if req.get("ObjectLockEnabledForBucket"):
            raise AwsError("NotImplemented", "Object Lock is not there yet.", 501)
        _check_location(ctx.region, req)
        name = req["Bucket"]
        try:
            self._objects.buckets.create(name, ctx.region)
        except Conflict:
            if ctx.region != FIRST_REGION:
                raise
        if req.get("ObjectOwnership"):
            rules = {"Rules": [{"ObjectOwnership": req["ObjectOwnership"]}]}
            self._objects.buckets.put_config(name, "ownership-controls", rules)
        return {"Location": f"/{name}", "BucketArn": f"arn:aws:s3:::{name}"}

    def head_bucket(self, ctx: Context, req: Req) -> Req:
        """Say that a bucket is there, and where."""
        _ = ctx
        bucket = self._objects.buckets.get(req["Bucket"])
        return {
            "BucketRegion": bucket.region,
            "AccessPointAlias": False,
            "BucketArn": f"arn:aws:s3:::{bucket.name}",
        }

    def get_bucket_location(self, ctx: Context, req: Req) -> Req:
        """Return the bucket's region; nothing for us-east-1."""
        _ = ctx
        region = self._objects.buckets.get(req["Bucket"]).region
        return {} if region == FIRST_REGION else {"LocationConstraint": region}

    def list_buckets(self, ctx: Context, req: Req) -> Req:
        """List the account's buckets by name; in pages if MaxBuckets is given."""
        limit = req.get("MaxBuckets")
        limit = MOST_BUCKETS if limit is None else int(limit)
        if not 1 <= limit <= MOST_BUCKETS:
            raise invalid_argument(
                "Argument max-buckets must be an integer between 1 and 10000", "max-buckets", limit
            )
        token = req.get("ContinuationToken")
        found = self._objects.buckets.list(
            prefix=req.get("Prefix") or "",
            after=_from_token(token) if token else "",
            limit=limit + 1,
        )
        wanted_region = req.get("BucketRegion")
        page = found[:limit]
        result: Req = {
            "Buckets": [
                {
                    "Name": bucket.name,
                    "CreationDate": bucket.created_at,
                    "BucketRegion": bucket.region,
                    "BucketArn": f"arn:aws:s3:::{bucket.name}",
                }
                for bucket in page
                if wanted_region in (None, bucket.region)
            ],
            "Owner": members.owner(ctx),
        }
        if req.get("Prefix"):
            result["Prefix"] = req["Prefix"]
        if len(found) > limit:
            result["ContinuationToken"] = base64.urlsafe_b64encode(page[-1].name.encode()).decode()
        return result

    def delete_bucket(self, ctx: Context, req: Req) -> Req:
        """Delete an empty bucket."""
        _ = ctx
        self._objects.buckets.delete(req["Bucket"])
        return {}

    def get_bucket_versioning(self, ctx: Context, req: Req) -> Req:
        """Return whether versions are kept; nothing if that was never set."""
        _ = ctx
        versioning = self._objects.buckets.get(req["Bucket"]).versioning
        return {"Status": versioning} if versioning else {}

    def put_bucket_versioning(self, ctx: Context, req: Req) -> Req:
        """Turn versioning on, or suspend it."""
        _ = ctx
        status = req["VersioningConfiguration"].get("Status")
        if status not in ("Enabled", "Suspended"):
            raise malformed_xml()
        if req["VersioningConfiguration"].get("MFADelete") == "Enabled":
            raise AwsError("NotImplemented", "MFA delete is not there yet.", 501)
        self._objects.buckets.set_versioning(req["Bucket"], status)
        return {}


def _check_location(region: str, req: Req) -> None:
    configuration: Req = req.get("CreateBucketConfiguration") or {}
    wanted = configuration.get("LocationConstraint") or ""
    if wanted == FIRST_REGION:
        raise AwsError(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
            members={"LocationConstraint": wanted},
        )
    if (wanted or FIRST_REGION) != region:
        raise AwsError(
            "IllegalLocationConstraintException",
            f"The {wanted or 'unspecified'} location constraint is incompatible for the region specific "
            "endpoint this request was sent to.",
        )


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise invalid_argument(
            "The continuation token provided is incorrect", "continuation-token", token
        ) from error
