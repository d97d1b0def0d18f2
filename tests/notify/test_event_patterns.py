"""EventBridge's patterns, by the examples of its guide and by laws that hold for any pattern."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.base.errors import Invalid
from farero.notify import event_patterns

EVENT = {
    "source": "aws.sagemaker",
    "detail-type": "SageMaker Endpoint State Change",
    "resources": ["arn:aws:sagemaker:us-east-1:123456789012:endpoint/iris"],
    "detail": {
        "EndpointName": "iris",
        "EndpointStatus": "IN_SERVICE",
        "count": 5,
        "ratio": 0.5,
        "ready": True,
        "nothing": None,
        "address": "10.0.0.7",
        "file": "logs/2026/a*b.txt",
        "empty": [],
        "parts": [{"name": "a", "size": 1}, {"name": "b", "size": 2}],
    },
}


def wants(detail):
    pattern = event_patterns.parse(json.dumps({"detail": detail}))
    return event_patterns.matches(pattern, EVENT)


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"EndpointStatus": ["FAILED", "IN_SERVICE"]}, True),
        ({"EndpointStatus": ["in_service"]}, False),
        ({"EndpointStatus": [{"equals-ignore-case": "in_service"}]}, True),
        ({"EndpointName": [{"prefix": "ir"}]}, True),
        ({"EndpointName": [{"prefix": {"equals-ignore-case": "IR"}}]}, True),
        ({"EndpointName": [{"suffix": "ir"}]}, False),
        ({"EndpointName": [{"anything-but": "iris"}]}, False),
        ({"EndpointName": [{"anything-but": ["a", "b"]}]}, True),
        ({"EndpointName": [{"anything-but": {"prefix": "ir"}}]}, False),
        ({"EndpointName": [{"anything-but": {"suffix": ["x", "s"]}}]}, False),
        ({"EndpointName": [{"anything-but": {"wildcard": "i*z"}}]}, True),
        ({"missing": [{"anything-but": "x"}]}, False),
        ({"count": [5.0]}, True),
        ({"count": ["5"]}, False),
        ({"count": [{"numeric": [">", 0, "<=", 5]}]}, True),
        ({"count": [{"numeric": ["<", 5]}]}, False),
        ({"ratio": [{"numeric": ["=", 0.5]}]}, True),
        ({"ready": [{"numeric": ["=", 1]}]}, False),
        ({"ready": [1]}, False),
        ({"ready": [True]}, True),
        ({"nothing": [None]}, True),
        ({"missing": [None]}, False),
        ({"nothing": [{"exists": True}]}, True),
        ({"missing": [{"exists": False}]}, True),
        ({"empty": [{"exists": True}]}, False),
        ({"missing": {"deep": [{"exists": False}]}}, True),
        ({"address": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"address": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"file": [{"wildcard": "logs/*/a\\*b.*"}]}, True),
        ({"file": [{"wildcard": "*txt*.txt"}]}, False),
        ({"parts": {"name": ["a"], "size": [1]}}, True),
        ({"parts": {"name": ["a"], "size": [2]}}, False),  # no one element has both
        ({"$or": [{"count": [1]}, {"ratio": [0.5]}]}, True),
        ({"$or": [{"count": [1]}, {"ratio": [1]}], "ready": [True]}, False),
    ],
)
def test_a_pattern_wants_what_the_guide_says(detail, expected):
    assert wants(detail) is expected


#: "EventBridge … uses dot (.) as the joining character" ("Creating event patterns": Considerations).
NESTED, DOTTED = {"state": {"status": "running"}}, {"state.status": "running"}


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({"state": {"status": ["running"]}}, NESTED, True),
        ({"state.status": ["running"]}, NESTED, True),
        ({"state": {"status": ["running"]}}, DOTTED, True),
        ({"state.status": ["running"]}, DOTTED, True),
        ({"state.status": ["stopped"]}, NESTED, False),
        ({"state.status": {"status": ["running"]}}, NESTED, False),
        ({"state": {"status": ["running"]}}, {"state.status": {"status": "running"}}, False),
        ({"state.status": [{"exists": False}]}, NESTED, False),
        ({"state.none": [{"exists": False}]}, NESTED, True),
        ({"state": {"none": [{"exists": False}]}}, DOTTED, True),
        ({"a.b.c": [1]}, {"a.b": {"c": 1}}, True),
        ({"a": {"b": {"c": [1]}}}, {"a.b.c": 1}, True),
        ({"a": {"b": {"c": [1]}}}, {"a.b": {"c": 1}}, True),
    ],
)
def test_names_are_joined_by_dots(pattern, event, expected):
    read = event_patterns.parse(json.dumps({"detail": pattern}))

    assert event_patterns.matches(read, {"detail": event}) is expected


def test_every_key_must_match_and_a_list_matches_by_any_element():
    arn = EVENT["resources"][0]
    for source, expected in (("aws.sagemaker", True), ("aws.s3", False)):
        pattern = event_patterns.parse(json.dumps({"source": [source], "resources": [arn, "x"]}))
        assert event_patterns.matches(pattern, EVENT) is expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects"),
        ('{"a": []}', "Empty arrays"),
        ('{"a": {}}', "Empty objects"),
        ('{"a": "x"}', '"a" must be an object or an array'),
        ('{"a": [["x"]]}', "Match value must be"),
        ('{"a": [NaN]}', "not valid JSON"),
        ('{"a": [{"like": "x"}]}', "Unrecognized match type like"),
        ('{"a": [{"prefix": "x", "suffix": "y"}]}', "Only one key"),
        ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"a": [{"exists": 1}]}', "exists match pattern"),
        ('{"a": [{"numeric": ["~", 1]}]}', "Unrecognized numeric range operator"),
        ('{"a": [{"numeric": [">", 5, "<", 1]}]}', "Bottom must be less than top"),
        ('{"a": [{"numeric": [">", 6000000000]}]}', "must be between -5.0E9"),
        ('{"a": [{"cidr": "10.0.0.1"}]}', "Malformed CIDR"),
        ('{"a": [{"wildcard": "a**"}]}', "Consecutive wildcard characters at pos 1"),
        ('{"a": [{"wildcard": "a\\\\b"}]}', "Invalid escape character at pos 1"),
        ('{"a": [{"anything-but": []}]}', "Inside anything but list"),
        ('{"a": [{"anything-but": {"prefix": ""}}]}', "Null prefix/suffix not allowed"),
        ('{"a": [{"anything-but": {"suffix": ["x", ""]}}]}', "Null prefix/suffix not allowed"),
        ('{"a": [{"anything-but": ["x", 1]}]}', "Inside anything but list"),
        ('{"a":' * 60 + "[1]" + "}" * 60, "nested too deeply"),
        ("[" * 4000, "not valid JSON"),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_reason(pattern, reason):
    with pytest.raises(Invalid, match="Event pattern is not valid") as caught:
        event_patterns.parse(pattern)
    assert reason in caught.value.detail


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b*"]))
KEYS = st.sampled_from(
    ["a", "b", "a.b", "$or", "exists", "prefix", "anything-but", "numeric", "wildcard"]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


@settings(max_examples=300, deadline=None)
@given(
    pattern=st.dictionaries(KEYS, JSON, max_size=3), event=st.dictionaries(KEYS, JSON, max_size=3)
)
def test_no_pattern_and_no_event_brings_it_down(pattern, event):
    try:
        read = event_patterns.parse(json.dumps(pattern))
    except Invalid:
        return
    assert event_patterns.matches(read, event) in (True, False)


@given(
    wanted=st.dictionaries(
        st.sampled_from("abc"), st.lists(LEAVES, min_size=1, max_size=3), min_size=1
    ),
    event=st.dictionaries(st.sampled_from("abc"), LEAVES),
)
def test_exact_matches_agree_with_comparing_json_texts(wanted, event):
    expected = all(
        key in event and json.dumps(event[key]) in [json.dumps(value) for value in values]
        for key, values in wanted.items()
    )
    pattern = event_patterns.parse(json.dumps(wanted))
    assert event_patterns.matches(pattern, event) is expected
