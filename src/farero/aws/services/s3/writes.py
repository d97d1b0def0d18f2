"""Writing and deleting objects, and their tags and ACLs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from farero.aws.services.s3 import bodies, members
from farero.aws.services.s3.errors import malformed_xml, translate
from farero.aws.wire.messages import AwsError
from farero.base.errors import DomainError
from farero.objects.conditions import Conditions
from farero.objects.names import check_key

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects
    from farero.objects.versions import Deleted
    from farero.objects.writing import ObjectWriter
    from farero.records.objects import StoredObject

    Req = dict[str, Value]

MOST_DELETES = 1000


class Writes:
    """Operations that change one object, or many at once."""

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects

    async def put_object(self, ctx: Context, req: Req) -> Req:
        """Store a body as it arrives; it becomes the object once its checksums and conditions hold."""
        _ = ctx
        draft = members.draft_of(req)
        check_key(req["Key"])
        conditions = write_conditions(req)
        await asyncio.to_thread(check_acl, self._objects, req)
        writer, checksum = await receive_checked(self._objects, req)
        stored = await asyncio.to_thread(
            self._objects.commit,
            writer,
            req["Bucket"],
            req["Key"],
            draft=draft,
            checksum=checksum,
            conditions=conditions,
        )
        return {
            "ETag": f'"{stored.etag}"',
            **members.checksum_members(stored.details.checksums, stored.details.checksum_type),
            **members.encryption_members(stored.details.headers),
            **members.version_member(stored),
        }

    def delete_object(self, ctx: Context, req: Req) -> Req:
        """Delete an object or one version of it; what is not there is deleted already."""
        _ = ctx
        conditions = Conditions(if_match=req.get("IfMatch") or "")
        deleted = self._objects.remove(
            req["Bucket"], req["Key"], req.get("VersionId") or "", conditions=conditions
        )
        return _deleted_members(deleted)

    def delete_objects(self, ctx: Context, req: Req) -> Req:
        """Delete up to 1000 objects or versions in one transaction."""
        _ = ctx
        wanted: list[Req] = req["Delete"].get("Objects") or []
        if not 1 <= len(wanted) <= MOST_DELETES:
            raise malformed_xml()
        pairs = [(entry["Key"], entry.get("VersionId") or "") for entry in wanted]
        if any(entry.get("ETag") for entry in wanted):
            return self._delete_one_by_one(req)
        results = self._objects.remove_many(req["Bucket"], pairs)
        if req["Delete"].get("Quiet"):
            return {}
        return {
            "Deleted": [
                _deleted_entry(key, version_id, deleted)
                for (key, version_id), deleted in zip(pairs, results, strict=True)
            ]
        }

    def get_object_tagging(self, ctx: Context, req: Req) -> Req:
        """Return an object's tags."""
        _ = ctx
        stored = self._objects.get(req["Bucket"], req["Key"], req.get("VersionId") or "")
        return {"TagSet": members.tag_set(stored.tags), **members.version_member(stored)}

    def put_object_tagging(self, ctx: Context, req: Req) -> Req:
        """Replace an object's tags."""
        _ = ctx
        tags = members.check_tags(req["Tagging"].get("TagSet") or [], most=10)
        return members.version_member(self._set_tags(req, tags))

    def delete_object_tagging(self, ctx: Context, req: Req) -> Req:
        """Remove an object's tags."""
        _ = ctx
        return members.version_member(self._set_tags(req, {}))

    def get_object_acl(self, ctx: Context, req: Req) -> Req:
        """Say that the owner has full control: ACLs are disabled, as in every new bucket on AWS."""
        self._objects.get(req["Bucket"], req["Key"], req.get("VersionId") or "")
        return owner_acl(ctx)

    def put_object_acl(self, ctx: Context, req: Req) -> Req:
        """Accept what changes nothing, refuse the rest as AWS does where ACLs are disabled."""
        _ = ctx
        self._objects.get(req["Bucket"], req["Key"], req.get("VersionId") or "")
        check_acl(self._objects, req)
        return {}

    def _set_tags(self, req: Req, tags: dict[str, str]) -> StoredObject:
        return self._objects.set_tags(req["Bucket"], req["Key"], tags, req.get("VersionId") or "")

    def _delete_one_by_one(self, req: Req) -> Req:
        deleted: list[Req] = []
        errors: list[Req] = []
        for entry in req["Delete"]["Objects"]:
            key, version_id = entry["Key"], entry.get("VersionId") or ""
            conditions = Conditions(if_match=entry.get("ETag") or "")
            try:
                done = self._objects.remove(req["Bucket"], key, version_id, conditions=conditions)
            except DomainError as error:
                said = translate(error, req)
                named = {"VersionId": version_id} if version_id else {}
                errors.append({"Key": key, **named, "Code": said.code, "Message": said.message})
                continue
            deleted.append(_deleted_entry(key, version_id, done))
        return {"Errors": errors} | ({} if req["Delete"].get("Quiet") else {"Deleted": deleted})


def write_conditions(req: Req) -> Conditions:
    """Return the conditions of a write; S3 knows only `*` for If-None-Match here."""
    if_none_match = req.get("IfNoneMatch") or ""
    if if_none_match and if_none_match.strip('"') != "*":
        raise AwsError(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
            501,
            members={"Header": "If-None-Match"},
        )
    return Conditions(if_match=req.get("IfMatch") or "", if_none_match=if_none_match)


async def receive_checked(
    objects: LocalObjects, req: Req, *, algorithm: str = ""
) -> tuple[ObjectWriter, str]:
    """Write a request's body to a new file and verify every checksum it announces in headers and trailers.

    algorithm: one to compute besides, e.g. that of the multipart upload.
    Returns the writer and the algorithm of the client's choice, or "". On an error the file is gone.
    """
    if req.get("SSECustomerAlgorithm"):
        raise AwsError(
            "NotImplemented", "Encryption with keys of the customer is not there yet.", 501
        )
    announced = members.announced_checksums(req)
    named = str(req.get("ChecksumAlgorithm") or "").upper()
    body = req.get("Body", b"")
    in_trailer = bodies.trailer_checksums(
        dict.fromkeys([str(n).lower() for n in getattr(body, "trailer_names", ())], "")
    )
    algorithms = {*announced, *in_trailer, named, algorithm} - {"", "Content-MD5"}
    writer = await asyncio.to_thread(objects.begin_write, algorithms)
    try:
        trailers = bodies.trailer_checksums(await bodies.receive(body, writer))
        _check_complete(req, trailers, promised=in_trailer, computed=algorithms)
        await asyncio.to_thread(writer.check, announced | trailers)
    except BaseException:
        writer.abort()
        raise
    chosen = [*trailers, *(name for name in announced if name != "Content-MD5"), named]
    return writer, chosen[0]


def check_acl(objects: LocalObjects, req: Req) -> None:
    """Raise AccessControlListNotSupported for an ACL that would grant something, where ACLs are disabled."""
    canned = req.get("ACL") or ""
    grants = any(value for name, value in req.items() if name.startswith("Grant"))
    if canned in ("", "private", "bucket-owner-full-control") and not grants:
        return
    found = objects.buckets.find_config(req["Bucket"], "ownership-controls")
    rules: list[Req] = (found or {}).get("Rules", [])
    if any(rule.get("ObjectOwnership") != "BucketOwnerEnforced" for rule in rules):
        return
    raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")


def owner_acl(ctx: Context) -> Req:
    """Return the ACL of everything the account owns."""
    owner = members.owner(ctx)
    grantee = {"Type": "CanonicalUser", **owner}
    return {"Owner": owner, "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}


def _check_complete(
    req: Req, trailers: dict[str, str], *, promised: dict[str, str], computed: set[str]
) -> None:
    for name, value in trailers.items():
        members.check_checksum(name, value)
    if promised.keys() - trailers.keys():
        raise AwsError(
            "MalformedTrailerError",
            "The request contained trailing data that was not well-formed or did not conform to our published "
            "schema.",
        )
    if trailers.keys() - computed:
        raise AwsError(
            "InvalidRequest",
            "x-amz-trailer or x-amz-sdk-checksum-algorithm must name the checksum that the trailer holds.",
        )
    body, length = req.get("Body"), req.get("ContentLength")
    if isinstance(body, bytes) and length is not None and int(length) > len(body):
        raise AwsError(
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        )


def _deleted_members(deleted: Deleted) -> Req:
    result: Req = {}
    if deleted.version_id:
        result["VersionId"] = deleted.version_id
    if deleted.is_delete_marker:
        result["DeleteMarker"] = True
    return result


def _deleted_entry(key: str, version_id: str, deleted: Deleted) -> Req:
    entry: Req = {"Key": key}
    if version_id:
        entry["VersionId"] = version_id
    if deleted.is_delete_marker:
        entry |= {"DeleteMarker": True, "DeleteMarkerVersionId": deleted.version_id}
    return entry
