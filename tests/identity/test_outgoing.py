"""What Farero signs for itself is what botocore would sign, and what the gateway accepts."""

import datetime as dt
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from farero.identity.canonical import Message
from farero.identity.outgoing import sign
from farero.identity.refusals import Style
from farero.identity.sigv4 import Verifier
from farero.records.identity import Credential

KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    ["/_farero/status", "/_farero/capture?endpoint=a-b&last=10", "/_farero/x?b=%20c&a=1&a=0"],
)
def test_it_signs_as_botocore_does_and_is_accepted(method, path):
    url = f"http://127.0.0.1:4747{path}"
    headers = sign(method, url, KEY, scope=("eu-west-1", "farero"), now=NOW)

    request = AWSRequest(method, url, headers={"X-Amz-Date": headers["X-Amz-Date"]})
    judge = botocore.auth.SigV4Auth(Credentials(*KEY), "farero", "eu-west-1")
    request.context["timestamp"] = headers["X-Amz-Date"]
    text = judge.string_to_sign(request, judge.canonical_request(request))
    assert headers["Authorization"].endswith(f"Signature={judge.signature(text, request)}")

    parts = urlsplit(url)
    sent = [("host", parts.netloc), *((name.lower(), value) for name, value in headers.items())]
    owner = Credential(
        access_key_id=KEY[0],
        secret_access_key=KEY[1],
        principal_arn="arn:aws:iam::123456789012:root",
        user_id="me",
    )
    verified = Verifier({KEY[0]: owner}.get).verify(
        Message(method, parts.path, parts.query, sent, b""),
        style=Style.JSON, services={"farero"}, now=NOW,
    )  # fmt: skip
    assert (verified.credential, verified.region) == (owner, "eu-west-1")
