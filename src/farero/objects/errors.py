"""What can go wrong with buckets and objects beyond NotFound; each fits one of the five domain errors."""

from __future__ import annotations

from farero.base.errors import Conflict, DomainError, Invalid, NotFound


def no_bucket(name: str) -> NotFound:
    """Return the error for a bucket that is not there."""
    return NotFound("bucket", name)


def no_object(bucket: str, key: str) -> NotFound:
    """Return the error for a key without a current version."""
    return NotFound("object", f"s3://{bucket}/{key}")


class NoSuchVersion(NotFound):
    """The key has no version with this id."""

    def __init__(self, bucket: str, key: str, version_id: str) -> None:
        self.key = key
        self.version_id = version_id
        super().__init__("object", f"s3://{bucket}/{key}?versionId={version_id}")


class DeleteMarkerFound(NotFound):
    """The version that was asked for is a delete marker."""

    def __init__(self, bucket: str, key: str, version_id: str, *, is_named: bool) -> None:
        self.key = key
        self.version_id = version_id
        #: The marker was asked for by its version id, rather than met as the current version.
        self.is_named = is_named
        super().__init__("object", f"s3://{bucket}/{key}")


class NoSuchUpload(NotFound):
    """The upload id is unknown, or its upload was completed or aborted."""

    def __init__(self, upload_id: str) -> None:
        super().__init__("upload", upload_id)


class BucketNotEmpty(Conflict):
    """The bucket still holds objects, versions or delete markers."""

    def __init__(self, name: str) -> None:
        super().__init__("bucket", name, f"bucket '{name}' is not empty")


class PreconditionFailed(Conflict):
    """A condition of the request does not hold."""

    def __init__(self, condition: str) -> None:
        #: The header's name, e.g. `If-None-Match`.
        self.condition = condition
        super().__init__("object", condition, f"the condition {condition} does not hold")


class NotModified(DomainError):  # noqa: N818 - the domain's own words
    """The caller's copy is still good."""

    def __init__(self, etag: str) -> None:
        self.etag = etag
        super().__init__("the object has not changed")


class RangeNotSatisfiable(Invalid):
    """The range begins after the object's last byte."""

    def __init__(self, text: str, size_bytes: int) -> None:
        self.range = text
        self.size_bytes = size_bytes
        super().__init__(f"range '{text}' is outside an object of {size_bytes} bytes")


class InvalidBucketName(Invalid):
    """The name breaks the rules for bucket names."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"'{name}' is no valid bucket name")


class KeyTooLong(Invalid):
    """The key has more than 1024 bytes in UTF-8."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        super().__init__(f"a key of {size_bytes} bytes is longer than 1024")


class BadDigest(Invalid):
    """The bytes that arrived do not have the checksum that was announced."""

    def __init__(self, algorithm: str, *, announced: str = "", computed: str = "") -> None:
        self.algorithm = algorithm
        self.announced = announced
        self.computed = computed
        super().__init__(f"the {algorithm} of the body is {computed}, not {announced}")


class InvalidPart(Invalid):
    """A part named at completion is missing or has another etag or checksum."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"part {number} was not uploaded or does not match")


class InvalidPartOrder(Invalid):
    """The parts named at completion do not rise."""

    def __init__(self) -> None:
        super().__init__("the list of parts is not in ascending order")


class PartTooSmall(Invalid):
    """A part other than the last has less than 5 MiB."""

    def __init__(self, *, number: int, size_bytes: int, etag: str) -> None:
        self.number = number
        self.size_bytes = size_bytes
        self.etag = etag
        super().__init__(f"part {number} has {size_bytes} bytes; all but the last need 5 MiB")


class Damaged(DomainError):  # noqa: N818
    """A file does not hold the bytes that were stored."""

    def __init__(self, file_id: str) -> None:
        self.file_id = file_id
        super().__init__(
            f"object file {file_id} is damaged: its checksum differs from the stored one"
        )
