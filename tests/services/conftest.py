"""A room alone behind the real wire: boto3's request goes through read and validate, the answer through write."""

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from farero.aws.wire import protocol
from farero.aws.wire.messages import AwsError, Headers, HttpRequest
from farero.base.context import Context, Principal
from farero.base.errors import DomainError

PRINCIPAL = Principal(access_key_id="AKIA", arn="arn:aws:iam::123456789012:root", user_id="1")


class _Raw:
    def __init__(self, body):
        self._body = body

    def stream(self, **_):
        yield self._body


@pytest.fixture
def client_of(clock):
    """Return the function that makes a boto3 client whose requests a room answers."""

    def answer(room, prepared):
        url = prepared.url.partition("//")[2].partition("/")
        body = prepared.body.read() if hasattr(prepared.body, "read") else prepared.body or b""
        request = HttpRequest(
            method=prepared.method,
            path="/" + url[2].partition("?")[0],
            query=url[2].partition("?")[2],
            headers=Headers(
                [
                    (k, v.decode() if isinstance(v, bytes) else v)
                    for k, v in prepared.headers.items()
                ]
            ),
            body=body if isinstance(body, bytes) else body.encode(),
        )
        target = protocol.identify(request)
        try:
            params = protocol.read(target, request)
            protocol.validate(target, params)
            context = Context(
                account="123456789012",
                region="us-east-1",
                request_id="r",
                now=clock.now(),
                principal=PRINCIPAL,
            )
            try:
                find = getattr(room, "find_operation", lambda name: getattr(room, name))
                result = find(target.python_name)(context, params)
            except DomainError as error:
                code, status = getattr(room, "errors", {}).get(
                    type(error), ("ValidationException", 400)
                )
                raise AwsError(code, str(error), status) from error
            response = protocol.write(target, result, "r")
        except AwsError as error:
            response = protocol.write_error(target, error, "r")
        return AWSResponse(
            prepared.url, response.status, dict(response.headers), _Raw(response.body)
        )

    def make(room, service=None):
        client = boto3.client(
            service or room.service,
            region_name="us-east-1",
            aws_access_key_id="AKIA",
            aws_secret_access_key="secret",
            endpoint_url="http://localhost:4747",
            config=Config(retries={"total_max_attempts": 1}),
        )
        client.meta.events.register("before-send", lambda request, **_: answer(room, request))
        return client

    return make
