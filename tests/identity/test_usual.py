"""The short way through the verifier is the long one in fewer steps: it never accepts what that refuses."""

import datetime as dt

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.identity.canonical import Message
from farero.identity.refusals import SignatureError, Style
from farero.identity.sigv4 import Verifier
from farero.records.identity import Credential

NOW = dt.datetime.now(dt.UTC)
SECRET = "s" * 40


def credential(name, **changes):
    return Credential(
        access_key_id=name, secret_access_key=SECRET, principal_arn="arn", user_id="id", **changes
    )


KEYS = {
    "LASTING": credential("LASTING"),
    "OFF": credential("OFF", is_active=False),
    "SESSION": credential("SESSION", session_token="t", expires_at=NOW + dt.timedelta(hours=1)),
    "ENDED": credential("ENDED", session_token="t", expires_at=NOW - dt.timedelta(hours=1)),
}


class LongWay(Verifier):
    """Checks step by step."""

    def _verify_usual(self, *_, **__):
        return None


def outcome(verifier, message, services, now):
    """Return whom the verifier takes the signer for, or how it refuses."""
    try:
        return verifier.verify(message, style=Style.JSON, services=services, now=now)
    except SignatureError as error:
        return error.code, error.message, error.status


def signed(key, token, headers, body):
    request = AWSRequest("POST", "http://h/endpoints/iris/invocations", data=body, headers=headers)
    SigV4Auth(Credentials(key, SECRET, token), "sagemaker", "us-east-1").add_auth(request)
    pairs = [("host", "h"), ("content-length", str(len(body)))]
    return pairs + [(name.lower(), str(value)) for name, value in request.headers.items()]


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("drop"), st.integers(0, 9)),
        st.tuples(st.just("double"), st.integers(0, 9)),
        st.tuples(st.just("alter"), st.integers(0, 9), st.integers(0, 300)),
        st.tuples(
            st.just("add"),
            st.sampled_from(["x-amz-security-token", "x-amz-meta", "x-extra", "date", "host"]),
            st.sampled_from(["t", "", " a  b ", "é"]),
        ),
    ),
    max_size=2,
)


def changed(pairs, change):
    kind, which, *rest = change
    if kind == "add":
        return [*pairs, (which, rest[0])]
    index = which % len(pairs)
    name, value = pairs[index]
    if kind == "drop":
        return pairs[:index] + pairs[index + 1 :]
    if kind == "double":
        return [*pairs, pairs[index]]
    at = rest[0] % max(1, len(value))
    other = "b" if value[at : at + 1] == "a" else "a"
    return [*pairs[:index], (name, value[:at] + other + value[at + 1 :]), *pairs[index + 1 :]]


@settings(max_examples=400, deadline=None)
@given(
    key=st.sampled_from(["LASTING", "LASTING", "LASTING", *KEYS, "NOBODY"]),
    token=st.sampled_from([None, None, "t", "other"]),
    extra=st.dictionaries(
        st.sampled_from(["Content-Type", "Accept", "X-Amz-Meta"]),
        st.sampled_from(["text/csv", "a  b", "é", ""]),
    ),
    changes=CHANGES,
    minutes=st.sampled_from([0] * 9 + [-4, 4, -6, 6, 1500]),
    services=st.sampled_from([{"sagemaker"}] * 5 + [{"s3"}]),
    is_same_body=st.sampled_from([True] * 5 + [False]),
)
def test_both_ways_say_the_same(key, token, extra, changes, minutes, services, is_same_body):
    pairs = signed(key, token, extra, b"5.1,3.5")
    for change in changes:
        pairs = changed(pairs, change)
    body = b"5.1,3.5" if is_same_body else b"5.1,3.6"
    message = Message("POST", "/endpoints/iris/invocations", "", pairs, body)
    now = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)

    short, long = (outcome(made(KEYS.get), message, services, now) for made in (Verifier, LongWay))

    assert short == long


def test_a_request_as_clients_write_it_goes_the_short_way():
    pairs = signed("LASTING", None, {"Content-Type": "text/csv"}, b"1")
    message = Message("POST", "/endpoints/iris/invocations", "", pairs, b"1")

    verified = Verifier(KEYS.get)._verify_usual(
        message, dict(pairs), {"sagemaker"}, dt.datetime.now(dt.UTC)
    )

    assert verified.credential is KEYS["LASTING"]
