"""T21: whatever is altered of a signed request, it is refused. The other end is botocore's own signers."""

import base64
import datetime as dt
import hashlib
import hmac
import random
import string

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from tests.identity import conftest as signed

from farero.identity.forms import verify_form
from farero.identity.refusals import SignatureError

ROUNDS = 10_000
LETTERS = string.ascii_lowercase + string.digits


def chunked_upload():
    """An upload in signed chunks with a signed trailer: the head by botocore, the chunks by S3's formulas."""
    payload, kind = b"x" * 300, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    headers = {
        "x-amz-decoded-content-length": "300", "x-amz-trailer": "x-amz-checksum-crc32",
        "content-encoding": "aws-chunked",
    }  # fmt: skip
    head = sign_streaming("PUT", "/bucket/chunked", headers, kind)
    found = dict(head.headers)
    seed = found["authorization"].rpartition("Signature=")[2]
    day = found["x-amz-date"][:8]
    key = f"AWS4{signed.KEY.secret_access_key}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    stem = f"{found['x-amz-date']}\n{day}/us-east-1/s3/aws4_request\n"
    empty = hashlib.sha256(b"").hexdigest()
    previous, body = seed, b""
    for piece in (payload[:200], payload[200:], b""):
        digest = hashlib.sha256(piece).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stem}{previous}\n{empty}\n{digest}"
        previous = hmac.digest(key, text.encode(), "sha256").hex()
        ending = b"\r\n" if piece else b""
        body += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + ending
    digest = hashlib.sha256(b"x-amz-checksum-crc32:AAAAAA==\n").hexdigest()
    text = f"AWS4-HMAC-SHA256-TRAILER\n{stem}{previous}\n{digest}"
    trailer = hmac.digest(key, text.encode(), "sha256").hex()
    body += f"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:{trailer}\r\n\r\n".encode()
    return head._replace(body=body)


def sign_streaming(method, target, headers, kind):
    """botocore's S3SigV4Auth over an announced kind of body instead of its hash."""

    class Announcing(auth.S3SigV4Auth):
        def payload(self, request):
            assert request.method == method
            return kind

    return signed.sign(Announcing, "s3", method, target, headers=headers)


def bases():
    """Signed requests of every kind: (signing name, message)."""
    form = b"Action=GetRole&Version=2010-05-08&RoleName=r"
    json_headers = {
        "X-Amz-Target": "SageMaker.CreateModel", "Content-Type": "application/x-amz-json-1.1",
    }  # fmt: skip
    return {
        "json": ("sagemaker", signed.sign(auth.SigV4Auth, "sagemaker", "POST", "/", body=b'{"ModelName": "iris"}', headers=json_headers)),
        "invocation": ("sagemaker", signed.sign(auth.SigV4Auth, "sagemaker", "POST", "/endpoints/iris/invocations", body=b"5.1,3.5,1.4,0.2", headers={"Content-Type": "text/csv", "Accept": "text/csv"})),
        "query with a token": ("iam", signed.sign(auth.SigV4Auth, "iam", "POST", "/", body=form, key=signed.TEMPORARY, headers={"Content-Type": "application/x-www-form-urlencoded"})),
        "s3 put": ("s3", signed.sign(auth.S3SigV4Auth, "s3", "PUT", "/bucket/a%20b/c", body=b"payload", headers={"x-amz-meta-colour": "blue"})),
        "s3 list": ("s3", signed.sign(auth.S3SigV4Auth, "s3", "GET", "/bucket?list-type=2&prefix=data%2Fin")),
        "s3 presigned": ("s3", signed.sign(auth.S3SigV4QueryAuth, "s3", "GET", "/bucket/key", key=signed.TEMPORARY, expires=600)),
        "sts presigned": ("sts", signed.sign(auth.SigV4QueryAuth, "sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", expires=600)),
        "s3 version 2": ("s3", signed.presign_v2("GET", "/bucket/key?versionId=abc")),
        "s3 chunks": ("s3", chunked_upload()),
    }  # fmt: skip


def accepts(verifier, service, message):
    """Whether the message passes, its body included."""
    try:
        verified = signed.verify(verifier, service, message)
        if verified.body_check:
            verified.body_check.feed(message.body)
            verified.body_check.finish()
    except SignatureError:
        return False
    return True


def altered(text, rng):
    """The text with one letter or digit made another one."""
    places = [i for i, c in enumerate(text) if c.isalnum()]
    at = rng.choice(places)
    other = rng.choice([c for c in LETTERS if c != text[at].lower()])
    return text[:at] + other + text[at + 1 :]


def alter_method(message, rng):
    names = ["GET", "PUT", "POST", "DELETE", "HEAD"]
    return message._replace(method=rng.choice([n for n in names if n != message.method]))


def alter_path(message, rng):
    if not any(c.isalnum() for c in message.path):
        return message._replace(path=message.path + rng.choice(LETTERS))
    if rng.random() < 0.5:
        return message._replace(path=message.path + rng.choice(LETTERS))
    at = rng.choice([i for i, c in enumerate(message.path) if c.islower()])
    other = rng.choice([c for c in "bcdefghijklm" if c != message.path[at]])
    return message._replace(path=message.path[:at] + other + message.path[at + 1 :])


def alter_query(message, rng):
    pairs = [p for p in message.query.split("&") if p]
    if not pairs or rng.random() < 0.4:
        extra = f"{''.join(rng.sample(string.ascii_lowercase, 6))}={rng.choice(LETTERS)}"
        return message._replace(query="&".join([*pairs, extra]))
    at = rng.randrange(len(pairs))
    if rng.random() < 0.3 and len(pairs) > 1:
        del pairs[at]
        return message._replace(query="&".join(pairs))
    name, _, value = pairs[at].partition("=")
    pairs[at] = f"{name}={altered(value, rng) if '%' not in value else value + rng.choice(LETTERS)}"
    return message._replace(query="&".join(pairs))


def signed_names(message):
    authorization = dict(message.headers).get("authorization", "")
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0]
    return names.split(";") if names else [n for n, _ in message.headers if n != "host"]


def alter_header(message, rng):
    names = signed_names(message) or [""]
    wanted = rng.choice(names)
    if not wanted:
        return add_header(message, rng)
    headers = [(n, altered(v, rng) if n == wanted else v) for n, v in message.headers]
    return message._replace(headers=headers)


def drop_header(message, rng):
    names = signed_names(message)
    if not names:
        return add_header(message, rng)
    wanted = rng.choice(names)
    return message._replace(headers=[pair for pair in message.headers if pair[0] != wanted])


def add_header(message, rng):
    return message._replace(headers=[*message.headers, (f"x-amz-{altered('extra', rng)}", "1")])


def alter_body(message, rng):
    if not message.body:
        return alter_query(message, rng)
    at = rng.randrange(len(message.body))
    other = bytes([(message.body[at] + rng.randrange(1, 256)) % 256])
    return message._replace(body=message.body[:at] + other + message.body[at + 1 :])


def cut_body(message, rng):
    if not message.body:
        return alter_query(message, rng)
    return message._replace(body=message.body[: rng.randrange(len(message.body))])


def alter_authorization(message, rng):
    """Change the key id, the date, the region, the service, a signed name or the signature."""
    headers = []
    for name, value in message.headers:
        if name == "authorization":
            parts = value.split("=")
            at = rng.randrange(1, len(parts))
            parts[at] = altered(parts[at], rng)
            headers.append((name, "=".join(parts)))
        else:
            headers.append((name, value))
    changed = message._replace(headers=headers)
    return alter_query(message, rng) if changed == message else changed


MUTATIONS = [
    alter_method, alter_path, alter_query, alter_header, drop_header, add_header, alter_body, cut_body,
    alter_authorization, alter_authorization, alter_authorization,
]  # fmt: skip


def count_accepted(verifier, base, rng, rounds):
    """Mutate requests `rounds` times; return how many passed, with the first few."""
    passed = []
    for index in range(rounds):
        service, message = base[index % len(base)]
        mutation = rng.choice(MUTATIONS)
        changed = mutation(message, rng)
        assert changed != message, mutation.__name__
        if accepts(verifier, service, changed):
            passed.append((mutation.__name__, changed))
    return passed


@pytest.mark.parametrize("kind", bases())
def test_the_unaltered_request_is_accepted(verifier, kind):
    service, message = bases()[kind]

    assert accepts(verifier, service, message)


def test_none_of_ten_thousand_altered_requests_is_accepted(verifier):
    passed = count_accepted(verifier, list(bases().values()), random.Random(21), ROUNDS)

    assert passed == []


def test_unsigned_payload_in_place_of_the_hash_is_refused(verifier):
    message = signed.sign(auth.S3SigV4Auth, "s3", "PUT", "/bucket/key", body=b"payload")
    headers = [
        (n, "UNSIGNED-PAYLOAD" if n == "x-amz-content-sha256" else v) for n, v in message.headers
    ]

    with pytest.raises(SignatureError) as refused:
        signed.verify(verifier, "s3", message._replace(headers=headers))

    assert refused.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("signer", [auth.S3SigV4PostAuth, auth.HmacV1PostAuth])
def test_form_with_any_signed_field_altered_is_refused(signer):
    fields = signed_form(signer)
    rng = random.Random(7)
    # The time in x-amz-date is not part of the signature but of the policy, which PostObject compares.
    names = [n for n in fields if n not in ("x-amz-algorithm", "x-amz-date")]

    assert verify_form(fields, signed.KEYS.get, now=dt.datetime.now(dt.UTC)) == signed.KEY
    for _ in range(500):
        name = rng.choice(names)
        with pytest.raises(SignatureError):
            verify_form(
                fields | {name: altered(fields[name], rng)},
                signed.KEYS.get,
                now=dt.datetime.now(dt.UTC),
            )


def signed_form(signer):
    """The fields of a presigned POST, as its reader gives them: names in lower case."""
    request = AWSRequest("POST", f"http://{signed.HOST}/bucket")
    request.context["s3-presign-post-policy"] = {
        "expiration": "2100-01-01T00:00:00Z", "conditions": [{"bucket": "bucket"}, {"key": "k"}],
    }  # fmt: skip
    request.context["s3-presign-post-fields"] = {}
    more = () if signer is auth.HmacV1PostAuth else ("s3", "us-east-1")
    signer(signed.as_botocore(signed.KEY), *more).add_auth(request)
    fields = request.context["s3-presign-post-fields"]
    assert base64.b64decode(fields["policy"])
    return {name.lower(): value for name, value in fields.items()}
