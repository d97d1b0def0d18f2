"""Every request is authenticated here, in one place, before anything is done for it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from farero.aws.wire.messages import AwsError, Headers
from farero.base.context import Principal
from farero.identity.canonical import Message, hoisted_headers
from farero.identity.forms import verify_form
from farero.identity.refusals import SignatureError, Style
from farero.identity.sigv4 import Verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from farero.aws.wire.messages import HttpRequest
    from farero.aws.wire.protocol import Target
    from farero.base.clock import Clock
    from farero.identity.bodies import BodyCheck
    from farero.identity.keys import Finder
    from farero.records.identity import Credential

#: botocore's service → the names its signatures may be scoped to.
SIGNING_NAMES = {
    "sagemaker-runtime": {"sagemaker"},
    "cloudwatch": {"monitoring"},
}
QUERY_SERVICES = {"iam", "sts", "sns"}
#: A form uploaded to S3 carries its signature in its fields; its room has it checked before the file is read.
FORM = Principal(access_key_id="", arn="", user_id="")
#: Whoever follows a link of SNS: what it may do, it may by the secret in the link.
STRANGER = Principal(access_key_id="", arn="", user_id="")
#: SNS's links in its messages ("ConfirmSubscription", "Unsubscribe"), followed by GET.
SNS_LINKS = frozenset({"ConfirmSubscription", "Unsubscribe"})


class Authenticator:
    """Turns a signature into a principal, and a signed body into a checked one."""

    def __init__(self, find: Finder, clock: Clock) -> None:
        self._verifier = Verifier(find)
        self._clock = clock

    def check(self, request: HttpRequest, target: Target) -> tuple[Principal, HttpRequest]:
        """Return who asks, and the request with its body checked, or checked as it is read.

        Raises AwsError in the words of the service.
        """
        if target.operation is None:
            return FORM, request
        if _is_sns_link(request, target):
            return STRANGER, request
        style = _style(target)
        names = SIGNING_NAMES.get(target.service, {target.service})
        bucket = target.labels.get("Bucket", "") if _names_bucket(request, target) else ""
        return self._verify(request, style, names, bucket)

    def check_owner(self, request: HttpRequest) -> None:
        """Let only the owner pass to the platform's own pages; their scope's service is `farero`."""
        principal, _ = self._verify(request, Style.JSON, {"farero"}, "")
        if not principal.is_owner:
            raise AwsError("AccessDeniedException", "Only the owner's key may do this.", 403)

    def find_signer(self, message: Message, services: Collection[str]) -> Credential:
        """Return whose key signed a message of a JSON service, body and all. Raises SignatureError."""
        verified = self._verifier.verify(
            message, style=Style.JSON, services=services, now=self._clock.now()
        )
        return verified.credential

    def find_key(self, access_key_id: str) -> Credential | None:
        """Return a key that there is, to be proved by `identity.alike`."""
        return self._verifier.find(access_key_id)

    def _verify(
        self, request: HttpRequest, style: Style, names: set[str], bucket: str
    ) -> tuple[Principal, HttpRequest]:
        message = Message(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers.items,
            body=None if request.stream is not None else request.body,
        )
        try:
            verified = self._verifier.verify(
                message, style=style, services=names, now=self._clock.now(), bucket=bucket
            )
            if verified.body_check is not None:
                request = _checked(request, verified.body_check)
            if verified.is_presigned and style is Style.S3:
                moved = [*request.headers.items, *hoisted_headers(message)]
                request = dataclasses.replace(request, headers=Headers(moved))
        except SignatureError as error:
            raise in_aws_words(error) from error
        return principal_of(verified.credential), request


class FormCheck:
    """What S3's PostObject asks about the fields of a form."""

    def __init__(self, find: Finder, clock: Clock) -> None:
        self._find = find
        self._clock = clock

    def __call__(self, fields: Mapping[str, str]) -> None:
        """Raise AwsError unless the fields hold a good signature of their policy."""
        try:
            verify_form(fields, self._find, now=self._clock.now())
        except SignatureError as error:
            raise in_aws_words(error) from error


class CheckedStream:
    """A body that is checked while it is read; `trailers` is filled at its end.

    Raises AwsError at the latest before it ends, so that nobody keeps what was not signed.
    """

    def __init__(
        self, pieces: AsyncIterator[bytes], check: BodyCheck, trailer_names: tuple[str, ...] = ()
    ) -> None:
        self._pieces = pieces
        self._check = check
        #: What `x-amz-trailer` announced, so that the right checksums are computed on the way.
        self.trailer_names = trailer_names
        self.trailers: dict[str, str] = {}

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read from the start; once."""
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._pieces:
                for payload in self._check.feed(piece):
                    yield payload
            self.trailers = self._check.finish()
        except SignatureError as error:
            raise in_aws_words(error) from error


def principal_of(credential: Credential) -> Principal:
    """Return the identity behind a key."""
    return Principal(
        access_key_id=credential.access_key_id,
        arn=credential.principal_arn,
        user_id=credential.user_id,
        is_owner=credential.is_owner,
    )


def in_aws_words(error: SignatureError) -> AwsError:
    """Return the refusal as the wire writes it."""
    return AwsError(error.code, error.message, error.status, members=dict(error.extra))


def _checked(request: HttpRequest, check: BodyCheck) -> HttpRequest:
    if request.stream is not None:
        announced = request.headers.get("x-amz-trailer").split(",")
        names = tuple(name.strip().lower() for name in announced if name.strip())
        stream = CheckedStream(request.stream, check, names)
        return dataclasses.replace(request, stream=stream)  # pyright: ignore[reportArgumentType] - has __aiter__; its trailers are read by S3
    payload = b"".join(check.feed(request.body))
    check.finish()
    return dataclasses.replace(request, body=payload)


def _is_sns_link(request: HttpRequest, target: Target) -> bool:
    is_link = target.service == "sns" and target.operation_name in SNS_LINKS
    is_signed = request.headers.has("authorization") or "X-Amz-" in request.query
    return is_link and request.method == "GET" and not is_signed


def _style(target: Target) -> Style:
    if target.service == "s3":
        return Style.S3
    if target.protocol == "query" or target.service in QUERY_SERVICES:
        return Style.QUERY
    return Style.JSON


def _names_bucket(request: HttpRequest, target: Target) -> bool:
    """Say whether the bucket was in the host's name, so that Version 2 signs it as part of the path."""
    bucket = target.labels.get("Bucket", "")
    return bool(bucket) and request.headers.get("host").startswith(f"{bucket}.")
