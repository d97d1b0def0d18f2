"""botocore's own protocol cases, both ways: what its serializer writes we read, what we write its parser reads.

The cases come with botocore's source distribution of the installed version, which is fetched once into
`~/.cache/farero-dev`. Cases that botocore excuses itself from (its ignore list) say nothing about us and are left out,
and so is the protocol of EC2, which Farero does not speak.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import math
import urllib.parse

import pytest
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.eventstream import EventStream
from botocore.model import NoShapeFoundError, OperationModel, ServiceModel
from botocore.parsers import PROTOCOL_PARSERS
from botocore.serialize import SERIALIZERS
from botocore.utils import parse_timestamp

from farero.aws.wire import errors, identify, protocol, scalars
from farero.aws.wire.messages import AwsError, Headers, HttpRequest

pytestmark = pytest.mark.network

#: Share of cases that must pass.
FLOOR = 0.95

BOUND = (
    "the case repeats bound parameters in the map of all parameters; the same cases of rest-xml and"
    " RestJsonQueryParamsStringListMap want the map without them"
)
#: Case → why what botocore writes cannot be read back to its parameters.
EXCUSED_INPUT = {
    "query/QueryEmptyQueryMaps": "botocore writes nothing for an empty map",
    "rest-json/RestJsonHttpPrefixHeadersAreNotPresent": "an empty header map leaves no trace",
    "rest-xml/HttpPrefixHeadersAreNotPresent": "an empty header map leaves no trace",
    "rest-json/RestJsonOmitsEmptyListQueryValues": "an empty list leaves no trace in a query string",
    "rest-json/RestJsonAllQueryStringTypes": BOUND,
    "rest-json/RestJsonQueryStringEscaping": BOUND,
    "rest-json/RestJsonSupportsNaNFloatQueryValues": BOUND,
    "rest-json/RestJsonSupportsInfinityFloatQueryValues": BOUND,
    "rest-json/RestJsonSupportsNegativeInfinityFloatQueryValues": BOUND,
    "rest-json/RestJsonZeroAndFalseQueryValues": BOUND,
    "rest-json/RestJsonHttpWithEmptyStructurePayload": "botocore writes {} for an absent payload",
    "rest-json/RestJsonHttpWithHeadersButNoPayload": "botocore writes {} for an absent payload",
}
#: Case → why botocore's parser cannot read its result back from what we write.
EXCUSED_OUTPUT: dict[str, str] = {}


@pytest.fixture(scope="module")
def cases_dir(botocore_tests):
    return botocore_tests / "protocols"


def test_we_read_what_botocore_writes(cases_dir):
    total, failed = run_cases(cases_dir, "input", check_input)

    assert sorted(failed) == sorted(EXCUSED_INPUT), failed
    assert total > 280
    assert 1 - len(failed) / total >= FLOOR


def test_botocore_reads_what_we_write(cases_dir):
    total, failed = run_cases(cases_dir, "output", check_output)

    assert sorted(failed) == sorted(EXCUSED_OUTPUT), failed
    assert total > 280
    assert 1 - len(failed) / total >= FLOOR


def run_cases(cases_dir, direction, check):
    """Return the number of cases, and the failures as id → what differs."""
    ignored = json.loads((cases_dir / "protocol-tests-ignore-list.json").read_text())
    total, failed = 0, {}
    for path in sorted((cases_dir / direction).glob("*.json")):
        if path.stem == "ec2":
            continue
        rules = [
            ignored.get("general", {}).get(direction, {}),
            ignored["protocols"].get(path.stem, {}).get(direction, {}),
        ]
        for suite_number, suite in enumerate(json.loads(path.read_text())):
            for number, case in enumerate(suite["cases"]):
                if any(
                    suite["description"] in r.get("suites", [])
                    or case.get("id") in r.get("cases", [])
                    for r in rules
                ):
                    continue
                total += 1
                name = f"{path.stem}/{case.get('id') or f'{suite_number}:{number}'}"
                try:
                    check(suite, case)
                except Exception as error:  # noqa: BLE001 - a failure of any kind is the case's result
                    failed[name] = f"{type(error).__name__}: {error}"[:600]
    return total, failed


def operation_of(suite, case):
    description = copy.deepcopy({k: v for k, v in suite.items() if k != "cases"})
    given = copy.deepcopy(case["given"])
    name = given.setdefault("name", "OperationName")
    description["operations"] = {name: given}
    model = ServiceModel(description, "cases")
    return OperationModel(given, model, name), model


def check_input(suite, case):
    operation, model = operation_of(suite, case)
    wire = model.metadata["protocol"]
    params = floats(copy.deepcopy(case["params"]))
    sent = SERIALIZERS[wire]().serialize_to_request(params, operation)
    request, labels = request_of(sent, operation, wire, suite.get("clientEndpoint"))
    target = identify.Target("cases", wire, operation.name, operation, labels)

    got = protocol.read_operation(operation, wire, request, target)

    expected = canonical(operation.input_shape, params)
    assert plain(got) == plain(expected), f"{plain(got)} != {plain(expected)}"


def request_of(sent, operation, wire, endpoint):
    if isinstance(sent["body"], dict):
        sent["body"] = urllib.parse.urlencode(sent["body"], doseq=True).encode()
    prepare_request_dict(sent, endpoint or "http://localhost:4747")
    url = urllib.parse.urlsplit(sent["url"])
    headers = Headers([(name, str(value)) for name, value in sent["headers"].items()])
    request = HttpRequest(
        method=sent["method"], path=url.path, query=url.query, headers=headers, body=sent["body"]
    )
    if not wire.startswith("rest-"):
        return request, {}
    route = identify._route(operation.http["requestUri"].partition("?")[0], [operation])
    found = route.pattern.fullmatch(url.path)
    values = (urllib.parse.unquote(text) for text in found.groups())
    return request, dict(zip(route.labels, values, strict=True))


def canonical(shape, value):
    """Bring the case's JSON to the values we use: bytes, datetimes, numbers; None left out of structures."""
    if value is None or shape is None or getattr(shape, "is_document_type", False):
        return {} if value is None else value
    kind = shape.type_name
    if kind == "structure":
        return {n: canonical_member(shape.members[n], v) for n, v in value.items() if v is not None}
    if kind == "list":
        return [None if v is None else canonical(shape.member, v) for v in value]
    if kind == "map":
        return {k: None if v is None else canonical(shape.value, v) for k, v in value.items()}
    if kind == "timestamp":
        return scalars.read_timestamp(value)
    return value.encode() if kind == "blob" and isinstance(value, str) else value


def canonical_member(shape, value):
    if shape.serialization.get("location") == "headers":
        return {name.lower(): text for name, text in value.items()}  # header names have no case
    return canonical(shape, value)


def check_output(suite, case):
    operation, model = operation_of(suite, case)
    wire = model.metadata["protocol"]
    shape = operation.output_shape
    if wire == "query" and shape is not None and shape.members:
        shape.serialization["resultWrapper"] = f"{operation.name}Result"
    parser = PROTOCOL_PARSERS[wire](timestamp_parser=lambda v: parse_timestamp(v).timestamp())
    if "error" in case:
        check_error(case, operation, model, wire, parser)
        return
    result = canonical(shape, floats(copy.deepcopy(case["result"])))

    response = protocol.write_operation(operation, wire, result, "request-id")

    parsed = parser.parse(as_botocore(response, operation), shape)
    parsed.pop("ResponseMetadata", None)
    for key, value in parsed.items():
        if isinstance(value, EventStream):
            parsed[key] = list(value)
    expected = floats(copy.deepcopy(case["result"]))
    assert plain(parsed) == plain(expected), (
        f"{plain(parsed)} != {plain(expected)} ({response.body})"
    )


def check_error(case, operation, model, wire, parser):
    expected = copy.deepcopy(case["error"])
    error = AwsError(
        case["errorCode"], case.get("errorMessage", ""), case["response"]["status_code"]
    )
    shape = next((s for s in model.error_shapes if s.name == error.code), None)
    named = [n for n in (shape.members if shape else {}) if n.lower() == "message"]
    error.members = {n: v for n, v in expected.items() if n not in named}

    response = errors.write_for(model, wire, error, "request-id")

    answer = as_botocore(response, operation)
    parsed = parser.parse(answer, operation.output_shape)
    try:
        error_shape = model.shape_for_error_code(parsed["Error"]["Code"])
        parsed.update(parser.parse(answer, error_shape))
    except NoShapeFoundError:
        pass
    got = {n: v for n, v in parsed.items() if n in expected}
    assert plain(got) == plain(expected), f"{got} != {expected} ({response.body})"
    assert parsed["Error"]["Code"] == case["errorCode"]
    assert parsed["Error"]["Message"] == case.get("errorMessage", "")


def as_botocore(response, operation):
    body = response.body
    if response.stream is not None:
        body = asyncio.run(collect(response.stream))
    if operation.has_event_stream_output:
        body = Raw(body)
    return {
        "status_code": response.status,
        "headers": HeadersDict(response.headers),
        "body": body,
        "context": {"operation_name": operation.name},
    }


async def collect(stream):
    return b"".join([piece async for piece in stream])


class Raw:
    """What urllib3 hands to botocore's event stream."""

    def __init__(self, data):
        self._data = data

    def stream(self):
        yield self._data


def floats(value):
    """Turn the names of special floats at the top of a case into numbers, as botocore's own runner does."""
    names = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    return {k: names.get(v, v) if isinstance(v, str) else v for k, v in value.items()}


def plain(value):
    """Make values comparable: bytes as text, NaN by name, times as epoch seconds."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return scalars.write_float(value)  # botocore's JSON parser leaves these as text
    return value.timestamp() if hasattr(value, "timestamp") else value


def test_base64_is_not_confused_with_text():
    assert base64.b64decode(scalars.write_blob("ñ")) == "ñ".encode()
