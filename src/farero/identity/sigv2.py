"""S3's Signature Version 2, which boto3 still uses for presigned URLs at an endpoint of one's own.

As on AWS, it signs neither the host nor the parameters of listings (prefix, marker, …): who holds a presigned listing
may list what its owner may. Every other parameter is signed here, known to S3 or not, so none can be added.

Source: "Signing and authenticating REST requests" (S3 user guide, appendix on Version 2).
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from farero.identity import refusals
from farero.identity.canonical import query_pairs, s3_paths
from farero.identity.keys import get_credential
from farero.identity.refusals import SignatureError, Style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.identity.canonical import Message
    from farero.identity.keys import Finder, Rules
    from farero.records.identity import Credential

_SIGNATURE = ("AWSAccessKeyId", "Signature", "Expires")
#: Parameters that no client signs: they narrow or page a listing.
_UNSIGNED = frozenset(
    {
        "prefix", "delimiter", "marker", "max-keys", "encoding-type", "list-type", "continuation-token",
        "start-after", "fetch-owner", "key-marker", "version-id-marker", "upload-id-marker", "max-uploads",
        "max-parts", "part-number-marker", "content-type", "content-md5", *_SIGNATURE,
    }
)  # fmt: skip
_LARGEST_EPOCH = 253_402_300_799


def is_signed(parameters: Mapping[str, str]) -> bool:
    """Say whether a query carries a Version 2 signature."""
    return "Signature" in parameters or "AWSAccessKeyId" in parameters


def verify_query(
    message: Message, headers: Mapping[str, str], find: Finder, rules: Rules
) -> Credential:
    """Return the key that presigned the URL; raise SignatureError."""
    pairs = query_pairs(message.query)
    parameters = dict(pairs)
    given = [name for name, _ in pairs if name in _SIGNATURE]
    if sorted(given) != sorted(_SIGNATURE):
        raise SignatureError(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
        )
    end = _read_expires(parameters["Expires"])
    token = parameters.get("x-amz-security-token", headers.get("x-amz-security-token"))
    credential = get_credential(find, parameters["AWSAccessKeyId"], token, Style.S3, rules.now)
    if rules.now > end:
        raise refusals.expired_url(Style.S3, end, rules.now, None)
    calculation = _Calculation(headers, pairs, parameters["Expires"])
    _check(message, calculation, credential, rules.bucket, parameters["Signature"])
    return credential


def verify_header(
    message: Message, headers: Mapping[str, str], find: Finder, rules: Rules
) -> Credential:
    """Return the key behind `Authorization: AWS id:signature`; raise SignatureError."""
    access_key_id, colon, given = headers["authorization"].removeprefix("AWS ").partition(":")
    if not colon or not given:
        raise SignatureError(
            "InvalidArgument",
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            400,
        )
    token = headers.get("x-amz-security-token")
    credential = get_credential(find, access_key_id, token, Style.S3, rules.now)
    date = headers.get("x-amz-date", headers.get("date", ""))
    try:
        signed_at = parsedate_to_datetime(date).astimezone(dt.UTC)
    except ValueError as error:
        raise SignatureError(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        ) from error
    if abs((rules.now - signed_at).total_seconds()) > refusals.WINDOW_S[Style.S3]:
        raise refusals.outside_window(Style.S3, signed_at, rules.now)
    date_line = "" if "x-amz-date" in headers else headers["date"]
    pairs = query_pairs(message.query)
    _check(message, _Calculation(headers, pairs, date_line), credential, rules.bucket, given)
    return credential


def sign(secret: str, text: str) -> str:
    """Return the signature of `text`."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


class _Calculation(NamedTuple):
    headers: Mapping[str, str]
    pairs: list[tuple[str, str]]
    #: The line of the date: the Date header or Expires.
    date: str


def _check(
    message: Message, calculation: _Calculation, credential: Credential, bucket: str, given: str
) -> None:
    headers, pairs, date = calculation
    if any("\n" in part for pair in pairs for part in pair):
        # A line break within a parameter could pass for the end of a line of what is signed.
        raise refusals.mismatch(Style.S3)
    hoisted = dict(pairs)
    lines = [message.method]
    lines += [headers.get(n, hoisted.get(n, "")) for n in ("content-md5", "content-type")]
    lines.append(date)
    lines += [f"{name}:{value}" for name, value in _amazon_headers(headers, pairs)]
    text = ""
    for path in s3_paths(message.path):
        resource = f"/{bucket}{path}" if bucket else path
        text = "\n".join([*lines, resource + _subresources(pairs)])
        expected = sign(credential.secret_access_key, text)
        if hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            return
    raise refusals.mismatch(
        Style.S3, shown=refusals.calculation(credential.access_key_id, given, text)
    )


def _amazon_headers(
    headers: Mapping[str, str], pairs: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return `x-amz-…` headers, and those that a presigned URL carries as parameters."""
    found = {name: value for name, value in headers.items() if name.startswith("x-amz-")}
    for name, value in pairs:
        if name.lower().startswith("x-amz-") and found.setdefault(name.lower(), value) != value:
            found[name.lower()] += f",{value}"
    return sorted(found.items())


def _subresources(pairs: list[tuple[str, str]]) -> str:
    signed = [
        (name, value)
        for name, value in pairs
        if name not in _UNSIGNED and not name.lower().startswith("x-amz-")
    ]
    signed.sort(key=lambda pair: pair[0])
    parts = [f"{name}={value}" if value else name for name, value in signed]
    return "?" + "&".join(parts) if parts else ""


def _read_expires(text: str) -> dt.datetime:
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= _LARGEST_EPOCH):
        raise SignatureError(
            "AccessDenied", f"Invalid date (should be seconds since epoch): {text}"
        )
    return dt.datetime.fromtimestamp(int(text), dt.UTC)
