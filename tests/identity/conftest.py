"""A key, and requests signed by botocore's own signers."""

import datetime as dt

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from farero.identity.canonical import Message
from farero.identity.refusals import Style
from farero.identity.sigv4 import Verifier
from farero.records.identity import Credential

HOST = "127.0.0.1:4747"
#: Signing name → style of its service.
STYLES = {
    "s3": Style.S3,
    "iam": Style.QUERY,
    "sts": Style.QUERY,
    "sagemaker": Style.JSON,
    "service": Style.JSON,
}


def credential(access_key_id="AKIAFARERO0000000001", **fields):
    """A key with all that does not matter filled in."""
    known = {"secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "user_id": "AIDA1"}
    arn = "arn:aws:iam::123456789012:user/ada"
    return Credential(access_key_id=access_key_id, principal_arn=arn, **known | fields)


KEY = credential()
TEMPORARY = credential(
    "ASIAFARERO0000000002",
    session_token="FwoGZXIvYXdzEXAMPLE//token==",
    expires_at=dt.datetime(2100, 1, 1, tzinfo=dt.UTC),
)
KEYS = {key.access_key_id: key for key in (KEY, TEMPORARY)}


def as_botocore(key):
    return Credentials(key.access_key_id, key.secret_access_key, key.session_token)


def as_message(request, body=None, headers=()):
    """What a server sees of a request that botocore prepared; `headers` are those its HTTP client adds."""
    prepared = request.prepare()
    _, _, rest = prepared.url.partition("://")
    _, slash, rest = rest.partition("/")
    path, _, query = (slash + rest).partition("?")
    sent = [("host", HOST), *headers]
    for name, value in prepared.headers.items():
        text = value.decode() if isinstance(value, bytes) else value
        sent.append((name.lower(), text))
    payload = prepared.body if body is None else body
    payload = payload.encode() if isinstance(payload, str) else payload or b""
    return Message(prepared.method, path or "/", query, sent, payload)


def sign(
    signer, service, method, target, *, key=KEY, body=b"", headers=None, region="us-east-1", **more
):
    """A request to `target` (path and query), signed by one of botocore's signers, as a server sees it."""
    request = AWSRequest(method, f"http://{HOST}{target}", headers=headers or {}, data=body)
    signer(as_botocore(key), service, region, **more).add_auth(request)
    return as_message(request)


def presign_v2(method, target, *, key=KEY, expires=3600, headers=None):
    """A URL presigned by botocore's HmacV1QueryAuth."""
    request = AWSRequest(method, f"http://{HOST}{target}", headers=headers or {})
    auth.HmacV1QueryAuth(as_botocore(key), expires=expires).add_auth(request)
    message = as_message(request)
    return message._replace(headers=[("host", HOST)])


def verify(verifier, service, message, *, now=None, **more):
    """Verify as the gateway does for `service`, at this moment or another."""
    moment = now or dt.datetime.now(dt.UTC)
    return verifier.verify(
        message, style=STYLES[service], services=frozenset({service}), now=moment, **more
    )


@pytest.fixture
def verifier():
    """A verifier that knows a lasting and a temporary key."""
    return Verifier(KEYS.get)
