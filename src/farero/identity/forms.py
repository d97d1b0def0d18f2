"""The signature of an upload by HTML form: of its policy, in Version 4 or 2.

What the policy demands of the other fields, and when it ends, is for S3's PostObject to check.

Source: "Authenticating Requests in Browser-Based Uploads Using POST" (S3 API reference).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from farero.identity import claims, refusals, sigv2
from farero.identity.keys import get_credential, same_text, signing_key
from farero.identity.refusals import SignatureError, Style

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from farero.identity.keys import Finder
    from farero.records.identity import Credential


def verify_form(fields: Mapping[str, str], find: Finder, *, now: dt.datetime) -> Credential:
    """Return the key that signed the form's policy.

    fields: the form's fields, names in lower case.

    Raises SignatureError, AccessDenied for a form without a signature.
    """
    policy = fields.get("policy")
    if policy is None:
        raise SignatureError("AccessDenied", "Access Denied")
    token = fields.get("x-amz-security-token")
    if "x-amz-signature" not in fields and "signature" in fields:
        access_key_id = _required(fields, "awsaccesskeyid", "AWSAccessKeyId")
        credential = get_credential(find, access_key_id, token, Style.S3, now)
        expected = sigv2.sign(credential.secret_access_key, policy)
        return _compared(credential, expected, fields["signature"], policy)
    given = _required(fields, "x-amz-signature", "X-Amz-Signature")
    if _required(fields, "x-amz-algorithm", "X-Amz-Algorithm") != claims.ALGORITHM:
        raise SignatureError(
            "InvalidArgument", f"X-Amz-Algorithm only supports {claims.ALGORITHM}", 400
        )
    scope = _required(fields, "x-amz-credential", "X-Amz-Credential").split("/")
    if len(scope) != 5 or scope[4] != "aws4_request" or not all(scope):
        raise SignatureError(
            "InvalidArgument",
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
            400,
        )
    date = _required(fields, "x-amz-date", "X-Amz-Date")
    claim = claims.Claim(scope[0], scope[1], scope[2], scope[3], "", given)
    credential = get_credential(find, claim.access_key_id, token, Style.S3, now)
    claims.check_scope(claim, Style.S3, ("s3",), date)
    key = signing_key(credential.secret_access_key, claim.date, claim.region, claim.service)
    expected = hmac.digest(key, policy.encode("utf-8", "replace"), "sha256").hex()
    return _compared(credential, expected, given, policy)


def _required(fields: Mapping[str, str], name: str, spelling: str) -> str:
    value = fields.get(name)
    if not value:
        raise SignatureError(
            "InvalidArgument",
            f"Bucket POST must contain a field named '{spelling}'.  If it is specified, please check the order of "
            "the fields.",
            400,
            {"ArgumentName": spelling, "ArgumentValue": ""},
        )
    return value


def _compared(credential: Credential, expected: str, given: str, policy: str) -> Credential:
    if same_text(expected, given):
        return credential
    raise refusals.mismatch(
        Style.S3, shown=refusals.calculation(credential.access_key_id, given, policy)
    )
