"""ARNs and S3 URIs: built and taken apart in one place."""

from __future__ import annotations

from farero.base.errors import Invalid


def sagemaker_arn(region: str, account: str, kind: str, name: str) -> str:
    """Return a SageMaker ARN, e.g. kind `endpoint`; names are lower-cased as AWS does."""
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


def log_group_arn(region: str, account: str, group: str) -> str:
    """Return a log group's ARN without the trailing `:*`."""
    return f"arn:aws:logs:{region}:{account}:log-group:{group}"


def role_arn(account: str, name: str, path: str = "/") -> str:
    """Return an IAM role's ARN; `path` begins and ends with a slash."""
    return f"arn:aws:iam::{account}:role{path}{name}"


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key (which may be empty).

    Raises Invalid if the text is no S3 URI.
    """
    if not uri.startswith("s3://"):
        raise Invalid(f"'{uri}' is not an S3 URI; expected s3://bucket/key")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise Invalid(f"'{uri}' names no bucket; expected s3://bucket/key")
    return bucket, key


def iam_arn(account: str, kind: str, name: str, path: str = "/") -> str:
    """Return the ARN of an IAM user, group, role, policy or instance profile; `path` begins and ends with a slash."""
    return f"arn:aws:iam::{account}:{kind}{path}{name}"


def managed_policy_arn(name: str) -> str:
    """Return the ARN of one of AWS's own policies, e.g. `AmazonS3FullAccess` or `service-role/…`."""
    return f"arn:aws:iam::aws:policy/{name}"
