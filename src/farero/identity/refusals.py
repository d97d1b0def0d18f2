"""How AWS refuses a request that it cannot authenticate, in the words of each kind of service.

Sources: "Troubleshoot Signature Version 4 signing of AWS API requests" (IAM user guide), "Common errors" (IAM, STS and
SageMaker API references), "Error responses" (S3 API reference).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from enum import Enum


class Style(Enum):
    """Kinds of services by the words they refuse with."""

    #: JSON and CBOR services: SageMaker, CloudWatch, Logs.
    JSON = "json"
    #: Form services: IAM, STS, SNS.
    QUERY = "query"
    S3 = "s3"


class SignatureError(Exception):
    """A request was refused because its signature does not prove who sent it."""

    def __init__(
        self, code: str, message: str, status: int = 403, extra: dict[str, str] | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        #: Further elements of the error document, e.g. ServerTime.
        self.extra = extra or {}
        super().__init__(f"{code}: {message}")


_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_MISMATCH_S3 = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your key and signing method."
)
_BAD_TOKEN = "The security token included in the request is invalid."  # noqa: S105 - a message


def unsigned(style: Style) -> SignatureError:
    """Refuse a request that carries no signature."""
    if style is Style.S3:
        return SignatureError("AccessDenied", "Access Denied")
    code = "MissingAuthenticationToken"
    if style is Style.JSON:
        return SignatureError(f"{code}Exception", "Missing Authentication Token")
    return SignatureError(code, "Request is missing Authentication Token")


def malformed(style: Style, detail: str, authorization: str = "") -> SignatureError:
    """Refuse an Authorization header (or its like in the query) that cannot be read."""
    if style is Style.S3:
        return SignatureError(
            "AuthorizationHeaderMalformed", f"The authorization header is malformed; {detail}", 400
        )
    if authorization:
        digest = base64.b64encode(hashlib.sha256(authorization.encode("utf-8", "replace")).digest())
        detail += f" (Hashed with SHA-256 and encoded with Base64) Authorization={digest.decode()}"
    code = "IncompleteSignatureException" if style is Style.JSON else "IncompleteSignature"
    return SignatureError(code, detail, 403 if style is Style.JSON else 400)


def malformed_query(detail: str) -> SignatureError:
    """Refuse S3's presigned query whose parameters cannot be read."""
    return SignatureError("AuthorizationQueryParametersError", detail, 400)


def two_signatures() -> SignatureError:
    """Refuse a request to S3 that is signed in more than one way."""
    return SignatureError(
        "InvalidArgument",
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
        "parameter or the Authorization header should be specified",
        400,
    )


def unknown_key(style: Style, access_key_id: str) -> SignatureError:
    """Refuse a key that does not exist or is not active."""
    if style is Style.S3:
        return SignatureError(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            extra={"AWSAccessKeyId": access_key_id},
        )
    code = "UnrecognizedClientException" if style is Style.JSON else "InvalidClientTokenId"
    return SignatureError(code, _BAD_TOKEN)


def wrong_token(style: Style) -> SignatureError:
    """Refuse a session token that is missing, superfluous or another key's."""
    if style is Style.S3:
        return SignatureError(
            "InvalidToken", "The provided token is malformed or otherwise invalid.", 400
        )
    code = "UnrecognizedClientException" if style is Style.JSON else "InvalidClientTokenId"
    return SignatureError(code, _BAD_TOKEN)


def expired_token(style: Style) -> SignatureError:
    """Refuse temporary credentials after their end."""
    if style is Style.S3:
        return SignatureError("ExpiredToken", "The provided token has expired.", 400)
    code = "ExpiredTokenException" if style is Style.JSON else "ExpiredToken"
    return SignatureError(code, "The security token included in the request is expired")


def mismatch(style: Style, detail: str = "", shown: dict[str, str] | None = None) -> SignatureError:
    """Refuse a signature that is not the one we calculate; S3 shows what it calculated from."""
    if style is Style.JSON:
        return SignatureError("InvalidSignatureException", detail or _MISMATCH)
    if style is Style.QUERY:
        return SignatureError("SignatureDoesNotMatch", detail or _MISMATCH)
    return SignatureError("SignatureDoesNotMatch", detail or _MISMATCH_S3, extra=shown)


def calculation(
    access_key_id: str, provided: str, string_to_sign: str, canonical_request: str = ""
) -> dict[str, str]:
    """Return what S3 shows of a calculation, so that a client's author finds the difference."""
    shown = {"AWSAccessKeyId": access_key_id, "StringToSign": string_to_sign}
    shown |= {"SignatureProvided": provided, "StringToSignBytes": _hex_bytes(string_to_sign)}
    if canonical_request:
        shown["CanonicalRequest"] = canonical_request
        shown["CanonicalRequestBytes"] = _hex_bytes(canonical_request)
    return shown


def outside_window(style: Style, signed_at: dt.datetime, now: dt.datetime) -> SignatureError:
    """Refuse a request signed too long ago, or too far in the future."""
    if style is Style.S3:
        return SignatureError(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            extra={
                "RequestTime": basic_time(signed_at),
                "ServerTime": extended_time(now),
                "MaxAllowedSkewMilliseconds": "900000",
            },
        )
    sent, here = basic_time(signed_at), basic_time(now)
    minutes = WINDOW_S[style] // 60
    if signed_at < now:
        edge = basic_time(now - dt.timedelta(minutes=minutes))
        return mismatch(
            style, f"Signature expired: {sent} is now earlier than {edge} ({here} - {minutes} min.)"
        )
    edge = basic_time(now + dt.timedelta(minutes=minutes))
    return mismatch(
        style,
        f"Signature not yet current: {sent} is still later than {edge} ({here} + {minutes} min.)",
    )


def expired_url(
    style: Style, expires_at: dt.datetime, now: dt.datetime, span_s: int | None
) -> SignatureError:
    """Refuse a presigned URL after its end."""
    if style is not Style.S3:
        end, here = basic_time(expires_at), basic_time(now)
        return mismatch(style, f"Signature expired: {end} is now earlier than {here}")
    extra = {"Expires": extended_time(expires_at), "ServerTime": extended_time(now)}
    if span_s is not None:
        extra["X-Amz-Expires"] = str(span_s)
    return SignatureError("AccessDenied", "Request has expired", extra=extra)


#: How far the clocks may be apart: "Elements of an AWS API request signature" and S3's "Error responses".
WINDOW_S = {Style.JSON: 300, Style.QUERY: 300, Style.S3: 900}


def basic_time(moment: dt.datetime) -> str:
    """Write `20260105T100000Z`."""
    return moment.strftime("%Y%m%dT%H%M%SZ")


def extended_time(moment: dt.datetime) -> str:
    """Write `2026-01-05T10:00:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _hex_bytes(text: str) -> str:
    return text.encode("utf-8", "replace").hex(" ")
