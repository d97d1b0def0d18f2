"""Generated values for every operation of every service on the list, there and back through botocore.

The values come from a seeded generator: the same on every run, awkward on purpose."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import string
from urllib.parse import urlencode, urlsplit

from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.eventstream import EventStream
from botocore.parsers import PROTOCOL_PARSERS
from botocore.serialize import SERIALIZERS

from farero.aws.wire import models, protocol
from farero.aws.wire.messages import AwsError, Headers, HttpRequest

SERVICES = [
    ("s3", "rest-xml"),
    ("sts", "query"),
    ("iam", "query"),
    ("sagemaker", "json"),
    ("sagemaker-runtime", "rest-json"),
    ("logs", "json"),
    ("cloudwatch", "json"),
    ("cloudwatch", "query"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("sns", "query"),
    ("sqs", "json"),
    ("events", "json"),
    ("lambda", "rest-json"),
    ("scheduler", "rest-json"),
]
TEXTS = (
    "plain",
    "a b+c%2Fd&e=f;g",
    '<tag attr="x">&amp;\'</tag>',
    "ñandú 漢字 😀",
    "  spaces  ",
    "line\nbreak\ttab",
    "back\\slash",
    "true",
    "123",
    "../..",
)
HEADER_TEXTS = ("plain", "a b+c%2Fd&e=f;g", 'say "hi"', "back\\slash", "true", "../..")
#: Depth at which recursive shapes end.
MAX_DEPTH = 5
#: Shares of optional members: none, some, all.
SHARES = (0.0, 0.5, 1.0)


def test_every_operation_reads_what_botocore_writes(service, wire):
    for operation in operations(service):
        for share in SHARES:
            shape = operation.input_shape
            params = Generator(operation.name, wire, is_input=True, share=share).message(shape)
            request = as_request(service, wire, operation, params)

            target = protocol.identify(request)
            got = protocol.read(target, request)

            assert (target.service, target.protocol) == (service, wire), operation.name
            assert target.operation_name == operation.name
            assert comparable(tidy(got, shape)) == comparable(tidy(params, shape)), operation.name


def test_every_operation_writes_what_botocore_reads(service, wire):
    for operation in operations(service):
        for share in SHARES:
            shape = operation.output_shape
            result = Generator(operation.name, wire, is_input=False, share=share).message(shape)
            target = protocol.Target(service, wire, operation.name, operation)

            response = protocol.write(target, result, "the-id")

            parsed = parse(operation, wire, response, shape)
            metadata = parsed.pop("ResponseMetadata")
            assert comparable(tidy(parsed, shape)) == comparable(tidy(result, shape)), (
                operation.name
            )
            # botocore's CBOR parser leaves the id out where there is no output shape.
            assert metadata.get("RequestId", "the-id") == "the-id"


def test_every_modelled_error_reaches_the_client(service, wire):
    model = models.service_model(service)
    for shape in model.error_shapes:
        members = Generator(shape.name, wire, is_input=False, share=1.0).message(shape)
        told = {n: v for n, v in members.items() if n.lower() != "message"}
        told = {n: v for n, v in told.items() if n not in ("Code", "Type")}
        error = AwsError(shape.name, "What happened: <&> ñ", 400, members=told)
        operation = model.operation_model(model.operation_names[0])
        target = protocol.Target(service, wire, operation.name, operation)

        response = protocol.write_error(target, error, "the-id")

        parsed = parse(operation, wire, response, operation.output_shape)
        modelled = parse(operation, wire, response, shape)
        has_code = wire in ("query", "rest-xml") or models.is_query_compatible(model)
        expected = models.error_code(shape) if has_code else shape.name
        assert parsed["Error"]["Code"] == expected
        assert parsed["Error"]["Message"] == "What happened: <&> ñ"
        assert parsed["ResponseMetadata"]["RequestId"] == "the-id"
        got = {n: v for n, v in modelled.items() if n in told}
        assert comparable(got) == comparable(told), shape.name


def pytest_generate_tests(metafunc):
    if "wire" in metafunc.fixturenames:
        metafunc.parametrize(("service", "wire"), SERVICES, ids=[f"{s}-{w}" for s, w in SERVICES])


def operations(service):
    model = models.service_model(service)
    for name in model.operation_names:
        operation = model.operation_model(name)
        if (service, name) not in ELSEWHERE and not (service == "s3" and operation.deprecated):
            yield operation


#: What cannot make the round trip; S3's deprecated operations, too, share the address of their successors.
ELSEWHERE = {
    ("s3", "ListDirectoryBuckets"): "same address as ListBuckets, on a host of S3 Express",
    ("s3", "WriteGetObjectResponse"): "its host names the route",
    ("s3", "GetBucketLocation"): "its answer is no structure; see test_s3.py",
}


def as_request(service, wire, operation, params):
    sent = SERIALIZERS[wire]().serialize_to_request(params, operation)
    if isinstance(sent["body"], dict):
        sent["body"] = urlencode(sent["body"]).encode()
    prepare_request_dict(sent, "http://localhost:4747")
    url = urlsplit(sent["url"])
    scope = models.SERVICES[service].scope
    headers = [(name, str(value)) for name, value in sent["headers"].items()]
    headers.append(("Host", "localhost:4747"))
    credential = f"AKIAIOSFODNN7EXAMPLE/20260105/us-east-1/{scope}/aws4_request"
    headers.append(("Authorization", f"AWS4-HMAC-SHA256 Credential={credential}, Signature=0"))
    return HttpRequest(
        method=sent["method"],
        path=url.path,
        query=url.query,
        headers=Headers(headers),
        body=sent["body"] if isinstance(sent["body"], bytes) else sent["body"].encode(),
    )


def parse(operation, wire, response, shape):
    body = response.body
    if response.stream is not None:
        body = asyncio.run(collect(response.stream))
    answer = {
        "status_code": response.status,
        "headers": HeadersDict(response.headers),
        "body": Raw(body) if response.stream is not None else body,
        "context": {"operation_name": operation.name},
    }
    parsed = PROTOCOL_PARSERS[wire]().parse(answer, shape)
    return {k: list(v) if isinstance(v, EventStream) else v for k, v in parsed.items()}


async def collect(stream):
    return b"".join([piece async for piece in stream])


class Raw:
    """What urllib3 hands to botocore's event stream."""

    def __init__(self, data):
        self._data = data

    def stream(self):
        yield self._data


def comparable(value):
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [comparable(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode()
    return value.timestamp() if hasattr(value, "timestamp") else value


def tidy(members, shape):
    """Leave out an empty payload, stream or header map: botocore writes and parses absent ones so."""
    payload = shape.serialization.get("payload") if shape else None
    stream = shape.event_stream_name if shape else None
    maybe = {n for n, m in shape.members.items() if m.type_name == "map"} if shape else set()
    maybe |= {payload, stream}
    return {n: v for n, v in members.items() if n not in maybe or v not in ({}, [], "", b"")}


def test_the_generator_is_the_same_on_every_run():
    shape = models.service_model("sagemaker").operation_model("CreateEndpointConfig").input_shape
    one, two = (Generator("x", "json", is_input=True, share=0.7).message(shape) for _ in range(2))

    assert one == two
    assert random.Random("x").random() == random.Random("x").random()


class Generator:
    """Makes values of one message; `wire` is its protocol, `is_input` its direction."""

    def __init__(self, seed: str, wire: str, *, is_input: bool, share: float) -> None:
        self._random = random.Random(seed)
        self._wire = wire
        self._is_input = is_input
        #: Probability with which an optional member is there.
        self._share = share

    def message(self, shape) -> dict:
        """Return the members of an input or output shape."""
        if shape is None:
            return {}
        return self._structure(shape, 0, is_top=True)

    def _structure(self, shape, depth: int, *, is_top: bool = False):
        members = shape.members
        if getattr(shape, "is_tagged_union", False):
            return self._union(members, depth)
        result = {}
        for name, member in members.items():
            always = name in shape.required_members or "statusCode" in member.serialization.values()
            if always or self._wanted(depth):
                value = self._member(member, depth + 1) if is_top else self.value(member, depth + 1)
                if value is not None:
                    result[name] = value
        return result

    def _union(self, members, depth: int):
        for name in self._random.sample(sorted(members), len(members)):
            value = self.value(members[name], depth + 1)
            if value is not None:
                return {name: value}
        return None

    def _wanted(self, depth: int) -> bool:
        return depth < MAX_DEPTH and self._random.random() < self._share

    def _member(self, member, depth: int):  # noqa: PLR0911 - one line a place
        where = member.serialization.get("location")
        if member.serialization.get("eventstream"):
            return None if self._is_input else self._events(member)
        if where == "statusCode":
            return 202
        if where == "headers":
            return {"one": "1", "two-words": self._header_text()}
        if where == "uri":
            return self._label(member)
        if where == "header":
            return self._header(member)
        if where == "querystring" and member.type_name == "string":
            return self._random.choice(TEXTS)
        return self.value(member, depth)

    def _events(self, shape):
        names = [n for n, s in shape.members.items() if not s.metadata.get("exception")]
        self._share = 1.0
        return [{n: self._structure(shape.members[n], 2)} for n in names]

    def _label(self, member):
        if member.type_name in ("integer", "long"):
            return 7
        return "bucket-1" if member.name.endswith("Bucket") else self._random.choice(TEXTS)

    def _header(self, member):
        if member.serialization.get("jsonvalue"):
            return {"a": [1, None, "é"]}
        if member.type_name == "list":
            item = member.member
            if item.type_name != "string":
                return None
            # botocore's parser knows no quotes in header lists.
            return ["one", 'two, "three"'] if self._is_input else ["one", "two"]
        if member.type_name == "string":
            return self._random.choice(member.enum) if member.enum else self._header_text()
        if member.type_name == "timestamp":
            return self._moment(0)
        return self.value(member, MAX_DEPTH)

    def _header_text(self) -> str:
        return self._random.choice(HEADER_TEXTS)

    def value(self, shape, depth: int):
        """Return one value, or None where recursion ends."""
        if getattr(shape, "is_document_type", False):
            return {"free": ["form", 1, None]}
        kind = shape.type_name
        if kind in ("structure", "list", "map") and depth > 2 * MAX_DEPTH:
            return None
        if kind == "structure":
            found = self._structure(shape, depth)
            # Query and XML bodies have no empty structure at every place.
            return found or (
                found if self._wire in ("json", "rest-json") and not shape.members else None
            )
        if kind == "list":
            items = [self.value(shape.member, depth + 1) for _ in range(self._random.randint(1, 3))]
            return [item for item in items if item is not None] or None
        if kind == "map":
            item = self.value(shape.value, depth + 1)
            keys = shape.key.enum[:1] or ["k1", "key two/é"]
            return None if item is None else dict.fromkeys(keys, item)
        return self._scalar(shape, kind)

    def _scalar(self, shape, kind: str):  # noqa: PLR0911 - one line a kind
        if kind == "string":
            return self._random.choice(shape.enum) if shape.enum else self._random.choice(TEXTS)
        if kind == "character":
            return self._random.choice(string.ascii_letters)
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind in ("float", "double"):
            return self._random.choice([0.0, 1.5, -2.25, 1e10, 0.125])
        if kind == "blob":
            return b"bytes \x01 ascii"
        if kind == "timestamp":
            whole = shape.serialization.get("timestampFormat") == "rfc822"
            return self._moment(0 if whole else self._random.choice([0, 123_000]))
        return self._random.choice([0, 1, -1, 23, 24, 255, 256, 65536, 2**31 - 1])

    def _moment(self, microseconds: int) -> dt.datetime:
        second = self._random.randint(0, 59)
        return dt.datetime(2026, 2, 28, 23, 59, second, microseconds, tzinfo=dt.UTC)
