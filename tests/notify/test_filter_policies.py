"""SNS's filter policies, by the examples of AWS's pages and by laws that hold for any policy."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base.errors import Invalid
from farero.notify import filter_policies

STRING, NUMBER, LIST = "String", "Number", "String.Array"


def accepts(policy, attributes):
    """Say whether attributes, as {name: (type, value)}, pass."""
    parsed = filter_policies.parse(json.dumps(policy), nested=False)
    wire = {name: {"Type": kind, "Value": value} for name, (kind, value) in attributes.items()}
    return filter_policies.accepts_attributes(parsed, wire)


def accepts_body(policy, body):
    parsed = filter_policies.parse(json.dumps(policy), nested=True)
    return filter_policies.accepts_body(parsed, json.dumps(body))


#: ("String value matching", "Numeric value matching", "Key matching", "AND/OR logic" of the SNS guide)
ATTRIBUTES = [
    ({}, {}, True),
    ({"a": ["rugby"]}, {"a": (STRING, "rugby")}, True),
    ({"a": ["rugby"]}, {"a": (STRING, "Rugby")}, False),
    ({"a": ["rugby", "tennis"]}, {"a": (STRING, "tennis")}, True),
    ({"a": ["rugby"]}, {"b": (STRING, "rugby")}, False),
    ({"a": ["rugby"]}, {"a": (LIST, '["tennis", "rugby"]')}, True),
    ({"a": ["rugby"]}, {"a": (LIST, '["tennis"]')}, False),
    ({"a": ["x"], "b": ["y"]}, {"a": (STRING, "x"), "b": (STRING, "y")}, True),
    ({"a": ["x"], "b": ["y"]}, {"a": (STRING, "x")}, False),
    ({"a": ["x"], "b": ["y"]}, {"a": (STRING, "x"), "b": (STRING, "z")}, False),
    ({"a": [{"anything-but": ["rugby", "tennis"]}]}, {"a": (STRING, "golf")}, True),
    ({"a": [{"anything-but": ["rugby", "tennis"]}]}, {"a": (STRING, "rugby")}, False),
    ({"a": [{"anything-but": ["rugby", "tennis"]}]}, {}, False),
    ({"a": [{"anything-but": ["rugby"]}]}, {"a": (LIST, '["rugby", "baseball"]')}, True),
    ({"a": [{"anything-but": ["rugby"]}]}, {"a": (LIST, '["rugby"]')}, False),
    ({"a": [{"anything-but": {"prefix": "order-"}}]}, {"a": (STRING, "data-entry")}, True),
    ({"a": [{"anything-but": {"prefix": "order-"}}]}, {"a": (STRING, "order-x")}, False),
    ({"a": [{"anything-but": {"suffix": ["ball", "y"]}}]}, {"a": (STRING, "rugby")}, False),
    ({"a": [{"anything-but": [100, 500]}]}, {"a": (NUMBER, "101")}, True),
    ({"a": [{"anything-but": [100, 500]}]}, {"a": (NUMBER, "100.0")}, False),
    ({"a": [{"prefix": "bas"}]}, {"a": (STRING, "baseball")}, True),
    ({"a": [{"prefix": "bas"}]}, {"a": (STRING, "rugby")}, False),
    ({"a": [{"prefix": "1"}]}, {"a": (NUMBER, "10")}, False),
    ({"a": [{"suffix": "ball"}]}, {"a": (STRING, "baseball")}, True),
    ({"a": [{"suffix": "ball"}]}, {"a": (STRING, "ballet")}, False),
    ({"a": [{"equals-ignore-case": "tennis"}]}, {"a": (STRING, "TENNIS")}, True),
    ({"a": [{"equals-ignore-case": "tennis"}]}, {"a": (STRING, "tenni")}, False),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": (STRING, "10.0.0.255")}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": (STRING, "10.0.1.0")}, False),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": (STRING, "no address")}, False),
    ({"a": [{"cidr": "2001:db8::/32"}]}, {"a": (STRING, "2001:db8::1")}, True),
    ({"a": [{"numeric": ["=", 301.5]}]}, {"a": (NUMBER, "301.5")}, True),
    ({"a": [{"numeric": ["=", 301.5]}]}, {"a": (NUMBER, "3.015e2")}, True),
    ({"a": [{"numeric": ["<", 0]}]}, {"a": (NUMBER, "0")}, False),
    ({"a": [{"numeric": ["<=", 0]}]}, {"a": (NUMBER, "0")}, True),
    ({"a": [{"numeric": [">", 0, "<=", 150]}]}, {"a": (NUMBER, "150")}, True),
    ({"a": [{"numeric": [">", 0, "<=", 150]}]}, {"a": (NUMBER, "0")}, False),
    ({"a": [{"numeric": [">", 0, "<=", 150]}]}, {"a": (NUMBER, "150.1")}, False),
    ({"a": [{"numeric": [">", 0]}]}, {"a": (STRING, "5")}, False),
    ({"a": [5]}, {"a": (NUMBER, "5.0")}, True),
    ({"a": [5]}, {"a": (STRING, "5")}, False),
    ({"a": [{"numeric": ["<", 5]}]}, {"a": (NUMBER, "NaN")}, False),
    ({"a": ["5"]}, {"a": (NUMBER, "5")}, False),
    ({"a": [{"exists": True}]}, {"a": (STRING, "x")}, True),
    ({"a": [{"exists": True}]}, {"b": (STRING, "x")}, False),
    ({"a": [{"exists": False}]}, {"b": (STRING, "x")}, True),
    ({"a": [{"exists": False}]}, {"a": (STRING, "x")}, False),
    ({"a": [{"exists": False}, "x"]}, {"a": (STRING, "x")}, True),
    ({"a": [True]}, {"a": (LIST, "[true]")}, True),
    ({"a": [True]}, {"a": (LIST, "[1]")}, False),
    ({"a": [None]}, {"a": (LIST, "[null]")}, True),
    ({"a": ["x"]}, {"a": ("Binary", "eA==")}, False),
    ({"a": ["{"]}, {"a": (LIST, "{")}, True),
    ({"a": ["x"], "$or": [{"b": [1]}, {"c": ["z"]}]}, {"a": (STRING, "x"), "c": (STRING, "z")}, True),
    ({"a": ["x"], "$or": [{"b": [1]}, {"c": ["z"]}]}, {"a": (STRING, "x"), "b": (NUMBER, "1")}, True),
    ({"a": ["x"], "$or": [{"b": [1]}, {"c": ["z"]}]}, {"a": (STRING, "x")}, False),
    ({"a": ["x"], "$or": [{"b": [1]}, {"c": ["z"]}]}, {"c": (STRING, "z")}, False),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "attributes", "wanted"), ATTRIBUTES, ids=str)
def test_a_policy_on_attributes(policy, attributes, wanted):
    assert accepts(policy, attributes) is wanted


BODIES = [
    ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, True),
    ({"a": {"b": ["x"]}}, {"a": {"b": "y"}}, False),
    ({"a": {"b": ["x"]}}, {"a": "x"}, False),
    ({"a": {"b": ["x"]}}, {"a": [{"b": "y"}, {"b": "x"}]}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": {}}, True),
    ({"a": {"b": [{"exists": False}]}}, {}, True),
    ({"a": {"b": {"c": [{"numeric": [">", 1]}]}}}, {"a": {"b": {"c": 2}}}, True),
    ({"a": ["x"]}, {"a": ["y", ["x"]]}, True),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": ["1"]}, {"a": 1}, False),
    ({"$or": [{"a": {"b": ["x"]}}, {"c": [1]}]}, {"c": 1}, True),
    ({"$or": [{"a": {"b": ["x"]}}, {"c": [1]}]}, {"c": 2}, False),
    ({"a": ["x"]}, ["x"], False),
    ({"a": ["x"]}, "x", False),
]


@pytest.mark.parametrize(("policy", "body", "wanted"), BODIES, ids=str)
def test_a_policy_on_the_body(policy, body, wanted):
    assert accepts_body(policy, body) is wanted


def test_a_body_that_is_no_json_is_not_wanted():
    policy = filter_policies.parse('{"a": ["x"]}', nested=True)

    assert not filter_policies.accepts_body(policy, "plain words")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "failed to deserialize JSON"),
        ("[]", "failed to deserialize JSON"),
        ("{", "failed to deserialize JSON"),
        ("[" * 100_000, "failed to deserialize JSON"),
        ('{"a": "x"}', '"a" must be an object or an array'),
        ('{"a": []}', "Empty arrays are not allowed"),
        ('{"a": [["x"]]}', "Match value must be String, number, true, false, or null"),
        ('{"a": {"b": ["x"]}}', "does not support nested filter policy"),
        ('{"a": [{"like": "x"}]}', "Unrecognized match type like"),
        ('{"a": [{"prefix": "x", "suffix": "y"}]}', "Only one key allowed"),
        ('{"a": [{}]}', "Only one key allowed"),
        ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"a": [{"exists": "true"}]}', "exists match pattern must be either true or false."),
        ('{"a": [{"numeric": 1}]}', "Value of numeric must be an array."),
        ('{"a": [{"numeric": []}]}', "Value of numeric must be an array."),
        ('{"a": [{"numeric": [">"]}]}', "must be a comparison"),
        ('{"a": [{"numeric": ["!", 1]}]}', "Unrecognized numeric range operator: !"),
        ('{"a": [{"numeric": [">", "1"]}]}', "Value of > must be numeric"),
        ('{"a": [{"numeric": [">", 5, "<", 1]}]}', "Bottom must be less than top"),
        ('{"a": [{"numeric": ["<", 1, ">", 0]}]}', "Bad numeric range operator"),
        ('{"a": [{"numeric": [["="], 0]}]}', "Unrecognized numeric range operator"),
        ('{"a": [{"numeric": ["=", 1e99]}]}', "between -1.0E9 and 1.0E9"),
        ('{"a": [NaN]}', "between -1.0E9 and 1.0E9"),
        ('{"a": [{"cidr": "10.0.0.0"}]}', "Malformed CIDR"),
        ('{"a": [{"cidr": "x/1"}]}', "Malformed CIDR"),
        ('{"a": [{"anything-but": []}]}', "anything but list"),
        ('{"a": [{"anything-but": [1, "x"]}]}', "anything but list"),
        ('{"a": [{"anything-but": {"like": "x"}}]}', "Unsupported anything-but pattern"),
        ('{"a": [{"anything-but": {"prefix": 1}}]}', "must be a string"),
        ('{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}', "can not have more than 5 keys"),
        (json.dumps({k: list("abcdefgh") for k in "abc"}), "Filter policy is too complex"),
    ],
)
def test_what_is_no_policy_is_refused_in_words(text, words):
    with pytest.raises(Invalid, match="FilterPolicy: ") as refused:
        filter_policies.parse(text, nested=False)

    assert words in refused.value.detail


texts = st.text(max_size=6)
numbers = st.integers(-1000, 1000) | st.floats(-1e6, 1e6).map(lambda x: round(x, 5))
values = texts | numbers | st.booleans() | st.none()
conditions = (
    values
    | st.builds(lambda t: {"prefix": t}, texts)
    | st.builds(lambda t: {"suffix": t}, texts)
    | st.builds(lambda t: {"equals-ignore-case": t}, texts)
    | st.builds(lambda t: {"anything-but": t}, st.lists(texts, min_size=1, max_size=3))
    | st.builds(lambda n: {"numeric": [">=", n]}, numbers)
    | st.builds(lambda b: {"exists": b}, st.booleans())
)
leaves = st.lists(conditions, min_size=1, max_size=2)
policies = st.dictionaries(st.sampled_from("abc"), leaves | st.dictionaries(st.sampled_from("de"), leaves, min_size=1, max_size=1), max_size=2)  # fmt: skip
bodies = st.dictionaries(
    st.sampled_from("abcde"),
    st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("de"), inner, max_size=2), max_leaves=6),
    max_size=4,
)  # fmt: skip


@given(policies, bodies)
def test_any_policy_judges_any_body_without_failing(policy, body):
    assert accepts_body(policy, body) in (True, False)


@given(policies, policies, bodies)
def test_or_is_either_of_two(left, right, body):
    if left and right:
        assert accepts_body({"$or": [left, right]}, body) == (
            accepts_body(left, body) or accepts_body(right, body)
        )


@given(st.dictionaries(st.sampled_from("abc"), values, min_size=1))
def test_a_policy_of_the_very_values_accepts_them(body):
    assert accepts_body({key: [value] for key, value in body.items()}, body)


@given(numbers, numbers)
def test_numbers_are_either_below_or_not_below(number, limit):
    below = accepts_body({"a": [{"numeric": ["<", limit]}]}, {"a": number})

    assert below != accepts_body({"a": [{"numeric": [">=", limit]}]}, {"a": number})


@given(texts, st.lists(texts, min_size=1, max_size=3))
def test_anything_but_is_the_opposite_for_one_text(value, others):
    assert accepts_body({"a": [{"anything-but": others}]}, {"a": value}) == (value not in others)
