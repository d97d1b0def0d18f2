"""Whatever bytes arrive, reading ends in members or in an error of the 400s; never in a fault of ours."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farero.aws.wire import models, protocol, validate
from farero.aws.wire.messages import AwsError, Headers, HttpRequest

OPERATIONS = [
    ("sagemaker", "json", "CreateEndpointConfig"),
    ("sagemaker-runtime", "rest-json", "InvokeEndpointAsync"),
    ("lambda", "rest-json", "CreateFunction"),
    ("s3", "rest-xml", "DeleteObjects"),
    ("s3", "rest-xml", "CompleteMultipartUpload"),
    ("iam", "query", "CreateRole"),
    ("cloudwatch", "query", "PutMetricData"),
    ("cloudwatch", "smithy-rpc-v2-cbor", "PutMetricData"),
    ("cloudwatch", "json", "PutMetricData"),
]
CODES = {
    "SerializationException",
    "MalformedXML",
    "MalformedInput",
    "InvalidArgument",
    "InvalidRequest",
    "ValidationException",
    "ValidationError",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["ProductionVariants", "EndpointConfigName", "MetricData", "Tags", "Value"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
LAUGHS = b"""<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]><Delete>&b;</Delete>"""
OUTSIDE = b"""<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>"""


def read(name, body, query="", headers=()):
    service, wire, operation = name
    target = protocol.Target(
        service, wire, operation, models.operation_model(service, operation), {"Bucket": "b"}
    )
    request = HttpRequest(
        method="POST", path="/", query=query, headers=Headers(list(headers)), body=body
    )
    params = protocol.read(target, request)
    assert isinstance(params, dict)
    protocol.validate(target, params)
    return params


def answer_of(name, body, query="", headers=()):
    try:
        return read(name, body, query, headers)
    except AwsError as error:
        refusal = error
    assert refusal.code in CODES
    assert refusal.status == 400
    return refusal


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(OPERATIONS), body=st.binary(max_size=200))
@example(name=OPERATIONS[3], body=LAUGHS)
@example(name=OPERATIONS[3], body=OUTSIDE)
def test_any_bytes_are_read_or_refused(name, body):
    answer_of(name, body)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(OPERATIONS[:3] + OPERATIONS[-1:]), value=JSON)
def test_any_json_is_read_or_refused(name, value):
    answer_of(name, json.dumps(value).encode())


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(OPERATIONS[5:7]),
    names=st.lists(
        st.from_regex(r"(MetricData|RoleName|member|\d|\.|Value|Dimensions){1,6}", fullmatch=True)
    ),
)
def test_any_form_is_read_or_refused(name, names):
    answer_of(name, "&".join(f"{n}=1" for n in names).encode())


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(OPERATIONS),
    query=st.text(st.characters(max_codepoint=255)),
    value=st.text(),
)
def test_any_query_string_and_header_is_read_or_refused(name, query, value):
    headers = [("x-amz-date", value), ("x-amz-sagemaker-requestttlseconds", value)]
    answer_of(name, b"", query, headers)


DEEP = 200_000


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (OPERATIONS[0], b'{"Tags":' * DEEP),
        (OPERATIONS[0], b'{"Tags":' + b"[" * DEEP + b"]" * DEEP + b"}"),
        (OPERATIONS[3], b"<Delete>" + b"<a>" * DEEP + b"</a>" * DEEP + b"</Delete>"),
        (OPERATIONS[5], b"RoleName" + b".a" * DEEP + b"=1"),
        (OPERATIONS[7], b"\x81" * DEEP),
        (OPERATIONS[7], b"\x9f" * DEEP),
        (OPERATIONS[7], b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        (OPERATIONS[7], b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        (OPERATIONS[7], b"\xc1" * DEEP),
    ],
    ids=[
        "json",
        "json-list",
        "xml",
        "form",
        "cbor",
        "cbor-open",
        "cbor-long",
        "cbor-text",
        "cbor-tag",
    ],
)
def test_deep_and_long_bodies_are_refused(name, body):
    assert isinstance(answer_of(name, body), AwsError)


@pytest.mark.parametrize("body", [LAUGHS, OUTSIDE], ids=["laughs", "outside"])
def test_entities_are_refused(body):
    assert answer_of(OPERATIONS[3], body).code == "MalformedXML"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The request body is not valid JSON"),
        (b'{"EndpointConfigName": 1}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"EndpointConfigName": true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"EndpointConfigName": {}}', "Start of structure or map found where not expected."),
        (b'{"EndpointConfigName": []}', "Start of list found where not expected"),
        (b'{"ProductionVariants": {}}', "Unexpected field type"),
        (
            b'{"ProductionVariants": [{"InitialInstanceCount": "1"}]}',
            "STRING_VALUE can not be converted to an Integer",
        ),
    ],
)
def test_json_of_another_type_is_named_as_aws_does(body, message):
    error = answer_of(OPERATIONS[0], body)

    assert (error.code, error.message) == ("SerializationException", message)


#: Texts that bring out exponential patterns; each is almost a match for something.
PROBES = [
    f"{(unit * 26)[:26]}{end}"
    for unit in ("a", "a-", "/a", " ", "0", "a.", "a_", "a/", "A:", "*a")
    for end in "\n\x01"
]


@pytest.mark.parametrize("service", sorted(models.SERVICES))
def test_no_pattern_takes_exponential_time(service):
    model = models.service_model(service)
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names}
    compiled = [validate.compile_pattern(p) for p in patterns if p]

    slow = [p.pattern for p in compiled if p and is_exponential(p)]

    assert slow == []


def is_exponential(pattern):
    """Say whether some text of 26 characters takes longer than any polynomial would."""
    import time

    for probe in PROBES:
        with contextlib.suppress(ValueError):
            start = time.process_time()
            pattern.fullmatch("s3://" + probe)
            pattern.fullmatch(probe)
            if time.process_time() - start > 0.2:
                return True
    return False
