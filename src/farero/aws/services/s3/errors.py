"""Domain errors in S3's words (S3 API reference: "Error responses")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict, DomainError, Invalid, NotFound
from farero.objects import errors as domain
from farero.objects.names import LONGEST_KEY
from farero.objects.uploads import SMALLEST_PART

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.aws.wire.messages import Value

#: Code, message and status of a configuration that a bucket does not have.
NO_CONFIGURATION = {
    "policy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "encryption": (
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
    "public-access-block": (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
    "lifecycle": ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    "cors": ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    "tagging": ("NoSuchTagSet", "The TagSet does not exist"),
    "website": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "ownership-controls": (
        "OwnershipControlsNotFoundError",
        "The bucket ownership controls were not found",
    ),
    "replication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
}


def translate(error: DomainError, req: Mapping[str, Value]) -> AwsError:
    """Return what S3 says of a domain error that a request met."""
    if isinstance(error, NotFound):
        return _not_found(error, req)
    if isinstance(error, domain.NotModified):
        return AwsError("NotModified", "Not Modified", 304, headers=[("ETag", f'"{error.etag}"')])
    if isinstance(error, Conflict):
        return _conflict(error)
    if isinstance(error, Invalid):
        return _invalid(error, req)
    if isinstance(error, domain.Damaged):
        return AwsError("InternalError", str(error), 500)
    return AwsError("InvalidRequest", str(error))


def invalid_argument(message: str, name: str, value: object) -> AwsError:
    """Return InvalidArgument with the argument it is about."""
    return AwsError(
        "InvalidArgument", message, members={"ArgumentName": name, "ArgumentValue": value}
    )


def malformed_xml() -> AwsError:
    """Return the error for a document that breaks its schema."""
    return AwsError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def _not_found(error: NotFound, req: Mapping[str, Value]) -> AwsError:
    if isinstance(error, domain.DeleteMarkerFound):
        return _delete_marker(error)
    if isinstance(error, domain.NoSuchVersion):
        return _no_version(error)
    if isinstance(error, domain.NoSuchUpload):
        return AwsError(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
            "aborted or completed.",
            404,
            members={"UploadId": error.name},
        )
    if error.kind == "bucket":
        return AwsError(
            "NoSuchBucket",
            "The specified bucket does not exist",
            404,
            members={"BucketName": error.name},
        )
    if error.kind == "configuration":
        code, message = NO_CONFIGURATION[error.name]
        return AwsError(code, message, 404, members={"BucketName": req.get("Bucket", "")})
    key = error.name.removeprefix("s3://").partition("/")[2]
    return AwsError("NoSuchKey", "The specified key does not exist.", 404, members={"Key": key})


def _no_version(error: domain.NoSuchVersion) -> AwsError:
    if len(error.version_id) != 32 and error.version_id != "null":
        return invalid_argument("Invalid version id specified", "versionId", error.version_id)
    return AwsError(
        "NoSuchVersion",
        "The specified version does not exist.",
        404,
        members={"Key": error.key, "VersionId": error.version_id},
    )


def _delete_marker(error: domain.DeleteMarkerFound) -> AwsError:
    headers = [("x-amz-delete-marker", "true"), ("x-amz-version-id", error.version_id)]
    if error.is_named:
        return AwsError(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            405,
            members={"Method": "GET", "ResourceType": "DeleteMarker"},
            headers=[*headers, ("Allow", "DELETE")],
        )
    return AwsError(
        "NoSuchKey",
        "The specified key does not exist.",
        404,
        members={"Key": error.key},
        headers=headers,
    )


def _conflict(error: Conflict) -> AwsError:
    if isinstance(error, domain.PreconditionFailed):
        return AwsError(
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
            412,
            members={"Condition": error.condition},
        )
    members = {"BucketName": error.name}
    if isinstance(error, domain.BucketNotEmpty):
        message = "The bucket you tried to delete is not empty"
        return AwsError("BucketNotEmpty", message, 409, members=members)
    return AwsError(
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
        409,
        members=members,
    )


def _invalid(error: Invalid, req: Mapping[str, Value]) -> AwsError:  # noqa: PLR0911 - a table
    match error:
        case domain.InvalidBucketName():
            return AwsError(
                "InvalidBucketName",
                "The specified bucket is not valid.",
                members={"BucketName": error.name},
            )
        case domain.KeyTooLong():
            return AwsError(
                "KeyTooLongError",
                "Your key is too long",
                members={"Size": error.size_bytes, "MaxSizeAllowed": LONGEST_KEY},
            )
        case domain.RangeNotSatisfiable():
            return AwsError(
                "InvalidRange",
                "The requested range is not satisfiable",
                416,
                members={"RangeRequested": error.range, "ActualObjectSize": error.size_bytes},
                headers=[("Content-Range", f"bytes */{error.size_bytes}")],
            )
        case domain.BadDigest():
            return _bad_digest(error)
        case domain.InvalidPart():
            return AwsError(
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have been uploaded, "
                "or the specified entity tag may not match the part's entity tag.",
                members={"UploadId": req.get("UploadId", ""), "PartNumber": error.number},
            )
        case domain.InvalidPartOrder():
            return AwsError(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts must be ordered by part number.",
                members={"UploadId": req.get("UploadId", "")},
            )
        case domain.PartTooSmall():
            return AwsError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                members={
                    "ProposedSize": error.size_bytes,
                    "MinSizeAllowed": SMALLEST_PART,
                    "PartNumber": error.number,
                    "ETag": error.etag,
                },
            )
        case _:
            return AwsError("InvalidRequest", str(error))


def _bad_digest(error: domain.BadDigest) -> AwsError:
    members = {"ExpectedDigest": error.announced, "CalculatedDigest": error.computed}
    if error.algorithm == "Content-MD5":
        message = "The Content-MD5 you specified did not match what we received."
        return AwsError("BadDigest", message, members=members)
    return AwsError(
        "BadDigest",
        f"The {error.algorithm} you specified did not match the calculated checksum.",
        members=members,
    )
