"""What one signature costs the gateway: the check of a signed InvokeEndpoint, in microseconds.

`python benchmarks/signature.py`
"""

from __future__ import annotations

import datetime as dt
import statistics
import time
import timeit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from farero.identity.canonical import Message
from farero.identity.refusals import Style
from farero.identity.sigv4 import Verifier
from farero.records.identity import Credential

ROUNDS = 20_000


def main() -> None:
    """Print the median and the least of nine runs."""
    key = Credential(
        access_key_id="AKIDEXAMPLE", secret_access_key="s" * 40, principal_arn="", user_id=""
    )
    body = b"5.1,3.5,1.4,0.2"
    headers = {"Content-Type": "text/csv", "Accept": "text/csv", "User-Agent": "Boto3 md/Botocore"}
    request = AWSRequest(
        "POST", "http://127.0.0.1:4747/endpoints/iris/invocations", headers=headers, data=body
    )
    SigV4Auth(
        Credentials(key.access_key_id, key.secret_access_key), "sagemaker", "us-east-1"
    ).add_auth(request)
    sent = [("host", "127.0.0.1:4747"), ("content-length", "15"), ("accept-encoding", "identity")]
    sent += [(name.lower(), str(value)) for name, value in request.headers.items()]
    message = Message("POST", "/endpoints/iris/invocations", "", sent, body)
    verifier = Verifier({key.access_key_id: key}.get)
    services, now = frozenset({"sagemaker"}), dt.datetime.now(dt.UTC)

    def check() -> None:
        verifier.verify(message, style=Style.JSON, services=services, now=now)

    runs = [
        timeit.timeit(check, timer=time.process_time, number=ROUNDS) / ROUNDS * 1e6
        for _ in range(9)
    ]
    print(f"signature check: median {statistics.median(runs):.1f} us, least {min(runs):.1f} us")


if __name__ == "__main__":
    main()
