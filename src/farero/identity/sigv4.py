"""Signatures Version 4 and S3's Version 2: who sent this request, proved by a header or a presigned URL.

`Verifier.verify` either returns whose key signed the message, or raises SignatureError in the words of the service. A
body that is at hand is checked against its signed hash; for one that comes in pieces it returns a `BodyCheck`.

Sources: "Create a signed AWS API request" (IAM user guide); "Authenticating Requests (AWS Signature Version 4)" (S3 API
reference).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from farero.identity import claims, refusals, sigv2
from farero.identity.bodies import BodyCheck, ChunkedDecoder, ChunkSigner, HashCheck, check_hash
from farero.identity.canonical import (
    canonical_queries,
    collect_headers,
    query_pairs,
    s3_paths,
    service_path,
    to_bytes,
)
from farero.identity.keys import Rules, get_credential, hmac_sha256, signing_key
from farero.identity.refusals import SignatureError, Style

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from farero.identity.canonical import Message
    from farero.identity.claims import Claim
    from farero.identity.keys import Finder
    from farero.records.identity import Credential

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
#: Kinds of aws-chunked bodies → whether their chunks are signed.
STREAMING = {
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": True,
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": True,
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": False,
}

_WINDOW_S = refusals.WINDOW_S[Style.JSON]
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_DIGITS = 15


class Verified(NamedTuple):
    """The proof; a tuple, because every request makes one."""

    credential: Credential
    #: Region and service the key was scoped to; "" for Version 2.
    region: str
    service: str
    is_presigned: bool
    #: What to push the body's pieces through; None when nothing is left to check.
    body_check: BodyCheck | None


class _Proof(NamedTuple):
    """All that goes into a Version 4 signature besides the message."""

    claim: Claim
    timestamp: str
    #: Last line of the canonical request: a hash, or the name of a kind of body.
    payload: str
    key: bytes


class Verifier:
    """Checks signatures against the keys that `find` knows."""

    def __init__(self, find: Finder) -> None:
        self.find = find

    def verify(
        self,
        message: Message,
        *,
        style: Style,
        services: Collection[str],
        now: dt.datetime,
        bucket: str = "",
    ) -> Verified:
        """Return who signed `message`; raise SignatureError in the words of `style`.

        services: signing names that the target accepts, e.g. `{"sagemaker"}`; the region is free.
        bucket: the bucket that the host name gave, which Version 2 signs as part of the path.
        """
        headers = collect_headers(message)
        authorization = headers.get("authorization")
        if style is Style.JSON and authorization is not None and not message.query:
            verified = self._verify_usual(message, headers, services, now)
            if verified is not None:
                return verified
        if authorization is None:
            return self._verify_query(message, headers, Rules(style, services, now, bucket))
        if style is Style.S3:
            rules = Rules(style, services, now, bucket)
            if message.query and _is_signed(dict(query_pairs(message.query))):
                raise refusals.two_signatures()
            if authorization.startswith("AWS "):
                credential = sigv2.verify_header(message, headers, self.find, rules)
                return Verified(credential, "", "", False, _version_2_check(message, headers))
        claim = claims.read_header(authorization, style, headers)
        timestamp, signed_at = claims.read_moment(headers, style, authorization)
        token = headers.get("x-amz-security-token")
        credential = get_credential(self.find, claim.access_key_id, token, style, now)
        claims.check_scope(claim, style, services, timestamp)
        if abs((now - signed_at).total_seconds()) > refusals.WINDOW_S[style]:
            raise refusals.outside_window(style, signed_at, now)
        payload = _signed_payload(message, headers, style)
        key = signing_key(credential.secret_access_key, claim.date, claim.region, claim.service)
        proof = _Proof(claim, timestamp, payload, key)
        _check(message, headers, style, proof)
        check = _body_check(message, headers, proof) if style is Style.S3 else None
        return Verified(credential, claim.region, claim.service, False, check)

    def _verify_usual(
        self,
        message: Message,
        headers: dict[str, str],
        services: Collection[str],
        now: dt.datetime,
    ) -> Verified | None:
        """Return the proof of a request as clients write it; None leaves it to `verify`, step by step, to say why not.

        The same checks in fewer steps: every request of a lasting key passes here. What this accepts `verify` accepts.
        """
        authorization = headers["authorization"]
        usual = claims.read_usual(authorization[:-64])
        timestamp = headers.get("x-amz-date", "")
        moment = claims.find_moment(timestamp)
        if usual is None or moment is None or usual.service not in services:
            return None
        credential = self.find(usual.access_key_id)
        if credential is None or not credential.is_active or credential.session_token is not None:
            return None
        lines = None if "x-amz-security-token" in headers else usual.lines(headers)
        age_s = (now - moment).total_seconds()
        is_now = -_WINDOW_S <= age_s <= _WINDOW_S and timestamp[:8] == usual.date
        if lines is None or not is_now or message.body is None:
            return None
        canonical = (
            f"{message.method}\n{service_path(message.path)}\n\n{lines}\n{usual.signed_headers}\n"
            f"{hashlib.sha256(message.body).hexdigest()}"
        )
        if not canonical.isascii():
            return None
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = signing_key(credential.secret_access_key, usual.date, usual.region, usual.service)
        to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{usual.scope}\n{digest}"
        given = authorization[-64:]
        if not given.isascii() or not hmac.compare_digest(
            hmac_sha256(key, to_sign.encode()), given
        ):
            return None
        return Verified(credential, usual.region, usual.service, False, None)

    def _verify_query(self, message: Message, headers: Mapping[str, str], rules: Rules) -> Verified:
        style, services, now, _ = rules
        pairs = query_pairs(message.query)
        parameters = dict(pairs)
        if style is Style.S3 and sigv2.is_signed(parameters):
            if claims.is_presigned(parameters):
                raise refusals.two_signatures()
            credential = sigv2.verify_query(message, headers, self.find, rules)
            return Verified(credential, "", "", True, _version_2_check(message, headers))
        if not claims.is_presigned(parameters):
            raise refusals.unsigned(style)
        claim, timestamp, signed_at, span_s = claims.read_query(pairs, style)
        token = parameters.get("X-Amz-Security-Token", headers.get("x-amz-security-token"))
        credential = get_credential(self.find, claim.access_key_id, token, style, now)
        claims.check_scope(claim, style, services, timestamp)
        _check_span(style, signed_at, span_s, now)
        if style is Style.S3:
            given = parameters.get("X-Amz-Content-Sha256", headers.get("x-amz-content-sha256"))
            payload = _known_payload(given or UNSIGNED_PAYLOAD)
        else:
            payload = hashlib.sha256(message.body or b"").hexdigest()
        key = signing_key(credential.secret_access_key, claim.date, claim.region, claim.service)
        proof = _Proof(claim, timestamp, payload, key)
        _check(message, headers, style, proof, without="X-Amz-Signature")
        check = _body_check(message, headers, proof) if style is Style.S3 else None
        return Verified(credential, claim.region, claim.service, True, check)


def _is_signed(parameters: Mapping[str, str]) -> bool:
    return claims.is_presigned(parameters) or sigv2.is_signed(parameters)


def _check_span(style: Style, signed_at: dt.datetime, span_s: int | None, now: dt.datetime) -> None:
    """Raise SignatureError unless a presigned URL is good at `now`."""
    window = dt.timedelta(seconds=refusals.WINDOW_S[style])
    if signed_at > now + window:
        if style is Style.S3:
            raise SignatureError(
                "AccessDenied",
                "Request is not valid yet",
                extra={
                    "ValidAfter": refusals.extended_time(signed_at),
                    "ServerTime": refusals.extended_time(now),
                },
            )
        raise refusals.outside_window(style, signed_at, now)
    if span_s is None:
        if now > signed_at + window:
            raise refusals.outside_window(style, signed_at, now)
        return
    end = signed_at + dt.timedelta(seconds=span_s)
    if now > end:
        raise refusals.expired_url(style, end, now, span_s)


def _signed_payload(message: Message, headers: Mapping[str, str], style: Style) -> str:
    """Return the last line of the canonical request.

    Only S3 takes the client's word for now and checks the body against it later.
    """
    if style is not Style.S3:
        return hashlib.sha256(message.body or b"").hexdigest()
    given = headers.get("x-amz-content-sha256")
    if given is None and message.body is not None:
        # S3 demands the header; curl 7.88 leaves it out, and what it signed can be checked all the same.
        return hashlib.sha256(message.body).hexdigest()
    if given is None:
        raise SignatureError(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400
        )
    return _known_payload(given)


def _known_payload(text: str) -> str:
    if text == UNSIGNED_PAYLOAD or text in STREAMING or _SHA256.fullmatch(text):
        return text
    raise SignatureError(
        "InvalidArgument",
        f"x-amz-content-sha256 must be {UNSIGNED_PAYLOAD}, {', '.join(STREAMING)}, or a valid sha256 value.",
        400,
        {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": text},
    )


def _check(
    message: Message, headers: Mapping[str, str], style: Style, proof: _Proof, *, without: str = ""
) -> None:
    """Raise SignatureError unless one of the canonical forms of the message has the claimed signature."""
    claim, timestamp, payload, key = proof
    signed = claims.signed_headers(claim.signed_headers)
    claims.check_signed_headers(signed.name_set, headers, style)
    tail = f"{signed.lines(headers)}\n{claim.signed_headers}\n{payload}"
    head = f"AWS4-HMAC-SHA256\n{timestamp}\n{claim.scope}\n"
    given = claim.signature.encode("latin-1", "replace")
    canonical = to_sign = ""
    paths = s3_paths(message.path) if style is Style.S3 else (service_path(message.path),)
    for path in paths:
        for query in canonical_queries(message.query, without=without) if message.query else ("",):
            canonical = f"{message.method}\n{path}\n{query}\n{tail}"
            for data in _as_bytes(canonical):
                to_sign = head + hashlib.sha256(data).hexdigest()
                expected = hmac_sha256(key, to_sign.encode()).encode()
                if hmac.compare_digest(expected, given):
                    return
    shown = refusals.calculation(claim.access_key_id, claim.signature, to_sign, canonical)
    raise refusals.mismatch(style, shown=shown)


def _as_bytes(canonical: str) -> Iterable[bytes]:
    """Return the bytes that were signed; HTTP clients send ISO 8859-1 in headers where their signers used UTF-8."""
    if canonical.isascii():
        return (canonical.encode(),)
    return (to_bytes(canonical), canonical.encode())


def _body_check(message: Message, headers: Mapping[str, str], proof: _Proof) -> BodyCheck | None:
    claim, timestamp, payload, key = proof
    if payload not in STREAMING:
        return _plain_check(message, payload)
    signer = None
    if STREAMING[payload]:
        seed = claim.signature
        signer = ChunkSigner(key=key, timestamp=timestamp, scope=claim.scope, seed=seed)
    return _chunked(headers, payload, signer)


def _plain_check(message: Message, payload: str) -> BodyCheck | None:
    if payload == UNSIGNED_PAYLOAD:
        return None
    if message.body is None:
        return HashCheck(payload)
    check_hash(payload, hashlib.sha256(message.body).hexdigest())
    return None


def _chunked(
    headers: Mapping[str, str], payload: str, signer: ChunkSigner | None
) -> ChunkedDecoder:
    length = headers.get("x-amz-decoded-content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) <= _LARGEST_DIGITS):
        raise SignatureError(
            "MissingContentLength", "You must provide the Content-Length HTTP header.", 411
        )
    announced = headers.get("x-amz-trailer", "") if payload.endswith("-TRAILER") else ""
    names = [name.strip() for name in announced.split(",") if name.strip()]
    return ChunkedDecoder(signer=signer, decoded_length=int(length), trailers=names)


def _version_2_check(message: Message, headers: Mapping[str, str]) -> BodyCheck | None:
    """Version 2 signs no body but by Content-MD5, which S3 compares; an announced SHA-256 is held to all the same."""
    payload = _known_payload(headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD))
    if payload not in STREAMING:
        return _plain_check(message, payload)
    if STREAMING[payload]:
        raise refusals.two_signatures()
    return _chunked(headers, payload, None)
